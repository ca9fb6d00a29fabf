r"""Posteriors of two latents on a grid of cells, and how far draws are from them.

Notation: a box of ``cells^2`` cells; each is summed over ``FINE^2`` midpoints, so that its mass p
is exact to far better than what is measured with it. With counts n of N draws,

    KL(p || q) = sum p log(p / q),   q = (n + 1/2) / (N + cells^2 / 2) .
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["Box", "Gridded"]

FINE = 10


@dataclass(frozen=True, slots=True)
class Box:
    """The cells."""

    low: tuple[float, float]
    high: tuple[float, float]
    cells: int
    """Number along each side."""

    def posterior(self, log_p: Callable[[Tensor], Tensor]) -> Gridded:
        """Return the law whose log density, up to a constant, is ``log_p(z)``, z (N, 2)."""
        count = self.cells * FINE
        unit = (torch.arange(count) + 0.5) / count
        axes = [a + unit * (b - a) for a, b in zip(self.low, self.high, strict=True)]
        mass = log_p(torch.cartesian_prod(*axes)).double().softmax(0)
        mass = mass.reshape(self.cells, FINE, self.cells, FINE).sum((1, 3))
        middles = [axis.reshape(self.cells, FINE).mean(1) for axis in axes]
        centres = torch.cartesian_prod(*middles).reshape(self.cells, self.cells, 2)
        return Gridded(self, mass, centres.double())


@dataclass(frozen=True, slots=True, eq=False)
class Gridded:
    """A law on the cells of a box."""

    box: Box
    mass: Tensor
    """Shape (cells, cells), sums to 1."""
    centres: Tensor
    """Shape (cells, cells, 2)."""

    @property
    def mean(self) -> Tensor:
        """Mean, shape (2,)."""
        return (self.mass[..., None] * self.centres).sum((0, 1))

    @property
    def deviation(self) -> Tensor:
        """Standard deviation of each latent, shape (2,)."""
        return (self.mass[..., None] * (self.centres - self.mean).square()).sum((0, 1)).sqrt()

    def kl(self, z: Tensor) -> float:
        """Return KL(this || the law of the draws ``z``) in nats, z of shape (N, 2)."""
        sides = zip(self.box.low, self.box.high, strict=True)
        edges = [np.linspace(a, b, self.box.cells + 1) for a, b in sides]
        counts = np.histogram2d(z[:, 0].numpy(), z[:, 1].numpy(), edges)[0] + 0.5
        q = torch.from_numpy(counts / (len(z) + 0.5 * counts.size))
        return float((self.mass * (self.mass.clamp(min=1e-300) / q).log()).sum())

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` draws, even within a cell, shape (n, 2)."""
        rows = torch.multinomial(self.mass.reshape(-1), n, replacement=True, generator=rng)
        width = (torch.tensor(self.box.high) - torch.tensor(self.box.low)) / self.box.cells
        jitter = torch.rand(n, 2, generator=rng) - 0.5
        return self.centres.reshape(-1, 2)[rows].float() + width * jitter
