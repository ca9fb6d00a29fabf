r"""Heads: from the numbers that a decoder returns to a law of events.

Notation: a head for events of shape X asks a network for ``width`` numbers an event, ``h`` of
shape (B, width); ``head(h)`` is a torch distribution of event shape X, so that
``head(h).log_prob(x)`` has shape (B,) in nats. torch's distributions draw from its global
stream, therefore a head draws itself: ``head.draw(h, rng)``.
"""

from __future__ import annotations

import math
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch import distributions as laws

__all__ = ["Bernoulli", "Categorical", "Decoder", "Gaussian", "Head", "Observes", "Poisson"]


class Head(nn.Module):
    """A law of events of shape ``event``, given ``per`` numbers for each of their entries."""

    def __init__(self, event: tuple[int, ...], per: int) -> None:
        super().__init__()
        if per < 1 or min(event, default=0) < 1:
            raise ValueError(f"'event' must be positive sizes, got {event}")
        self.event = event
        self.width = per * math.prod(event)

    def forward(self, h: Tensor) -> laws.Distribution:
        """Return the law p(x | h) of events of shape X."""
        raise NotImplementedError

    def draw(self, h: Tensor, rng: torch.Generator) -> Tensor:
        """Return one event for each row of ``h``, shape (B, *X)."""
        raise NotImplementedError

    def mean(self, h: Tensor) -> Tensor:
        """Return E[x | h], shape (B, *X)."""
        mean: Tensor = self(h).mean
        return mean

    def _shaped(self, h: Tensor, *last: int) -> Tensor:
        if h.shape != (len(h), self.width):
            raise ValueError(f"'h' must have shape (B, {self.width}), got {tuple(h.shape)}")
        wide = h.to(torch.promote_types(h.dtype, torch.float32))  # likelihoods need 32 bits
        return wide.reshape(len(h), *self.event, *last)

    def _joint(self, law: laws.Distribution) -> laws.Distribution:
        return laws.Independent(law, len(self.event), validate_args=False)


class Bernoulli(Head):
    """Bits 0 and 1; ``h`` holds their logits.

    >>> Bernoulli((3,))(torch.zeros(2, 3)).log_prob(torch.ones(2, 3))
    tensor([-2.0794, -2.0794])
    """

    def __init__(self, event: tuple[int, ...]) -> None:
        super().__init__(event, 1)

    def forward(self, h: Tensor) -> laws.Distribution:
        """Return independent bits with P(1) = sigmoid(h)."""
        return self._joint(laws.Bernoulli(logits=self._shaped(h), validate_args=False))

    def draw(self, h: Tensor, rng: torch.Generator) -> Tensor:
        """Return bits as 0.0 and 1.0, shape (B, *X)."""
        p = torch.sigmoid(self._shaped(h))
        return (torch.rand(p.shape, generator=rng, device=p.device) < p).to(p.dtype)


class Gaussian(Head):
    """Independent normal numbers around the means in ``h``.

    Arguments
    ---------
    event : shape X.
    sigma : a number, the fixed standard deviation in the events' unit; "shared", one number
        that is learned; "learned", a standard deviation of each entry, from ``h``.
    """

    def __init__(
        self, event: tuple[int, ...], sigma: float | Literal["shared", "learned"] = "shared"
    ) -> None:
        super().__init__(event, 2 if sigma == "learned" else 1)
        if not isinstance(sigma, str) and not sigma > 0:
            raise ValueError(f"'sigma' must be positive, got {sigma}")
        self.sigma = sigma
        self.log_sigma = nn.Parameter(torch.zeros(())) if sigma == "shared" else None

    def _moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        if self.sigma == "learned":
            mean, log_sigma = self._shaped(h, 2).unbind(-1)
            return mean, log_sigma.exp()
        mean = self._shaped(h)
        if self.log_sigma is not None:
            return mean, self.log_sigma.exp().expand_as(mean)
        return mean, torch.full_like(mean, float(self.sigma))

    def forward(self, h: Tensor) -> laws.Distribution:
        """Return independent normal numbers."""
        return self._joint(laws.Normal(*self._moments(h), validate_args=False))

    def draw(self, h: Tensor, rng: torch.Generator) -> Tensor:
        """Return ``mean + sigma e`` with e ~ N(0, 1), shape (B, *X); differentiable."""
        mean, sigma = self._moments(h)
        return mean + sigma * torch.randn(mean.shape, generator=rng, device=mean.device)


class Categorical(Head):
    """One of ``classes`` classes 0 ... classes - 1 an entry; ``h`` holds their logits."""

    def __init__(self, event: tuple[int, ...], classes: int) -> None:
        super().__init__(event, classes)
        self.classes = classes

    def forward(self, h: Tensor) -> laws.Distribution:
        """Return independent classes with P = softmax(h)."""
        logits = self._shaped(h, self.classes)
        return self._joint(laws.Categorical(logits=logits, validate_args=False))

    def draw(self, h: Tensor, rng: torch.Generator) -> Tensor:
        """Return classes as integers, shape (B, *X)."""
        p = self._shaped(h, self.classes).softmax(-1)
        flat = torch.multinomial(p.reshape(-1, self.classes), 1, generator=rng)
        return flat.reshape(len(h), *self.event)

    def mean(self, h: Tensor) -> Tensor:
        """Return the probabilities, the mean of one-hot vectors, shape (B, *X, classes)."""
        return self._shaped(h, self.classes).softmax(-1)


class Poisson(Head):
    """Counts; ``h`` holds the logarithms of their rates."""

    def __init__(self, event: tuple[int, ...]) -> None:
        super().__init__(event, 1)

    def forward(self, h: Tensor) -> laws.Distribution:
        """Return independent counts with rate exp(h)."""
        return self._joint(laws.Poisson(self._shaped(h).exp(), validate_args=False))

    def draw(self, h: Tensor, rng: torch.Generator) -> Tensor:
        """Return counts as floating-point numbers, shape (B, *X)."""
        return torch.poisson(self._shaped(h).exp(), generator=rng)


@runtime_checkable
class Observes(Protocol):
    """A law of events given a latent: a decoder, or a model that someone wrote down."""

    def log_likelihood(self, x: Tensor, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return log p(x | z, c) in nats, shape (B,)."""
        ...

    def draw(self, z: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return one event for each latent, shape (B, *X)."""
        ...

    def mean(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return E[x | z, c], shape (B, *X)."""
        ...


class Decoder(nn.Module):
    """A network ``(z, c) -> h`` of shape (B, head.width), and the head that reads it."""

    def __init__(self, net: nn.Module, head: Head) -> None:
        super().__init__()
        self.net = net
        self.head = head

    def log_likelihood(self, x: Tensor, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return log p(x | z, c) in nats, shape (B,)."""
        if x.shape[1:] != self.head.event:
            raise ValueError(f"'x' must have shape (B, *{self.head.event}), got {tuple(x.shape)}")
        score: Tensor = self.head(self.net(z, c)).log_prob(x)
        return score

    def draw(self, z: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return one event for each latent, shape (B, *X)."""
        return self.head.draw(self.net(z, c), rng)

    def mean(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return E[x | z, c], shape (B, *X)."""
        return self.head.mean(self.net(z, c))
