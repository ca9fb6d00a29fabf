r"""Variational optimisation, also known as (natural-free) evolution strategies.

A law ``x ~ N(m, s^2 I)`` searches for small values of f, whatever f is: only its values are
used. It pays ``J(m, s) = E f(x)``, an upper bound of min f, by the score-function gradient over
antithetic pairs ``x+- = m +- s e``, e ~ N(0, I):

    dJ/dm     = E [ (f(x+) - f(x-)) e / 2 s ]
    dJ/dln s  = E [ (f(x+) + f(x-) - 2 b) (|e|^2 - D) / 2 ]      b: the mean of the other pairs

Both are unbiased for every f, differentiable or not; pairs make the first exact for linear f.

- Staines and Barber, Variational Optimization, 2012, https://arxiv.org/abs/1212.4507
- Wierstra et al., Natural Evolution Strategies, 2014, https://arxiv.org/abs/1106.4487
- Salimans et al., Evolution Strategies as a Scalable Alternative to RL, 2017,
  https://arxiv.org/abs/1703.03864
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from emulant.methods.game import Generative, evaluating, require_contexts
from emulant.types import Batch, Terms

__all__ = ["EvolutionStrategies", "Objective"]

Objective = Callable[[Tensor, Batch], Tensor]
"""``f(candidates, batch)``, shapes (N, *X) -> (N,); it need not be differentiable."""


class _Search(nn.Module):
    """The law's parameters: mean, shape X, and ln s, a scalar."""

    log_scale: Tensor

    def __init__(self, start: Tensor, scale: float, learn_scale: bool) -> None:
        super().__init__()
        self.mean = nn.Parameter(start.clone())
        log_scale = torch.tensor(math.log(scale))
        if learn_scale:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)


class EvolutionStrategies(Generative):
    """A normal law that moves to where an objective is small.

    Arguments
    ---------
    objective : f; the batch is passed on to it.
    start : mean to begin with, shape X.
    scale : deviation s to begin with.
    pairs : antithetic pairs a step.
    learn_scale : whether s moves too.

    Examples
    --------
    >>> search = EvolutionStrategies(lambda x, _: x.square().sum(1), torch.ones(3))
    >>> search.sample(5, torch.Generator().manual_seed(0)).shape
    torch.Size([5, 3])
    """

    turns = ("search",)

    def __init__(
        self,
        objective: Objective,
        start: Tensor | Sequence[float],
        scale: float = 0.1,
        pairs: int = 16,
        learn_scale: bool = False,
    ) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"'scale' must be positive, got {scale}")
        if pairs < 2:
            raise ValueError(f"'pairs' must be at least 2, got {pairs}")
        self.objective, self.pairs, self.learn_scale = objective, pairs, learn_scale
        self.search = _Search(torch.as_tensor(start, dtype=torch.float32), scale, learn_scale)

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"search": self.search}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return the mean of f over the pairs, whose gradient is the estimate above."""
        if player != "search":
            raise ValueError(f"'player' must be 'search', got {player!r}")
        m, log_s = self.search.mean, self.search.log_scale
        with torch.no_grad():
            e = torch.randn(self.pairs, *m.shape, generator=rng, device=m.device)
            step = log_s.exp() * e
            values = self.objective(torch.cat([m + step, m - step]), batch).float()
            if values.shape != (2 * self.pairs,):
                rule = f"return shape ({2 * self.pairs},)"
                raise ValueError(f"'objective' must {rule}, got {tuple(values.shape)}")
            up, down = values.chunk(2)
            flat = e.flatten(1)
            dm = ((up - down)[:, None] * flat).mean(0) / (2 * log_s.exp())
            both = up + down
            others = (both.sum() - both) / (self.pairs - 1)
            dlog_s = ((both - others) * (flat.square().sum(1) - flat.shape[1])).mean() / 2
        value = values.mean()
        # a scalar whose value is J and whose gradient is the estimate, however f was computed
        total = value + (dm * (m - m.detach()).flatten()).sum()
        if self.learn_scale:
            total = total + dlog_s * (log_s - log_s.detach())
        return Terms(total, {"objective": value, "best": values.min()})

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` candidates of the law, shape (n, *X)."""
        require_contexts(n, c)
        if c is not None:
            raise ValueError("'c' must be None: the search has no context")
        m = self.search.mean
        with evaluating(self):
            e = torch.randn(n, *m.shape, generator=rng, device=m.device)
            return m + self.search.log_scale.exp() * e
