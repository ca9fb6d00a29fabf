r"""A U-Net with time embedding, in one to three dimensions, periodic or not.

Notation: events x (B, channels, *grid); times t (B,); embedded time and context e (B, E).
Down: two residual blocks a level, then halve by averaging; up: double by repetition, join the
maps of the same grid on the way down. Every block, up to a linear map of h, is
``h + conv(silu(FiLM(norm(conv(silu(norm(h)))), e)))``.
The last convolution starts at zero: at first the answer is 0.

- Ronneberger et al., U-Net, 2015, https://arxiv.org/abs/1505.04597
- Ho et al., Denoising Diffusion Probabilistic Models (time in every block), 2020,
  https://arxiv.org/abs/2006.11239
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from emulant.conditions import FiLM, embed
from emulant.nets.conv import convolution
from emulant.nets.embed import FourierTime

__all__ = ["UNet"]


class _Residual(nn.Module):
    """Two convolutions around the identity, modulated by e."""

    def __init__(
        self, dimensions: int, inputs: int, outputs: int, embedded: int, periodic: bool
    ) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(1, inputs)
        self.first = convolution(dimensions, inputs, outputs, periodic)
        self.second_norm = nn.GroupNorm(1, outputs, affine=False)  # FiLM does that
        self.film = FiLM(embedded, outputs)
        self.second = convolution(dimensions, outputs, outputs, periodic)
        self.skip = convolution(dimensions, inputs, outputs, periodic, kernel=1)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        k = self.first(silu(self.first_norm(h)))
        maps: Tensor = self.skip(h) + self.second(silu(self.film(self.second_norm(k), e)))
        return maps


class UNet(nn.Module):
    """``x, t, c -> y`` of the grid of x, for any grid that its levels divide.

    Arguments
    ---------
    dimensions : spatial dimensions, 1 to 3.
    channels, outputs : channels of x and of y.
    widths : feature maps at each level, from fine to coarse.
    context, embedded : network ``c -> e`` and its length, or None and 0.
    time : how time is shown.
    periodic : whether the grid wraps around.

    Examples
    --------
    >>> UNet(2, 1, 1, widths=(4, 8))(torch.zeros(3, 1, 8, 8), torch.zeros(3)).shape
    torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        dimensions: int,
        channels: int,
        outputs: int,
        widths: Sequence[int] = (32, 64),
        context: nn.Module | None = None,
        embedded: int = 0,
        time: FourierTime | None = None,
        periodic: bool = True,
    ) -> None:
        super().__init__()
        if (context is None) != (embedded == 0):
            raise ValueError(f"'embedded' must be positive if there is a context, got {embedded}")
        self.context, self.time = context, FourierTime() if time is None else time
        e = 2 * widths[0]
        self.shown = nn.Sequential(
            nn.Linear(self.time.features + embedded, e), nn.SiLU(), nn.Linear(e, e), nn.SiLU()
        )

        def block(inputs: int, width: int) -> nn.Module:
            return _Residual(dimensions, inputs, width, e, periodic)

        self.first = convolution(dimensions, channels, widths[0], periodic)
        before = (widths[0], *widths[:-1])
        self.down = nn.ModuleList(block(i, o) for i, o in zip(before, widths, strict=True))
        self.middle = block(widths[-1], widths[-1])
        after = (*widths[1:], widths[-1])
        self.up = nn.ModuleList(block(i + o, o) for i, o in zip(after, widths, strict=True))
        self.halve = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[dimensions - 1](2)
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        self.last_norm = nn.GroupNorm(1, widths[0])
        self.last = convolution(dimensions, widths[0], outputs, periodic)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Return y, shape (B, outputs, *grid)."""
        factor = 2 ** (len(self.down) - 1)
        if any(side % factor for side in x.shape[2:]):
            raise ValueError(f"'x' must have sides that {factor} divides, got {tuple(x.shape)}")
        c = embed(self.context, c)
        e = self.shown(self.time(t) if c is None else torch.cat([self.time(t), c], 1))
        h, kept = self.first(x), []
        for level, block in enumerate(self.down):
            h = block(h if level == 0 else self.halve(h), e)
            kept.append(h)
        h = self.middle(h, e)
        for level in reversed(range(len(self.up))):
            h = self.up[level](torch.cat([h, kept[level]], 1), e)
            h = self.enlarge(h) if level > 0 else h
        y: Tensor = self.last(silu(self.last_norm(h)))
        return y
