r"""What critics and generators pay in adversarial games, and how critics are kept smooth.

Notation: ``T(x, c)`` is the critic's logit; ``r = T(x_real, c)`` and ``f = T(x_fake, c)``,
both of shape (B,), row by row under the same context. ``softplus(t) = log(1 + e^t)``.
Every value below is a small frozen record that a method is given; none is a subclass of it.

- Goodfellow et al., Generative Adversarial Nets, 2014, https://arxiv.org/abs/1406.2661
- Arjovsky et al., Wasserstein GAN, 2017, https://arxiv.org/abs/1701.07875
- Gulrajani et al., Improved Training of Wasserstein GANs, 2017,
  https://arxiv.org/abs/1704.00028
- Lim and Ye, Geometric GAN (hinge), 2017, https://arxiv.org/abs/1705.02894
- Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018,
  https://arxiv.org/abs/1801.04406
- Jolicoeur-Martineau, The relativistic discriminator, 2018, https://arxiv.org/abs/1807.00734
- Karras et al., Analyzing and Improving the Image Quality of StyleGAN (lazy
  regularisation), 2019, https://arxiv.org/abs/1912.04958
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from emulant.ratio import logistic

__all__ = [
    "R1",
    "R2",
    "AdversarialLoss",
    "Critic",
    "GradientPenalty",
    "Hinge",
    "NonSaturating",
    "Regulariser",
    "Relativistic",
    "Scored",
    "Wasserstein",
]

Critic = Callable[[Tensor, Tensor | None], Tensor]
"""``critic(x, c) -> logits``, shapes (B, *X), (B, *C) -> (B,)."""


class AdversarialLoss(Protocol):
    """What each side minimises, given the logits of real and fake events."""

    @property
    def paired(self) -> bool:
        """Whether the generator's bill needs the logits of real events."""
        ...

    def critic(self, real: Tensor, fake: Tensor, /) -> Tensor:
        """Return the critic's bill, a scalar."""
        ...

    def generator(self, real: Tensor | None, fake: Tensor, /) -> Tensor:
        """Return the generator's bill, a scalar; ``real`` is None unless ``paired``."""
        ...


@dataclass(frozen=True, slots=True)
class NonSaturating:
    r"""Goodfellow's game with the heuristic of its section 3.

    Critic: ``E softplus(-r) + E softplus(f)``, which is ``-V(D, G)`` with ``D = sigmoid(T)``;
    generator: ``E softplus(-f)``. At the optimum ``T = 0`` and ``V = -log 4``.
    """

    paired: ClassVar[bool] = False

    def critic(self, real: Tensor, fake: Tensor, /) -> Tensor:
        """Return ``E softplus(-r) + E softplus(f)``."""
        return logistic(real, fake)

    def generator(self, _real: Tensor | None, fake: Tensor, /) -> Tensor:
        """Return ``E softplus(-f)``."""
        return softplus(-fake).mean()


@dataclass(frozen=True, slots=True)
class Hinge:
    r"""Critic: ``E relu(1 - r) + E relu(1 + f)``; generator: ``-E f``."""

    paired: ClassVar[bool] = False

    def critic(self, real: Tensor, fake: Tensor, /) -> Tensor:
        """Return ``E relu(1 - r) + E relu(1 + f)``."""
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator(self, _real: Tensor | None, fake: Tensor, /) -> Tensor:
        """Return ``-E f``."""
        return -fake.mean()


@dataclass(frozen=True, slots=True)
class Wasserstein:
    r"""Critic: ``E f - E r``; generator: ``-E f``. Give it :class:`GradientPenalty`."""

    paired: ClassVar[bool] = False

    def critic(self, real: Tensor, fake: Tensor, /) -> Tensor:
        """Return ``E f - E r``."""
        return fake.mean() - real.mean()

    def generator(self, _real: Tensor | None, fake: Tensor, /) -> Tensor:
        """Return ``-E f``."""
        return -fake.mean()


