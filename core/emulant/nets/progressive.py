r"""Networks that grow: a generator and a critic that work at any of their stages.

Notation: stage k works on a grid of sides ``base 2^k``; share a of the newest stage in [0, 1].
Weights are stored as N(0, 1) and scaled where they are used by He's ``sqrt(2 / inputs)``, so
that Adam moves all of them equally fast (equalised learning rate, section 4.1).

- Karras et al., Progressive Growing of GANs for Improved Quality, Stability, and Variation,
  2017, https://arxiv.org/abs/1710.10196
- He et al., Delving Deep into Rectifiers, 2015, https://arxiv.org/abs/1502.01852
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from emulant.conditions import embed
from emulant.nets.conv import convolution

__all__ = [
    "Equalised",
    "MinibatchDeviation",
    "PixelNorm",
    "ProgressiveCritic",
    "ProgressiveGenerator",
    "enlarge",
    "halve",
]


class Equalised(nn.Module):
    """A linear layer or convolution whose stored weights are N(0, 1).

    Weights in use are ``gain / sqrt(inputs)`` times those stored; biases start at zero.
    """

    def __init__(self, layer: nn.Module, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        if not (isinstance(layer.weight, Tensor) and isinstance(layer.bias, Tensor)):
            raise ValueError(f"'layer' must have a weight and a bias, got {type(layer)}")
        nn.init.normal_(layer.weight)
        nn.init.zeros_(layer.bias)
        self.layer, self.scale = layer, gain / math.sqrt(layer.weight[0].numel())

    def forward(self, h: Tensor) -> Tensor:
        """Return ``scale (W h) + b``."""
        bias = self.layer.bias
        assert isinstance(bias, Tensor)
        without: Tensor = self.layer(h) - bias.reshape(-1, *(1,) * (h.ndim - 2))
        return self.scale * without + bias.reshape(-1, *(1,) * (h.ndim - 2))


class PixelNorm(nn.Module):
    """``h / sqrt(mean over maps of h^2)`` at every place."""

    def forward(self, h: Tensor) -> Tensor:
        """Return maps of unit mean square, the shape of ``h``."""
        return h * (h.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class MinibatchDeviation(nn.Module):
    """One more map: the deviation over the batch, averaged over maps and places; one number."""

    def forward(self, h: Tensor) -> Tensor:
        """Return (B, K + 1, *grid) from (B, K, *grid)."""
        deviation = (h.var(0, correction=0) + 1e-8).sqrt().mean()
        return torch.cat([h, deviation.expand(len(h), 1, *h.shape[2:])], 1)


def enlarge(x: Tensor) -> Tensor:
    """Return ``x`` with every cell repeated twice along each side of the grid."""
    for side in range(2, x.ndim):
        x = x.repeat_interleave(2, side)
    return x


def halve(x: Tensor) -> Tensor:
    """Return the means of the blocks of 2 cells along each side of the grid."""
    for side in range(2, x.ndim):
        x = x.unflatten(side, (-1, 2)).mean(side + 1)  # type: ignore[no-untyped-call] # torch's
    return x


def _blend(old: Tensor, new: Tensor, share: float) -> Tensor:
    """Return ``(1 - share) old + share new``; exactly one of them at 0 and at 1."""
    return torch.lerp(old, new, share) if 0 < share < 1 else (new if share >= 1 else old)


class _Growing(nn.Module):
    """What generator and critic share: their stages, and the one they are at."""

    def __init__(self, grid: Sequence[int], stages: int, periodic: bool) -> None:
        super().__init__()
        factor = 2 ** (stages - 1)
        if any(side % factor for side in grid):
            raise ValueError(f"'grid' must have multiples of {factor}, got {tuple(grid)}")
        self.base = tuple(side // factor for side in grid)
        self.stages, self.periodic = stages, periodic
        self.stage, self.share = stages - 1, 1.0

    def _conv(self, inputs: int, outputs: int, kernel: int = 3, gain: float = 2**0.5) -> nn.Module:
        layer = convolution(len(self.base), inputs, outputs, self.periodic, kernel)
        return Equalised(layer, gain)

    def at(self, stage: int, share: float = 1.0) -> None:
        """Work at ``stage`` from now on, its newest part blended in by ``share``."""
        if not (0 <= stage < self.stages and 0 <= share <= 1):
            raise ValueError(f"'stage' must lie below {self.stages}, got {stage}, share {share}")
        self.stage, self.share = stage, share


class ProgressiveGenerator(_Growing):
    """From a latent on the hypersphere to events of the grid of its stage.

    Arguments
    ---------
    grid : sides of an event at the last stage.
    channels : channels of an event.
    widths : feature maps at each stage, from coarse to fine.
    latent : length of the latent.
    context, embedded : network ``c -> e`` and its length, or None and 0.
    periodic : whether the grid wraps around.

    Examples
    --------
    >>> generator = ProgressiveGenerator((8, 8), 1, (8, 4), latent=5)
    >>> generator.draw(3, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        grid: Sequence[int],
        channels: int,
        widths: Sequence[int],
        latent: int,
        context: nn.Module | None = None,
        embedded: int = 0,
        periodic: bool = True,
    ) -> None:
        super().__init__(grid, len(widths), periodic)
        if (context is None) != (embedded == 0):
            raise ValueError(f"'embedded' must be positive if there is a context, got {embedded}")
        self.context, self.latent, act = context, latent, nn.LeakyReLU(0.2)
        cells = widths[0] * prod(self.base)
        self.first = nn.Sequential(
            Equalised(nn.Linear(latent + embedded, cells)), nn.Unflatten(1, (widths[0], *self.base))
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(act, PixelNorm(), self._conv(i, o), act, PixelNorm(), self._conv(o, o))
            for i, o in zip((widths[0], *widths[:-1]), widths, strict=True)
        )
        self.show = nn.ModuleList(self._conv(width, channels, 1, gain=1.0) for width in widths)

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events of the present stage, shape (n, channels, *grid / 2^...)."""
        z = torch.randn(n, self.latent, generator=rng, device=rng.device)
        return self(PixelNorm()(z), c)  # type: ignore[no-any-return] # Module.__call__

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the events of given latents, shape (B, latent)."""
        e = embed(self.context, c)
        h = self.first(z if e is None else torch.cat([z, e], 1))
        before = h = self.blocks[0](h)
        for block in list(self.blocks)[1 : self.stage + 1]:
            before, h = h, block(enlarge(h))
        new: Tensor = self.show[self.stage](leaky_relu(h, 0.2))
        if self.stage == 0 or self.share >= 1:
            return new
        return _blend(enlarge(self.show[self.stage - 1](leaky_relu(before, 0.2))), new, self.share)


