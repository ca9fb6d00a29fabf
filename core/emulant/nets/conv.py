r"""Fully convolutional generators and critics in one to three dimensions, periodic or not.

Notation: D spatial dimensions; feature maps (B, K, *grid); embedded contexts e (B, E).
A network with periodic padding and no flattening commutes with translations by the coarsest
cell; it can be drawn from at any size that its levels divide.

- Radford et al., Unsupervised Representation Learning with Deep Convolutional GANs, 2015,
  https://arxiv.org/abs/1511.06434
- Shi et al., Real-Time Single Image Super-Resolution (pixel shuffle), 2016,
  https://arxiv.org/abs/1609.05158
- Miyato and Koyama, cGANs with Projection Discriminator, 2018,
  https://arxiv.org/abs/1802.05637
- Karras et al., A Style-Based Generator Architecture (noise at every level), 2018,
  https://arxiv.org/abs/1812.04948
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from emulant.conditions import FiLM, embed
from emulant.nets.minibatch import MinibatchStatistics
from emulant.nets.shuffle import channels_to_space

__all__ = ["ConvCritic", "ConvGenerator", "ModulatedConv", "Norm", "convolution"]

Norm = Literal["none", "batch"]
SLOPE = 0.2
"""Slope of the leaky rectifier below zero (Radford et al. 2015)."""


def convolution(
    dimensions: int, inputs: int, outputs: int, periodic: bool = True, kernel: int = 3
) -> nn.Module:
    """Return a convolution that keeps the grid; its padding wraps around or is zero."""
    if dimensions not in (1, 2, 3):
        raise ValueError(f"'dimensions' must be 1, 2 or 3, got {dimensions}")
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    padding_mode: Literal["circular", "zeros"] = "circular" if periodic else "zeros"
    return kind(inputs, outputs, kernel, padding=kernel // 2, padding_mode=padding_mode)


class ModulatedConv(nn.Module):
    """Convolution, optional batch normalisation, FiLM where there is a context, leaky ReLU."""

    def __init__(
        self,
        dimensions: int,
        inputs: int,
        outputs: int,
        embedded: int = 0,
        periodic: bool = True,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.conv = convolution(dimensions, inputs, outputs, periodic)
        kind = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dimensions - 1]
        self.norm = kind(outputs) if norm == "batch" else nn.Identity()
        self.film = FiLM(embedded, outputs) if embedded else None

    def forward(self, h: Tensor, e: Tensor | None = None) -> Tensor:
        """Return the next maps, shape (B, outputs, *grid)."""
        h = self.norm(self.conv(h))
        if self.film is not None:
            if e is None:
                raise ValueError("'e' must be the embedded context of this layer, got None")
            h = self.film(h, e)
        return leaky_relu(h, SLOPE)


class _Level(nn.Module):
    """Two modulated convolutions on one grid."""

    def __init__(
        self, dimensions: int, inputs: int, outputs: int, embedded: int, periodic: bool, norm: Norm
    ) -> None:
        super().__init__()
        self.first = ModulatedConv(dimensions, inputs, outputs, embedded, periodic, norm)
        self.second = ModulatedConv(dimensions, outputs, outputs, embedded, periodic, norm)

    def forward(self, h: Tensor, e: Tensor | None) -> Tensor:
        maps: Tensor = self.second(self.first(h, e), e)
        return maps


class ConvGenerator(nn.Module):
    """From noise on a coarse grid to events on a fine one, doubling the grid level by level.

    Level 0 convolves noise at the coarsest grid; each later level doubles the grid by channel
    shuffling, adds fresh noise channels, convolves, and is modulated by the context. A
    global latent, if any, joins the context: it carries what no finite receptive field can,
    such as the sign of a magnetisation.

    Arguments
    ---------
    grid : sides of an event, each a multiple of ``2**(len(widths) - 1)``; :meth:`draw` can be
        asked for another.
    channels : channels of an event.
    widths : feature maps at each level, from coarse to fine.
    noise : noise channels that enter at each level.
    context : network ``c -> e``, or None without a context.
    embedded : length E of ``e``.
    latent : length of the global latent.
    periodic : whether the grid wraps around.
    norm : "none", or "batch" as in DCGAN.

    Examples
    --------
    >>> from emulant.rng import torch_rng
    >>> generator = ConvGenerator((8, 8), 1, widths=(16, 8), noise=(4, 2))
    >>> generator.draw(3, torch_rng(0)).shape
    torch.Size([3, 1, 8, 8])
    >>> generator.draw(3, torch_rng(0), grid=(16, 12)).shape
    torch.Size([3, 1, 16, 12])
    """

    def __init__(
        self,
        grid: Sequence[int],
        channels: int,
        widths: Sequence[int],
        noise: Sequence[int],
        context: nn.Module | None = None,
        embedded: int = 0,
        latent: int = 0,
        periodic: bool = True,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        if len(noise) != len(widths):
            raise ValueError(f"'noise' must have {len(widths)} entries, got {len(noise)}")
        if noise[0] < 1:
            raise ValueError(f"'noise' must begin with a positive number, got {noise[0]}")
        if (context is None) != (embedded == 0):
            raise ValueError(f"'embedded' must be positive if there is a context, got {embedded}")
        self.grid, self.noise, self.latent = tuple(grid), tuple(noise), latent
        self.context = context
        d, cell, e = len(self.grid), 2 ** len(self.grid), embedded + latent
        if any(width % cell for width in widths[:-1]):
            raise ValueError(f"'widths' but the last must be multiples of {cell}, got {widths}")
        self._coarse(self.grid)
        inputs = [0, *(width // cell for width in widths[:-1])]
        self.levels = nn.ModuleList(
            _Level(d, i + k, o, e, periodic, norm)
            for i, k, o in zip(inputs, noise, widths, strict=True)
        )
        self.last = convolution(d, widths[-1], channels, periodic)

    def _coarse(self, grid: Sequence[int]) -> tuple[int, ...]:
        factor = 2 ** (len(self.noise) - 1)
        if len(grid) != len(self.grid) or any(side < 1 or side % factor for side in grid):
            raise ValueError(
                f"'grid' must be {len(self.grid)} multiples of {factor}, got {tuple(grid)}"
            )
        return tuple(side // factor for side in grid)

    def draw(
        self,
        n: int,
        rng: torch.Generator,
        c: Tensor | None = None,
        grid: Sequence[int] | None = None,
    ) -> Tensor:
        """Return ``n`` events, shape (n, channels, *grid); unbounded real numbers."""
        coarse = self._coarse(self.grid if grid is None else grid)
        noise = [
            torch.randn(
                n, k, *(side * 2**level for side in coarse), generator=rng, device=rng.device
            )
            for level, k in enumerate(self.noise)
        ]
        shared = torch.randn(n, self.latent, generator=rng, device=rng.device)
        x: Tensor = self(noise, shared, c)
        return x

    def forward(self, noise: Sequence[Tensor], shared: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the events of given noise, one tensor (B, noise[k], *grid_k) a level."""
        e = embed(self.context, c)
        parts = [part for part in (shared if self.latent else None, e) if part is not None]
        e = torch.cat(parts, 1) if parts else None
        h = noise[0]
        for k, level in enumerate(self.levels):
            if k > 0:
                h = torch.cat([channels_to_space(h), noise[k]], 1)
            h = level(h, e)
        x: Tensor = self.last(h)
        return x


