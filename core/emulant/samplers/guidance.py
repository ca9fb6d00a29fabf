r"""Classifier-free guidance of a network that was trained with its condition now and then hidden.

    F_w(x, t, c) = F(x, t, ?) + w (F(x, t, c) - F(x, t, ?)):

w = 1 asks for p(x | c), w = 0 for p(x), w > 1 leans away from what is not c. The law that
w > 1 draws from is sharper than p(x | c) and is no longer a conditional law of the data.

- Ho and Salimans, Classifier-Free Diffusion Guidance, 2022, https://arxiv.org/abs/2207.12598
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["TimedNet", "guided"]

TimedNet = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""``F(x, t, c)``, shapes (B, *X), (B,), (B, *C) -> (B, *X)."""


def guided(net: TimedNet, x: Tensor, t: Tensor, c: Tensor | None, guidance: float) -> Tensor:
    """Return F_w; "not known" is NaN for floating-point contexts, -1 for integer classes."""
    if c is None and guidance != 1:
        raise ValueError(f"'c' must be given where 'guidance' is not 1, got {guidance}")
    known = net(x, t, c)
    if c is None or guidance == 1:
        return known
    unknown = net(x, t, torch.full_like(c, float("nan") if c.is_floating_point() else -1))
    return unknown + guidance * (known - unknown)
