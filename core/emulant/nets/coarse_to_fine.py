r"""From a map of conditions to an image: a generator coarse to fine, and critics of patches.

Notation: condition maps c (B, L, *grid), such as one-hot labels; images x (B, K, *grid).

The global generator works on the halved grid; the local enhancer adds its own maps of the full
grid, halved, to the global one's features, and doubles the sum. Fresh noise joins c: with it
the image is drawn from a law, without it (``noise=0``) it is a function of c, as in the paper.

- Wang et al., High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs
  (pix2pixHD), 2017, https://arxiv.org/abs/1711.11585
- Isola et al., Image-to-Image Translation with Conditional Adversarial Networks (critics of
  patches), 2016, https://arxiv.org/abs/1611.07004
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from emulant.nets.conv import convolution
from emulant.nets.progressive import enlarge, halve

__all__ = ["CoarseToFine", "PatchCritic", "Seen"]


class _Residual(nn.Module):
    """``h + conv(lrelu(conv(lrelu(h))))``."""

    def __init__(self, dimensions: int, width: int, periodic: bool) -> None:
        super().__init__()
        self.first = convolution(dimensions, width, width, periodic)
        self.second = convolution(dimensions, width, width, periodic)

    def forward(self, h: Tensor) -> Tensor:
        maps: Tensor = h + self.second(leaky_relu(self.first(leaky_relu(h, 0.2)), 0.2))
        return maps


class CoarseToFine(nn.Module):
    """A generator that obeys :class:`~emulant.methods.game.Draws`, its context a map.

    Arguments
    ---------
    dimensions : of the grid.
    labels, channels : L and K.
    widths : feature maps on the full and on the halved grid.
    blocks : residual blocks of the global generator.
    noise : channels of noise beside c.
    periodic : whether the grid wraps around.

    Examples
    --------
    >>> net = CoarseToFine(2, 3, 1, widths=(4, 8))
    >>> net.draw(2, torch.Generator().manual_seed(0), torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(
        self,
        dimensions: int,
        labels: int,
        channels: int,
        widths: tuple[int, int] = (16, 32),
        blocks: int = 3,
        noise: int = 4,
        periodic: bool = True,
    ) -> None:
        super().__init__()
        fine, coarse = widths
        self.labels, self.noise, seen = labels, noise, labels + noise
        self.whole = nn.Sequential(
            convolution(dimensions, seen, coarse, periodic),
            *(_Residual(dimensions, coarse, periodic) for _ in range(blocks)),
        )
        self.enter = convolution(dimensions, seen, fine, periodic)
        self.widen = convolution(dimensions, fine, coarse, periodic)
        self.joined = _Residual(dimensions, coarse, periodic)
        self.narrow = convolution(dimensions, coarse, fine, periodic)
        self.detail = _Residual(dimensions, 2 * fine, periodic)
        self.last = convolution(dimensions, 2 * fine, channels, periodic)

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` images of the maps ``c``, shape (n, channels, *grid)."""
        if c is None or len(c) != n or c.ndim < 3 or c.shape[1] != self.labels:
            got = None if c is None else tuple(c.shape)
            raise ValueError(f"'c' must be maps of shape ({n}, {self.labels}, *grid), got {got}")
        if any(side % 2 for side in c.shape[2:]):
            raise ValueError(f"'c' must have even sides, got {tuple(c.shape[2:])}")
        shape = (n, self.noise, *c.shape[2:])
        seen = torch.cat([c.float(), torch.randn(shape, generator=rng, device=c.device)], 1)
        near = leaky_relu(self.enter(seen), 0.2)
        # halving averages noise away: the global generator sees it at unit variance
        coarse = halve(seen)
        coarse = torch.cat(
            [coarse[:, : self.labels], coarse[:, self.labels :] * 2 ** ((c.ndim - 2) / 2)], 1
        )
        h = self.joined(self.whole(coarse) + self.widen(halve(near)))
        h = torch.cat([leaky_relu(self.narrow(enlarge(h)), 0.2), near], 1)
        x: Tensor = self.last(leaky_relu(self.detail(h), 0.2))
        return x


@dataclass(frozen=True, slots=True)
class Seen:
    """What a critic of patches sees in an image."""

    features: tuple[Tensor, ...]
    """Of every layer, from fine to coarse, shape (B, width, *grid)."""
    logits: Tensor
    """One a patch, shape (B, P)."""


class PatchCritic(nn.Module):
    """``x, c -> Seen``: convolutions that halve the grid between layers.

    >>> critic = PatchCritic(2, 3, 1, widths=(4, 8))
    >>> critic(torch.zeros(2, 1, 8, 8), torch.zeros(2, 3, 8, 8)).logits.shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        dimensions: int,
        labels: int,
        channels: int,
        widths: Sequence[int] = (16, 32),
        periodic: bool = True,
    ) -> None:
        super().__init__()
        inputs = (labels + channels, *widths[:-1])
        self.layers = nn.ModuleList(
            convolution(dimensions, i, o, periodic) for i, o in zip(inputs, widths, strict=True)
        )
        self.last = convolution(dimensions, widths[-1], 1, periodic)

    def forward(self, x: Tensor, c: Tensor) -> Seen:
        """Return features and logits."""
        h, features = torch.cat([x, c.to(x.dtype)], 1), []
        for k, layer in enumerate(self.layers):
            h = leaky_relu(layer(h if k == 0 else halve(h)), 0.2)
            features.append(h)
        return Seen(tuple(features), self.last(h).flatten(1))
