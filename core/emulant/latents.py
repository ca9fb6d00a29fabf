r"""Priors over latent variables, the reparameterisation and Gaussian divergences.

Notation: ``z`` of shape (B, *Z); probabilities in nats. A prior draws from an explicit
generator and lives on the generator's device.

- Kingma and Welling, Auto-Encoding Variational Bayes, 2013, https://arxiv.org/abs/1312.6114
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

__all__ = [
    "Normal",
    "OneHot",
    "Prior",
    "Pushforward",
    "Signs",
    "Uniform",
    "kl_diagonal_normals",
    "reparameterise",
]


class Prior(Protocol):
    """A law from which latents are drawn."""

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` latents, shape (n, *Z)."""
        ...

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the log-density or log-mass in nats, shape (B,)."""
        ...


def _sum_events(values: Tensor) -> Tensor:
    return values.flatten(1).sum(1)


@dataclass(frozen=True, slots=True)
class Normal:
    """Independent standard normal numbers of the given shape Z.

    >>> Normal((3,)).log_prob(torch.zeros(2, 3)).shape
    torch.Size([2])
    """

    shape: tuple[int, ...]

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` latents, shape (n, *Z)."""
        return torch.randn(n, *self.shape, generator=rng, device=rng.device)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return ``-(z^2 + log 2 pi) / 2`` summed over Z, shape (B,)."""
        return _sum_events(-0.5 * (z.square() + math.log(2 * math.pi)))


@dataclass(frozen=True, slots=True)
class Uniform:
    """Independent uniform numbers in [low, high) of the given shape Z."""

    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"'high' must exceed 'low' = {self.low}, got {self.high}")

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` latents, shape (n, *Z)."""
        unit = torch.rand(n, *self.shape, generator=rng, device=rng.device)
        return self.low + (self.high - self.low) * unit

    def log_prob(self, z: Tensor) -> Tensor:
        """Return ``-log(high - low)`` a coordinate, -inf outside, shape (B,)."""
        inside = (z >= self.low) & (z <= self.high)
        height = torch.full_like(z, -math.log(self.high - self.low))
        return _sum_events(height.masked_fill(~inside, -math.inf))


@dataclass(frozen=True, slots=True)
class Signs:
    """Independent signs of the given shape Z: +1 with probability ``p``, else -1.

    Bernoulli bits b are ``(1 + z) / 2``.
    """

    shape: tuple[int, ...]
    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.p < 1:
            raise ValueError(f"'p' must lie between 0 and 1, got {self.p}")

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` latents of -1 and +1, shape (n, *Z)."""
        unit = torch.rand(n, *self.shape, generator=rng, device=rng.device)
        return torch.where(unit < self.p, 1.0, -1.0)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return ``log p`` a +1 and ``log(1 - p)`` a -1, summed over Z, shape (B,)."""
        return _sum_events(torch.where(z > 0, math.log(self.p), math.log1p(-self.p)))


@dataclass(frozen=True, slots=True)
class OneHot:
    """One of ``classes`` classes, all equally likely, as a one-hot vector, Z = (classes,)."""

    classes: int

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise ValueError(f"'classes' must be at least 1, got {self.classes}")

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` one-hot vectors, shape (n, classes)."""
        chosen = torch.randint(self.classes, (n,), generator=rng, device=rng.device)
        return nn.functional.one_hot(chosen, self.classes).to(torch.get_default_dtype())

    def log_prob(self, z: Tensor) -> Tensor:
        """Return ``-log classes``, shape (B,)."""
        return torch.full((len(z),), -math.log(self.classes), device=z.device)


def reparameterise(mean: Tensor, log_variance: Tensor, rng: torch.Generator) -> Tensor:
    """Return ``mean + exp(log_variance / 2) e`` with ``e ~ N(0, 1)``, the shape of ``mean``."""
    e = torch.randn(mean.shape, generator=rng, device=mean.device, dtype=mean.dtype)
    return mean + (0.5 * log_variance).exp() * e


def kl_diagonal_normals(
    mean: Tensor,
    log_variance: Tensor,
    prior_mean: Tensor | None = None,
    prior_log_variance: Tensor | None = None,
) -> Tensor:
    """Return KL(q || p) of diagonal normal laws in nats, shape (B,).

    ``1/2 sum_z [(m - m_p)^2 / v_p + v / v_p - 1 - log(v / v_p)]``; p is standard normal where
    it is not given.

    >>> kl_diagonal_normals(torch.ones(1, 2), torch.zeros(1, 2))
    tensor([1.])
    """
    m = mean if prior_mean is None else mean - prior_mean
    log_ratio = log_variance if prior_log_variance is None else log_variance - prior_log_variance
    squares = m.square() if prior_log_variance is None else m.square() / prior_log_variance.exp()
    return _sum_events(0.5 * (squares + torch.expm1(log_ratio) - log_ratio))


class Pushforward(nn.Module):
    """A plain network ``G(z, c)`` that draws: ``x = G(z, c)``, ``z`` from a prior."""

    def __init__(self, net: nn.Module, prior: Prior) -> None:
        super().__init__()
        self.net = net
        self.prior = prior

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events, shape (n, *X), differentiable in the network."""
        x: Tensor = self.net(self.prior.draw(n, rng), c)
        return x