@dataclass(frozen=True, slots=True)
class Relativistic:
    r"""Each real event against the fake of the same row, hence of the same context.

    Critic: ``E softplus(f - r)``; generator: ``E softplus(r - f)``. At the optimum both are
    ``log 2``.
    """

    paired: ClassVar[bool] = True

    def critic(self, real: Tensor, fake: Tensor, /) -> Tensor:
        """Return ``E softplus(f - r)``."""
        return softplus(fake - real).mean()

    def generator(self, real: Tensor | None, fake: Tensor, /) -> Tensor:
        """Return ``E softplus(r - f)``."""
        if real is None:
            raise ValueError("'real' must be the logits of real events, got None")
        return softplus(real - fake).mean()


@dataclass(frozen=True, slots=True)
class Scored:
    """Events that a critic has just scored; ``x`` requires a gradient."""

    x: Tensor
    """Events, shape (B, *X)."""
    c: Tensor | None
    """Contexts, shape (B, *C)."""
    logits: Tensor
    """``T(x, c)``, shape (B,)."""


class Regulariser(Protocol):
    """A penalty on the critic, paid every ``every``-th critic turn, ``every`` times as dear."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    @property
    def every(self) -> int:
        """Number of critic turns from one payment to the next."""
        ...

    def penalty(
        self, critic: Critic, real: Scored, fake: Scored, rng: torch.Generator, /
    ) -> Tensor:
        """Return the penalty of one full payment, a scalar."""
        ...


def _squared_slope(scored: Scored) -> Tensor:
    """Return ``|grad_x T(x, c)|^2`` of each event, shape (B,)."""
    (slope,) = torch.autograd.grad(scored.logits.sum(), scored.x, create_graph=True)
    return slope.float().flatten(1).square().sum(1)


def _check(gamma: float, every: int) -> None:
    if not gamma >= 0:
        raise ValueError(f"'gamma' must not be negative, got {gamma}")
    if every < 1:
        raise ValueError(f"'every' must be at least 1, got {every}")


@dataclass(frozen=True, slots=True)
class R1:
    """``gamma/2 E |grad_x T(x_real)|^2`` (Mescheder 2018, eq. 9)."""

    name: ClassVar[str] = "r1"
    gamma: float = 1.0
    every: int = 1

    def __post_init__(self) -> None:
        _check(self.gamma, self.every)

    def penalty(
        self, _critic: Critic, real: Scored, _fake: Scored, _rng: torch.Generator, /
    ) -> Tensor:
        """Return the squared slope of the logit at real events."""
        return self.gamma / 2 * _squared_slope(real).mean()


@dataclass(frozen=True, slots=True)
class R2:
    """``gamma/2 E |grad_x T(x_fake)|^2`` (Mescheder 2018, section 4.1)."""

    name: ClassVar[str] = "r2"
    gamma: float = 1.0
    every: int = 1

    def __post_init__(self) -> None:
        _check(self.gamma, self.every)

    def penalty(
        self, _critic: Critic, _real: Scored, fake: Scored, _rng: torch.Generator, /
    ) -> Tensor:
        """Return the squared slope of the logit at fake events."""
        return self.gamma / 2 * _squared_slope(fake).mean()


@dataclass(frozen=True, slots=True)
class GradientPenalty:
    """``gamma E (|grad_x T(y)| - 1)^2``, y = e x_real + (1 - e) x_fake, e ~ U(0, 1) (WGAN-GP)."""

    name: ClassVar[str] = "gradient_penalty"
    gamma: float = 10.0
    every: int = 1

    def __post_init__(self) -> None:
        _check(self.gamma, self.every)

    def penalty(
        self, critic: Critic, real: Scored, fake: Scored, rng: torch.Generator, /
    ) -> Tensor:
        """Return the squared distance from 1 of the slope between real and fake events."""
        shape = (len(real.x),) + (1,) * (real.x.ndim - 1)
        e = torch.rand(shape, generator=rng, device=real.x.device)
        y = (e * real.x.detach() + (1 - e) * fake.x.detach()).requires_grad_()
        slope = _squared_slope(Scored(y, real.c, critic(y, real.c))).sqrt()
        return self.gamma * (slope - 1).square().mean()
