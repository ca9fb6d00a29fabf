r"""The hierarchical generator: spins drawn from coarse to fine, with tractable ln q(s | T, L).

    q(s | T) = Π_stages Π_sites σ(s_i l_i),   l_i = logit of s_i = +1 given the spins before it.

The order, and the last stages whose logits are exact, are in
:mod:`~emulant_apps.ising.decimation`. Elsewhere l_i is the output of a small network that sees
the known spins x in a window around site i, the same network at every site of a stage and at
every side L; the seed spins are drawn one by one by networks of their own for each L.

- *Odd*: no biases, tanh; q(-s) = q(s) exactly, and the first seed spin is a fair coin.
- *Temperature* scales the weights: ``W_ij -> W_ij (1 + f_i(e))`` with e an embedding of smooth
  functions of T and L, f linear and zero at the start. No parameter belongs to one T.
- *Screened labels*: in training, the spin s_i is replaced by its exact expectation given all
  other even spins, which leaves the mean of the gradient and takes away part of its noise
  (Rao-Blackwell).

Contexts c have two columns: temperature T (J/k_B) and side L. Layout inside: (G, N, b), G groups
of b states at one temperature, N = L² flat sites.

- Wu, Wang and Zhang, Solving Statistical Mechanics Using Variational Autoregressive Networks,
  2018, https://arxiv.org/abs/1809.10606
- Bialas et al., Hierarchical autoregressive neural networks for statistical systems, 2022,
  https://arxiv.org/abs/2203.10989
- Bengio, Léonard and Courville, Estimating or propagating gradients through stochastic neurons
  (straight-through), 2013, https://arxiv.org/abs/1308.3432
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from emulant_apps.ising.context import LatticeContext
from emulant_apps.ising.decimation import SEED_SIDE, Decimation, Stage, decimation

__all__ = ["HierarchicalGenerator", "draw_signs", "screened_probability"]

SEED = SEED_SIDE**2


def draw_signs(logits: Tensor, rng: torch.Generator) -> Tensor:
    """Return ±1, +1 with probability σ(logits).

    Where gradients flow they pass straight through tanh((logits + logistic noise) / 2).
    """
    u = torch.rand(logits.shape, generator=rng, device=logits.device).clamp(1e-7, 1 - 1e-7)
    noisy = logits + torch.logit(u)
    hard = torch.where(noisy >= 0, 1.0, -1.0)
    if not torch.is_grad_enabled():
        return hard
    soft = torch.tanh(noisy / 2)
    return hard + soft - soft.detach()


def ln_cosh(x: Tensor) -> Tensor:
    """Return ln cosh x without overflow."""
    size = x.abs()
    return size + torch.log1p(torch.exp(-2 * size)) - math.log(2)


def screening_coefficients(K: Tensor) -> tuple[Tensor, Tensor]:
    """Return (p, q) with ``ln cosh K(S+1) - ln cosh K(S-1) = p S + q S³`` for S = ±1, ±3."""
    at_1 = ln_cosh(2 * K)
    at_3 = ln_cosh(4 * K) - at_1
    return (27 * at_1 - at_3) / 24, (at_3 - 3 * at_1) / 24


def screened_probability(x: Tensor, T: Tensor) -> Tensor:
    """Return P(s_i = +1 | all other even spins) at every even site i, odd spins summed out.

    Arguments
    ---------
    x : ±1, shape (B, L, L); T : J/k_B, shape (B,).

    Returns
    -------
    Probabilities, shape (B, L, L); without meaning at odd sites.
    """
    p, q = screening_coefficients(1 / T[:, None, None])
    site = torch.arange(x.shape[-1], device=x.device)
    even = x * ((site[:, None] + site) % 2 == 0)
    around = sum((even.roll(step, axis) for axis in (1, 2) for step in (1, -1)), 0 * even)
    logits = torch.zeros_like(x)
    for axis in (1, 2):
        for step in (1, -1):
            S = around.roll(step, axis) - even
            logits = logits + S * (p + q * S.square())
    return torch.sigmoid(logits)


class _WindowNet(nn.Module):
    """Odd network from the P spins of a window to a logit, its weights scaled by e."""

    def __init__(self, inputs: int, width: int, embedded: int) -> None:
        super().__init__()
        self.width = width
        self.first = nn.Parameter(torch.randn(width, inputs) / inputs**0.5)
        self.second = nn.Parameter(torch.randn(width, width) / width**0.5)
        self.third = nn.Parameter(torch.randn(1, width) * (0.3 / width**0.5))
        self.direct = nn.Parameter(torch.randn(1, inputs) * 0.05)
        self.scales = nn.Linear(embedded, 2 * width + 2)
        nn.init.zeros_(self.scales.weight)
        nn.init.zeros_(self.scales.bias)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """Return logits (G, 1, M) of M windows a group: x (G, P, M), e (G, E)."""
        sizes = [self.width, self.width, 1, 1]
        first, second, third, direct = (1 + self.scales(e))[:, :, None].split(sizes, 1)
        h = torch.tanh(torch.bmm(self.first * first, x))
        h = h + torch.tanh(torch.bmm(self.second * second, h))
        return torch.bmm(self.third * third, h) + torch.bmm(self.direct * direct, x)


class _SeedNet(nn.Module):
    """The seed's spins one by one: spin k by an odd network of the k spins before it."""

    causal: Tensor

    def __init__(self, width: int, embedded: int) -> None:
        super().__init__()
        self.width = width
        self.first = nn.Parameter(torch.randn(SEED, width, SEED) / SEED**0.5)
        self.second = nn.Parameter(torch.randn(SEED, width, width) / width**0.5)
        self.third = nn.Parameter(torch.randn(SEED, 1, width) * (0.3 / width**0.5))
        self.scales = nn.Linear(embedded, SEED * (2 * width + 1))
        nn.init.zeros_(self.scales.weight)
        nn.init.zeros_(self.scales.bias)
        self.register_buffer("causal", torch.tril(torch.ones(SEED, SEED), -1)[:, None])

    def _weights(self, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the three layers' weights, shape (G, 16, out, in)."""
        scales = (1 + self.scales(e)).view(len(e), SEED, 2 * self.width + 1, 1)
        first, second, third = scales.split([self.width, self.width, 1], 2)
        return self.first * self.causal * first, self.second * second, self.third * third

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """Return the logits of all spins, (G, 16, b), given x (G, 16, b)."""
        first, second, third = self._weights(e)
        h = torch.tanh(first @ x[:, None])
        h = h + torch.tanh(second @ h)
        return (third @ h)[:, :, 0]

    def draw(self, e: Tensor, b: int, rng: torch.Generator) -> Tensor:
        """Return seeds, shape (G, 16, b)."""
        first, second, third = self._weights(e)
        spins = [draw_signs(torch.zeros(len(e), b, device=e.device), rng)]
        for k in range(1, SEED):
            h = torch.tanh(first[:, k, :, :k] @ torch.stack(spins, 1))
            h = h + torch.tanh(second[:, k] @ h)
            spins.append(draw_signs((third[:, k] @ h)[:, 0], rng))
        return torch.stack(spins, 1)


class HierarchicalGenerator(nn.Module):
    """Draws states at any temperature and at several sides, and knows their probability.

    Arguments
    ---------
    lattices : sides L that it draws, 8, 16, 32, ...
    radius : reach of a window, in units of half the spacing.
    width : width of the window networks.
    seed_width : width of the seed networks.
    embedded : length E of the embedded context.

    Examples
    --------
    >>> from emulant.rng import torch_rng
    >>> generator = HierarchicalGenerator((8, 16), width=8, seed_width=8)
    >>> c = torch.tensor([[2.3, 8.0]]).expand(5, 2)
    >>> with torch.no_grad():
    ...     s = generator.draw(5, torch_rng(0), c)
    >>> s.shape, generator.log_prob(s, c).shape
    (torch.Size([5, 1, 8, 8]), torch.Size([5]))
    """

    def __init__(
        self,
        lattices: Sequence[int],
        radius: int = 3,
        width: int = 64,
        seed_width: int = 64,
        embedded: int = 32,
    ) -> None:
        super().__init__()
        self.lattices = tuple(lattices)
        self.radius = radius
        self.context = LatticeContext(embedded)
        self.seeds = nn.ModuleDict(
            {str(side): _SeedNet(seed_width, embedded) for side in self.lattices}
        )
        windows = {
            stage.name: len(stage.window)
            for side in self.lattices
            for stage in decimation(side, radius).stages
        }
        self.stages = nn.ModuleDict(
            {name: _WindowNet(size, width, embedded) for name, size in windows.items()}
        )

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` states of ±1, shape (n, 1, L, L), for contexts ``c`` = (T, L), (n, 2)."""
        order, c, b = self._grouped(n, c)
        e, K = self.context(c[::b]), 1 / c[::b, :1, None]
        x = torch.zeros(n // b, order.lattice**2, b, device=e.device)
        x = _placed(x, order.seed, self._seed(order.lattice).draw(e, b, rng))
        for stage in order.stages:
            x = _placed(x, stage.sites, draw_signs(self._logits(stage, x, e), rng))
        x = _placed(x, order.screened, draw_signs(_screened_logits(order, x, K), rng))
        x = _placed(x, order.odd, draw_signs(_bath_logits(order, x, K), rng))
        return x.transpose(1, 2).reshape(n, 1, order.lattice, order.lattice)

    def log_prob(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return ln q(x | T, L) in nats, float64, shape (B,), of ±1 states (B, 1, L, L)."""
        order, c, b = self._grouped(len(x), c)
        K = 1 / c[::b, :1, None]
        spins = _sites_first(x, b)
        total = torch.zeros(len(x) // b, b, dtype=torch.float64, device=x.device)
        logits = self._learned_logits(order, spins, self.context(c[::b]))
        exact = (
            (order.screened, _screened_logits(order, spins, K)),
            (order.odd, _bath_logits(order, spins, K)),
        )
        for sites, logit in (*logits.values(), *exact):
            total = total + logsigmoid(logit * spins[:, sites]).double().sum(1)
        return total.reshape(-1)

    def nll_terms(self, x: Tensor, c: Tensor | None = None) -> Mapping[str, Tensor]:
        """Return the learned parts of -ln q by spacing, each (B,), with screened labels.

        Over true states their mean is that of the learned part of -ln q.
        """
        order, c, b = self._grouped(len(x), c)
        spins = _sites_first(x, b)
        y = _sites_first(screened_probability(x[:, 0], c[:, 0]), b)
        terms: dict[str, Tensor] = {}
        logits = self._learned_logits(order, spins, self.context(c[::b]))
        for name, (sites, logit) in logits.items():
            part = name if name == "seed" else f"spacing_{name[:-2]}"
            cross_entropy = (softplus(logit) - y[:, sites] * logit).sum(1).reshape(-1)
            terms[part] = terms[part] + cross_entropy if part in terms else cross_entropy
        return terms

    def _learned_logits(
        self, order: Decimation, spins: Tensor, e: Tensor
    ) -> dict[str, tuple[np.ndarray, Tensor]]:
        """Return sites and logits (G, S, b) of every learned stage, teacher-forced."""
        seed = self._seed(order.lattice)(spins[:, order.seed], e)
        logits = {"seed": (order.seed, seed)}
        for stage in order.stages:
            logits[stage.name] = (stage.sites, self._logits(stage, spins, e))
        return logits

    def _seed(self, lattice: int) -> _SeedNet:
        return cast(_SeedNet, self.seeds[str(lattice)])

    def _logits(self, stage: Stage, x: Tensor, e: Tensor) -> Tensor:
        """Return the logits of a stage, (G, S, b), given the spins x (G, N, b)."""
        P, S = stage.window.shape
        known = _gathered(x, stage.window).reshape(len(x), P, -1)
        logits: Tensor = self.stages[stage.name](known, e)
        return logits.view(len(x), S, x.shape[2])

    def _grouped(self, n: int, c: Tensor | None) -> tuple[Decimation, Tensor, int]:
        """Return the order of drawing, c as floats, and the size b of groups of one T."""
        if c is None or c.shape != (n, 2):
            shape = None if c is None else tuple(c.shape)
            raise ValueError(f"'c' must have shape ({n}, 2), temperature and side, got {shape}")
        c = c.float()
        sides = c[:, 1]
        side = int(sides[0])
        if side not in self.lattices or bool((sides != side).any()):
            raise ValueError(f"'c' must name one side of {self.lattices}, got {sides.tolist()}")
        runs = torch.unique_consecutive(c[:, 0], return_counts=True)[1]
        return decimation(side, self.radius), c, math.gcd(*runs.tolist())


def _sites_first(x: Tensor, b: int) -> Tensor:
    """Return (B, ...) as (B/b, N, b)."""
    return x.reshape(len(x) // b, b, -1).transpose(1, 2).contiguous()


def _gathered(x: Tensor, sites: np.ndarray) -> Tensor:
    """Return ``x[:, sites]``, shape (G, *sites.shape, b), as whole rows of x (G, N, b)."""
    G, N, b = x.shape
    rows = torch.from_numpy(sites.reshape(-1)).to(x.device)
    rows = (torch.arange(G, device=x.device)[:, None] * N + rows).reshape(-1)
    return x.reshape(G * N, b).index_select(0, rows).view(G, *sites.shape, b)


def _placed(x: Tensor, sites: np.ndarray, spins: Tensor) -> Tensor:
    """Return x (G, N, b) with ``spins`` at ``sites``; in place where no gradient flows."""
    index = torch.from_numpy(sites).to(x.device)
    if torch.is_grad_enabled():
        return x.index_copy(1, index, spins)
    return x.index_copy_(1, index, spins)


def _screened_logits(order: Decimation, x: Tensor, K: Tensor) -> Tensor:
    """Return the exact logits at ``order.screened``, (G, L²/8, b); K has shape (G, 1, 1)."""
    p, q = screening_coefficients(K)
    S = _gathered(x, order.screening).sum(2)
    return (S * (p[:, None] + q[:, None] * S.square())).sum(1)


def _bath_logits(order: Decimation, x: Tensor, K: Tensor) -> Tensor:
    """Return the exact logits at ``order.odd``, shape (G, L²/2, b)."""
    return 2 * K * _gathered(x, order.bath).sum(1)
