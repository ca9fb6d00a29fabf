r"""Flow matching along straight lines, also known as rectified flow.

With ``x_1`` from the data, ``x_0 ~ N(0, I)``, ``t ~ U(0, 1)`` and ``x_t = (1 - t) x_0 + t x_1``
the field v pays

    E |v(x_t, t, c) - (x_1 - x_0)|^2 ,

whose minimiser ``v(x, t) = E[x_1 - x_0 | x_t = x]`` carries N(0, I) at t = 0 into the data at
t = 1 by ``dx/dt = v``. The density follows from the divergence along the way:

    log q(x_1) = log N(x_0; 0, I) - int_0^1 div v(x_t, t) dt .

Pairs (x_0, x_1) may be matched by optimal transport within a batch: straighter lines, fewer
steps. With a context that is refused: pairs chosen by x would tie x_0 to c.

- Lipman et al., Flow Matching for Generative Modeling, 2022, https://arxiv.org/abs/2210.02747
- Liu et al., Flow Straight and Fast (rectified flow), 2022, https://arxiv.org/abs/2209.03003
- Tong et al., Improving and generalizing flow-based generative models with minibatch optimal
  transport, 2023, https://arxiv.org/abs/2302.00482
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from emulant.conditions import drop_conditions
from emulant.latents import Normal
from emulant.methods.game import Generative, evaluating, full_precision, require_contexts
from emulant.samplers.guidance import guided
from emulant.samplers.ode import Field, carry_density, integrate, solver_named
from emulant.types import Batch, Terms

__all__ = ["Coupling", "FlowMatching", "optimal_pairs"]

Coupling = Literal["independent", "optimal"]


def optimal_pairs(x0: Tensor, x1: Tensor) -> Tensor:
    """Return the order of ``x0`` that minimises ``sum |x0[order] - x1|^2``, shape (B,)."""
    cost = torch.cdist(x1.flatten(1), x0.flatten(1)).square()
    _, order = linear_sum_assignment(cost.detach().cpu().double().numpy())
    return torch.as_tensor(order, device=x0.device)


class FlowMatching(Generative):
    """A field that carries normal noise into the data.

    Arguments
    ---------
    field : network ``field(x, t, c) -> v`` of the shape of x; t has shape (B,).
    event : shape X of an event; events should be of about unit scale.
    coupling : "independent", or "optimal" within each batch (no context then).
    drop : probability that training hides a condition, for guidance; the field's context
        must know "missing".
    steps, solver : how :meth:`sample` and :meth:`log_prob` integrate.

    Examples
    --------
    >>> from emulant.nets.embed import TimeMLP
    >>> flow = FlowMatching(TimeMLP(2, 2), (2,), steps=4)
    >>> x = flow.sample(5, torch.Generator().manual_seed(0))
    >>> x.shape, flow.log_prob(x).shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    turns = ("field",)

    def __init__(
        self,
        field: nn.Module,
        event: Sequence[int],
        coupling: Coupling = "independent",
        drop: float = 0.0,
        steps: int = 32,
        solver: str = "heun",
    ) -> None:
        super().__init__()
        if coupling not in ("independent", "optimal"):
            raise ValueError(f"'coupling' must be 'independent' or 'optimal', got {coupling!r}")
        if not 0 <= drop < 1:
            raise ValueError(f"'drop' must lie in [0, 1), got {drop}")
        if steps < 1:
            raise ValueError(f"'steps' must be at least 1, got {steps}")
        solver_named(solver)
        self.field, self.base = field, Normal(tuple(event))
        self.coupling, self.drop, self.steps, self.solver = coupling, drop, steps, solver

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"field": self.field}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return ``E w |v(x_t, t, c) - (x_1 - x_0)|^2`` per coordinate."""
        if player != "field":
            raise ValueError(f"'player' must be 'field', got {player!r}")
        x1, c = batch.x, batch.c
        if x1.shape[1:] != self.base.shape:
            raise ValueError(f"'batch.x' must have events {self.base.shape}, got {x1.shape[1:]}")
        x0 = self.base.draw(len(x1), rng)
        if self.coupling == "optimal":
            if c is not None:
                raise ValueError("'coupling' must be 'independent' where there are contexts")
            x0 = x0[optimal_pairs(x0, x1)]
        t = torch.rand(len(x1), generator=rng, device=x1.device)
        if c is not None and self.drop > 0:
            c = drop_conditions(c, self.drop, rng)
        share = t.reshape(-1, *(1,) * (x1.ndim - 1))
        v = self.field((1 - share) * x0 + share * x1, t, c)
        error = full_precision(v - (x1 - x0)).square().flatten(1).mean(1)
        mse = (error if batch.weight is None else batch.weight * error).mean()
        return Terms(mse, {"mse": mse})

    def _velocity(self, c: Tensor | None, guidance: float = 1.0) -> Field:
        return lambda x, t: guided(self.field, x, x.new_full((len(x),), t), c, guidance)

    def _times(self, steps: int | None) -> list[float]:
        count = self.steps if steps is None else steps
        return [k / count for k in range(count + 1)]

    def sample(
        self,
        n: int,
        rng: torch.Generator,
        c: Tensor | None = None,
        guidance: float = 1.0,
        steps: int | None = None,
    ) -> Tensor:
        """Return ``n`` events, shape (n, *X); ``guidance`` > 1 exaggerates the condition."""
        require_contexts(n, c)
        return self.carry(self.base.draw(n, rng), steps, c, guidance)

    def carry(
        self,
        x0: Tensor,
        steps: int | None = None,
        c: Tensor | None = None,
        guidance: float = 1.0,
    ) -> Tensor:
        """Return where the flow takes noise ``x0``, shape (B, *X)."""
        with evaluating(self):
            return integrate(self._velocity(c, guidance), x0, self._times(steps), self.solver)

    def log_prob(self, x: Tensor, c: Tensor | None = None, steps: int | None = None) -> Tensor:
        """Return log q(x | c) in nats, shape (B,), of the flow that the solver integrates."""
        with evaluating(self):
            backward = self._times(steps)[::-1]
            carried = carry_density(self._velocity(c), x, backward, self.solver)
            return self.base.log_prob(carried.x) + carried.compression
