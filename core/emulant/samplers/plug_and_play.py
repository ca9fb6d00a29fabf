r"""Plug and play generation: a denoiser as prior, any differentiable condition, one walk.

    h <- h + eps1 (R(h) - h) + eps2 grad_h log C(y | G(h)) + N(0, eps3^2)          (eq. 11)

A denoiser R trained at noise s gives ``R(h) - h = s^2 grad log p_s(h)``, p_s the prior blurred by
s. With a step eta, ``eps1 = eta / 2 s^2``, ``eps2 = eta / 2``, ``eps3 = sqrt(eta)`` the walk is
Langevin's, and its law tends, for eta -> 0, to ``p_s(h | y)``: that is classifier guidance at one
noise level. Without noise (eps3 = 0) it climbs to a mode; paper and practice shrink eps3, which
sharpens the law.

- Nguyen et al., Plug and Play Generative Networks, 2016, https://arxiv.org/abs/1612.00005
- Roberts and Tweedie, Exponential convergence of Langevin distributions, 1996,
  https://doi.org/10.2307/3318418
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Strides", "plug_and_play"]

Denoiser = Callable[[Tensor], Tensor]
"""``R(h)``, of the shape of h, (B, *Z)."""
LogCondition = Callable[[Tensor], Tensor]
"""``log C(y | G(h))`` of each h, shape (B,), differentiable; up to a constant."""


@dataclass(frozen=True, slots=True)
class Strides:
    """How far a step goes towards the prior, towards the condition, and by chance."""

    prior: float
    """eps1."""
    condition: float
    """eps2, in the unit of h squared."""
    noise: float
    """eps3, in the unit of h."""

    def __post_init__(self) -> None:
        if min(self.prior, self.condition, self.noise) < 0:
            raise ValueError(f"'strides' must not be negative, got {self}")

    @classmethod
    def langevin(cls, step: float, denoised: float) -> Strides:
        """Return the strides of a Langevin walk for a denoiser trained at noise ``denoised``."""
        if not (step > 0 and denoised > 0):
            raise ValueError(f"'step', 'denoised' must be positive, got {step}, {denoised}")
        return cls(step / (2 * denoised**2), step / 2, math.sqrt(step))


def plug_and_play(
    denoiser: Denoiser,
    log_condition: LogCondition | None,
    h: Tensor,
    strides: Strides,
    steps: int,
    rng: torch.Generator,
) -> Tensor:
    """Return the states after ``steps`` steps from ``h``, shape (B, *Z): one walk a row.

    >>> rng = torch.Generator().manual_seed(0)
    >>> h = plug_and_play(lambda h: 0.5 * h, None, torch.ones(4, 2), Strides(0.5, 0, 0), 50, rng)
    >>> bool(h.abs().max() < 1e-5)
    True
    """
    h = h.detach()
    for _ in range(steps):
        with torch.no_grad():
            move = strides.prior * (denoiser(h) - h)
            move += strides.noise * torch.randn(h.shape, generator=rng, device=h.device)
        if log_condition is not None and strides.condition > 0:
            with torch.enable_grad():
                asked = h.requires_grad_()
                (slope,) = torch.autograd.grad(log_condition(asked).sum(), asked)
            move = move + strides.condition * slope
        h = h.detach() + move
    return h
