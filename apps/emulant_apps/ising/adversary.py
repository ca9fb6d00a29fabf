r"""The critic of spin states, the features it is helped by, and the purely adversarial generators.

- :class:`SpinCritic` sees the spins, their two bond products, standardised observables, and the
  statistics of groups at one temperature: a critic that sees one state at a time cannot tell
  that a susceptibility is wrong.
- :class:`SpinFeatures` are those observables, in units of their scatter at the nearest trained
  temperature.
- :class:`TanhGenerator` is the design of the paper that began this application: a
  convolutional generator with tanh output, whose sign is the spin. :class:`SignGenerator` draws
  the spins themselves, with straight-through gradients and a fair global sign.

- Liu, Rodrigues and Cai, Simulating the Ising Model with a Deep Convolutional Generative
  Adversarial Network, 2017, https://arxiv.org/abs/1710.04987
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from emulant.nets.conv import ConvCritic, ConvGenerator, Norm
from emulant_apps.ising.context import LatticeContext
from emulant_apps.ising.hierarchy import draw_signs

__all__ = ["SignGenerator", "SpinCritic", "SpinFeatures", "TanhGenerator", "observables"]

OBSERVABLES = 8
EMBEDDED = 32


def observables(x: Tensor) -> Tensor:
    """Return (B, 8) of states (B, 1, L, L): what a physicist would look at first.

    Spin products at distances 1, 2, 4, 8 along the axes and across the diagonal, the mean
    squared magnetisation of blocks of L/4, and |m| and m² of the whole.
    """

    def along(step: int) -> Tensor:
        return (x * x.roll(step, 2) + x * x.roll(step, 3)).mean((1, 2, 3)) / 2

    m = x.mean((1, 2, 3))
    blocks = avg_pool2d(x, x.shape[-1] // 4).square().mean((1, 2, 3))
    diagonal = (x * x.roll((1, 1), (2, 3))).mean((1, 2, 3))
    size = (m.square() + 1e-6).sqrt()
    return torch.stack([*map(along, (1, 2, 4, 8)), diagonal, blocks, size, m.square()], 1)


class SpinFeatures(nn.Module):
    """Observables in units of their scatter: ``(f(x) - mean(T, L)) / deviation(T, L)``."""

    temperatures: Tensor
    lattices: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, lattices: Sequence[int], temperatures: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("temperatures", torch.tensor(temperatures, dtype=torch.float32))
        self.register_buffer("lattices", torch.tensor(lattices, dtype=torch.float32))
        shape = (len(lattices), len(temperatures), OBSERVABLES)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))

    @torch.no_grad()
    def measure(self, states: Mapping[int, Sequence[Tensor]]) -> None:
        """Take means and deviations from true states: for each side, (n, 1, L, L) a temperature."""
        for i, lattice in enumerate(self.lattices.int().tolist()):
            for j, x in enumerate(states[lattice]):
                found = observables(x)
                self.mean[i, j] = found.mean(0)
                self.deviation[i, j] = found.std(0) + 1e-3

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the standardised observables, shape (B, 8)."""
        if c is None:
            raise ValueError("'c' must be given: temperature and side of each state")
        i = (c[:, 1:] - self.lattices).abs().argmin(1)
        j = (c[:, :1] - self.temperatures).abs().argmin(1)
        return (observables(x) - self.mean[i, j]) / self.deviation[i, j]


class SpinCritic(nn.Module):
    """Logits of spin states (B, 1, L, L) of any side, given (T, L)."""

    def __init__(self, features: SpinFeatures, widths: Sequence[int], group: int) -> None:
        super().__init__()
        self.features = features
        context = LatticeContext(EMBEDDED)
        self.net = ConvCritic(2, 3, widths, context, EMBEDDED, extra=OBSERVABLES, group=group)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the logits, shape (B,)."""
        bonds = torch.cat([x, x * x.roll(-1, 2), x * x.roll(-1, 3)], 1)
        logits: Tensor = self.net(bonds, c, self.features(x, c))
        return logits


class PlainCritic(nn.Module):
    """The first paper's critic: a convolutional network of the spins alone."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.net = ConvCritic(2, 1, widths, LatticeContext(EMBEDDED), EMBEDDED)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the logits, shape (B,)."""
        logits: Tensor = self.net(x, c)
        return logits


class _Convolutional(nn.Module):
    """A convolutional generator of one side with noise at every level and a global latent."""

    def __init__(self, lattice: int, widths: Sequence[int], noise: int, norm: Norm) -> None:
        super().__init__()
        self.net = ConvGenerator(
            (lattice, lattice),
            1,
            widths,
            [noise] * len(widths),
            LatticeContext(EMBEDDED),
            EMBEDDED,
            latent=8,
            norm=norm,
        )


class TanhGenerator(_Convolutional):
    """Continuous states in (-1, 1) in training; their signs once trained."""

    def __init__(self, lattice: int, widths: Sequence[int], noise: int) -> None:
        super().__init__(lattice, widths, noise, "batch")

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` states, shape (n, 1, L, L)."""
        x = torch.tanh(self.net.draw(n, rng, c))
        return x if self.training else torch.where(x >= 0, 1.0, -1.0)


class SignGenerator(_Convolutional):
    """Spins of ±1 drawn from the network's logits, times a fair global sign."""

    def __init__(self, lattice: int, widths: Sequence[int], noise: int) -> None:
        super().__init__(lattice, widths, noise, "none")

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` states, shape (n, 1, L, L)."""
        spins = draw_signs(self.net.draw(n, rng, c), rng)
        fair = torch.rand(n, 1, 1, 1, generator=rng, device=spins.device) < 0.5
        return torch.where(fair, spins, -spins)
