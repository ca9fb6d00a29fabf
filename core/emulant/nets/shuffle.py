"""Channels into space and back, in any number of dimensions (pixel shuffle).

Notation: (B, K r^D, *grid) <-> (B, K, *(r grid)), the channel index running over (K, r, ..., r)
with the last offset fastest, as in ``torch.nn.functional.pixel_shuffle``.

- Shi et al., Real-Time Single Image Super-Resolution, 2016, https://arxiv.org/abs/1609.05158
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["channels_to_space", "space_to_channels"]


def channels_to_space(h: Tensor, r: int = 2) -> Tensor:
    """Return maps on a grid that is ``r`` times finer, with ``r^D`` times fewer channels.

    >>> import torch
    >>> channels_to_space(torch.zeros(1, 8, 3, 5)).shape
    torch.Size([1, 2, 6, 10])
    """
    grid = h.shape[2:]
    d = len(grid)
    if h.shape[1] % r**d:
        raise ValueError(f"'h' must have a multiple of {r**d} channels, got {h.shape[1]}")
    h = h.reshape(len(h), -1, *(r,) * d, *grid)
    interleaved = [axis for k in range(d) for axis in (2 + d + k, 2 + k)]
    return h.permute(0, 1, *interleaved).reshape(len(h), h.shape[1], *(r * side for side in grid))


def space_to_channels(h: Tensor, r: int = 2) -> Tensor:
    """Return maps on a grid that is ``r`` times coarser; the inverse of the other.

    >>> import torch
    >>> space_to_channels(torch.zeros(1, 2, 6, 10)).shape
    torch.Size([1, 8, 3, 5])
    """
    grid = h.shape[2:]
    d = len(grid)
    if any(side % r for side in grid):
        raise ValueError(f"'h' must have sides that {r} divides, got {tuple(grid)}")
    h = h.reshape(len(h), h.shape[1], *(part for side in grid for part in (side // r, r)))
    offsets, cells = range(3, 3 + 2 * d, 2), range(2, 2 + 2 * d, 2)
    return h.permute(0, 1, *offsets, *cells).reshape(len(h), -1, *(side // r for side in grid))