class ConvCritic(nn.Module):
    r"""From events on a grid of any size to logits.

    Each level convolves, is modulated by the context, and halves the grid by averaging; the
    mean and the root mean square over the grid of the maps of every level, with what else is
    known of the event, go to ``logit = MLP(v, e) + <v, P e>`` (the projection).

    Arguments
    ---------
    dimensions : spatial dimensions D.
    channels : channels of an event.
    widths : feature maps at each level, from fine to coarse.
    context, embedded : as in :class:`ConvGenerator`.
    extra : length of a further vector of features that the caller may pass.
    group : rows of a batch that share a context and whose statistics are looked at together;
        0 for none.
    """

    def __init__(
        self,
        dimensions: int,
        channels: int,
        widths: Sequence[int],
        context: nn.Module | None = None,
        embedded: int = 0,
        extra: int = 0,
        group: int = 0,
        hidden: int = 64,
        periodic: bool = True,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        if (context is None) != (embedded == 0):
            raise ValueError(f"'embedded' must be positive if there is a context, got {embedded}")
        self.context, self.extra = context, extra
        sizes = zip((channels, *widths), widths, strict=False)
        self.levels = nn.ModuleList(
            ModulatedConv(dimensions, i, o, embedded, periodic, norm) for i, o in sizes
        )
        self.halve = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[dimensions - 1](2)
        self.statistics = MinibatchStatistics(group) if group else None
        features = (2 * sum(widths) + extra) * (3 if group else 1)
        self.head = nn.Sequential(
            nn.Linear(features + embedded, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, 1)
        )
        self.projection = nn.Linear(embedded, features, bias=False) if embedded else None

    def forward(self, x: Tensor, c: Tensor | None = None, extra: Tensor | None = None) -> Tensor:
        """Return the logits, shape (B,), of events (B, channels, *grid)."""
        e = embed(self.context, c)
        pooled = [] if extra is None else [extra]
        if sum(part.shape[1] for part in pooled) != self.extra:
            raise ValueError(f"'extra' must have shape (B, {self.extra}), got {extra}")
        h = x
        for k, level in enumerate(self.levels):
            h = level(h if k == 0 else self.halve(h), e)
            flat = h.flatten(2)
            pooled += [flat.mean(2), (flat.square().mean(2) + 1e-6).sqrt()]
        v = torch.cat(pooled, 1)
        if self.statistics is not None:
            v = self.statistics(v)
        logits: Tensor = self.head(v if e is None else torch.cat([v, e], 1)).squeeze(1)
        if self.projection is not None:
            logits = logits + (v * self.projection(e)).sum(1) / math.sqrt(v.shape[1])
        return logits
