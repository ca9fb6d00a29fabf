r"""Laws of the plane that are known exactly, and batches drawn from them without end.

Notation: events x (N, D); components k with weight ``w_k``, mean ``m_k`` and deviation s:
``p(x) = sum_k w_k N(x; m_k, s^2 I)``. Blurred by noise it stays a mixture, so that the mean of
the clean event, and from it every score and velocity, is known in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from emulant.types import Batch

__all__ = ["Census", "Endless", "Mixture", "grid_of_25", "moons", "ring_of_8"]


@dataclass(frozen=True, slots=True)
class Census:
    """Where samples lie among the components of a mixture."""

    found: int
    """Components that hold at least a fifth of their due share, within three deviations."""
    near: float
    """Share of samples within three deviations of a component."""
    chi2: float
    """``sum_k (f_k - w_k)^2 / w_k`` of the shares f of the nearest components: the usual
    chi-square divided by the number of samples."""


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Normal components of one deviation."""

    means: Tensor
    """Shape (K, D)."""
    deviation: float
    weights: Tensor
    """Shape (K,)."""

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` events, shape (n, D)."""
        k = torch.multinomial(self.weights, n, replacement=True, generator=rng)
        return self.means[k] + self.deviation * torch.randn(n, self.means.shape[1], generator=rng)

    def _log_joint(self, x: Tensor, variance: Tensor) -> Tensor:
        """Return ``log w_k N(x; m_k, variance)``, shape (N, K); variance has shape (N, 1)."""
        squares = (x[:, None] - self.means.to(x.dtype)).square().sum(2) / variance
        volume = x.shape[1] * (2 * math.pi * variance).log()
        return self.weights.to(x.dtype).log() - (squares + volume) / 2

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, shape (N,)."""
        variance = torch.full((len(x), 1), self.deviation**2, dtype=x.dtype)
        return self._log_joint(x, variance).logsumexp(1)

    def clean_mean(self, y: Tensor, noise: Tensor) -> Tensor:
        """Return ``E[x | x + noise e = y]``, shape (N, D), e normal, noise of shape (N,)."""
        blurred = self.deviation**2 + noise.square()[:, None]
        share = self._log_joint(y, blurred).softmax(1)
        pull = self.deviation**2 / blurred
        return pull * y + (1 - pull) * (share @ self.means.to(y.dtype))

    def census(self, x: Tensor) -> Census:
        """Return where the samples ``x`` lie."""
        distance, nearest = torch.cdist(x, self.means).min(1)
        near = distance < 3 * self.deviation
        held = torch.bincount(nearest[near], minlength=len(self.means)) / len(x)
        share = torch.bincount(nearest, minlength=len(self.means)) / len(x)
        return Census(
            int((held >= self.weights / 5).sum()),
            float(near.float().mean()),
            float(((share - self.weights).square() / self.weights).sum()),
        )


def ring_of_8(radius: float = 1.5, deviation: float = 0.1) -> Mixture:
    """Return eight equal components on a circle."""
    angle = torch.arange(8) * (2 * math.pi / 8)
    means = radius * torch.stack([angle.cos(), angle.sin()], 1)
    return Mixture(means, deviation, torch.full((8,), 1 / 8))


def grid_of_25(spacing: float = 1.0, deviation: float = 0.1) -> Mixture:
    """Return 25 equal components on a square grid, as in the paper of ALI."""
    side = spacing * torch.arange(-2.0, 3.0)
    return Mixture(torch.cartesian_prod(side, side), deviation, torch.full((25,), 1 / 25))


def moons(n: int, rng: torch.Generator, noise: float = 0.1) -> Tensor:
    """Return ``n`` events of two interleaved half circles, about unit scale, shape (n, 2)."""
    angle = math.pi * torch.rand(n, generator=rng)
    upper = torch.rand(n, generator=rng) < 0.5
    x = torch.where(upper, angle.cos(), 1 - angle.cos()) - 0.5
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin()) - 0.25
    return 1.4 * torch.stack([x, y], 1) + noise * torch.randn(n, 2, generator=rng)


@dataclass(frozen=True, slots=True)
class Endless:
    """A source whose every batch is fresh: no check depends on the luck of a finite data set."""

    draw: Callable[[int, torch.Generator], Tensor | tuple[Tensor, Tensor]]
    """``draw(size, rng)`` -> events, or events and contexts."""
    size: int = 256
    fingerprint: str = "drawn from a known law"

    def batch(self, step: int, rng: torch.Generator) -> Batch:  # noqa: ARG002 - chance is enough
        """Return ``size`` fresh events."""
        drawn = self.draw(self.size, rng)
        return Batch(drawn) if isinstance(drawn, Tensor) else Batch(*drawn)