class ProgressiveCritic(_Growing):
    """From events of the grid of its stage to logits; arguments as in the generator.

    >>> ProgressiveCritic((8, 8), 1, (8, 4))(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3])
    """

    def __init__(
        self,
        grid: Sequence[int],
        channels: int,
        widths: Sequence[int],
        context: nn.Module | None = None,
        embedded: int = 0,
        periodic: bool = True,
    ) -> None:
        super().__init__(grid, len(widths), periodic)
        if (context is None) != (embedded == 0):
            raise ValueError(f"'embedded' must be positive if there is a context, got {embedded}")
        self.context, act, w = context, nn.LeakyReLU(0.2), widths[0]
        self.see = nn.ModuleList(self._conv(channels, width, 1) for width in widths)
        self.blocks = nn.ModuleList(  # block k - 1 leads from stage k to stage k - 1
            nn.Sequential(self._conv(i, i), act, self._conv(i, o), act) for o, i in pairwise(widths)
        )
        self.spread = nn.Sequential(MinibatchDeviation(), self._conv(w + 1, w), act, nn.Flatten())
        self.last = nn.Sequential(
            Equalised(nn.Linear(w * prod(self.base) + embedded, w)),
            act,
            Equalised(nn.Linear(w, 1), gain=1.0),
        )

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the logits, shape (B,)."""
        e, k = embed(self.context, c), self.stage
        sides = tuple(side * 2**k for side in self.base)
        if x.shape[2:] != sides:
            raise ValueError(f"'x' must have the grid {sides} of stage {k}, got {x.shape[2:]}")
        h = leaky_relu(self.see[k](x), 0.2)
        if k > 0:
            h = halve(self.blocks[k - 1](h))
            if self.share < 1:
                h = _blend(leaky_relu(self.see[k - 1](halve(x)), 0.2), h, self.share)
        for block in list(self.blocks)[: max(0, k - 1)][::-1]:
            h = halve(block(h))
        v = self.spread(h)
        logits: Tensor = self.last(v if e is None else torch.cat([v, e], 1)).squeeze(1)
        return logits
