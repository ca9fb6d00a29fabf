r"""Networks that carry lognormal fields into simulated ones, and their critic.

Notation: κ in units of the pixel's theoretical σ at the cosmology, x₀ the lognormal field of the
right C_ℓ, e the embedded cosmology (Ω_m, S₈), n white noise, G a Gaussian of width θ. In one step,

    x = x₀ + (1 - G *) f(x₀, asinh 2x₀, n; e),                                  Transport
    dx/dt = (1 - G *) f(x, asinh 2x; e, t),  x(0) = x₀,  x = x(1),              Flow

f a few residual 3 × 3 convolutions on 2 × 2 blocks. Where pixels are fine, others on blocks twice
as wide, of means over 2 × 2 pixels, come first: among the peaks of single pixels a few convolutions
do not find a wave of thirty-six. What f adds holds no scale above θ: large scales, their phases and
their dependence on cosmology come from x₀, and with them any size of map.

- Boruah et al., GANSky, 2024, https://arxiv.org/abs/2406.05867
- Shirasaki and Ikeda, 2023, https://arxiv.org/abs/2310.17141
- Lipman et al., Flow Matching for Generative Modeling, 2022, https://arxiv.org/abs/2210.02747
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad, silu

from emulant.conditions import ContinuousEmbedding, FiLM
from emulant.nets.conv import ConvCritic, convolution
from emulant.nets.shuffle import channels_to_space, space_to_channels
from emulant.samplers.ode import integrate
from emulant_apps.lensing.features import MapFeatures

__all__ = ["Carrier", "CosmologyCritic", "Flow", "Transport", "quartered"]

MEAN, SCALE = (0.3, 0.8), (0.06, 0.06)
"""Of (Ω_m, S₈) over the design."""
THETA = 4.3
"""Width of G, pixels: half of a wave at ℓ = 200 passes, in pixels of 4.7 arcmin."""
TRIM = 4
"""Pixels at each side of a quarter of a torus that the critic does not see."""
QUARTERS = 4
"""Of a torus: squares of half its side, which hold scales longer than their own side."""


def _gaussian(theta: float) -> Tensor:
    reach = int(np.ceil(3 * theta))
    line = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (line / theta) ** 2)
    return kernel / kernel.sum()


class Ladder(nn.Module):
    """Residual 3 x 3 convolutions on 2 x 2 blocks, each modulated by a context; periodic.

    Arguments
    ---------
    inputs : channels that it sees.
    mean, scale : of the context's numbers.
    width, blocks : feature maps, and residual convolutions.
    embedded : length of e.
    """

    def __init__(
        self,
        inputs: int,
        mean: Sequence[float],
        scale: Sequence[float],
        width: int,
        blocks: int,
        embedded: int,
    ) -> None:
        super().__init__()
        self.context = ContinuousEmbedding(mean, scale, embedded)
        self.first = convolution(2, 4 * inputs, width)
        self.blocks = nn.ModuleList(convolution(2, width, width) for _ in range(blocks))
        self.films = nn.ModuleList(FiLM(embedded, width) for _ in range(blocks))

    def hidden(self, seen: Tensor, context: Tensor, added: Tensor | float = 0.0) -> Tensor:
        """Return h (B, width, n/2, n/2) of channels (B, C, n, n), ``added`` to the first h."""
        e = self.context(context)
        h: Tensor = self.first(space_to_channels(seen)) + added
        for block, film in zip(self.blocks, self.films, strict=True):
            h = h + block(film(silu(h), e))
        return h

    def folded_hidden(self, context: Tensor) -> Callable[[Tensor, Tensor | float], Tensor]:
        """Return :meth:`hidden` of one context (1, C), fast, without gradients, void within a rim.

        A convolution of (1 + s) h + t is one of h with weights W (1 + s) and bias b + Σ W t; zeros
        instead of the wrapped rim save a copy of h each time.
        """
        e = self.context(context)
        first = _quick(self.first)
        layers = []
        for block, film in zip(self.blocks, self.films, strict=True):
            w, bias = _quick(block)
            shape = (1, w.shape[1], 1, 1)
            t = film(torch.zeros(shape, device=e.device), e)
            s = film(torch.ones(shape, device=e.device), e) - t
            quick = (w * s).contiguous(memory_format=torch.channels_last)
            layers.append((quick, bias + (w * t).sum((1, 2, 3))))

        def hidden(seen: Tensor, added: Tensor | float) -> Tensor:
            x = space_to_channels(seen).contiguous(memory_format=torch.channels_last)
            h = conv2d(x, *first, padding=1).add_(added)
            for weight, bias in layers:
                h.add_(conv2d(silu(h), weight, bias, padding=1))
            return h

        return hidden


def _quick(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the weights of a convolution, in the order that is fast, and its bias."""
    convolved = cast(nn.Conv2d, layer)
    weight = convolved.weight.contiguous(memory_format=torch.channels_last)
    return weight, cast(Tensor, convolved.bias)


class Carrier(Ladder):
    """f and its high-pass; periodic, of any even side, or one that 4 divides with ``coarse``.

    Arguments
    ---------
    inputs : channels that f sees.
    mean, scale : of the context's numbers.
    width, blocks : feature maps, and residual convolutions.
    embedded : length of e.
    theta : width of G, pixels.
    coarse : residual convolutions on 4 x 4 blocks, of means over 2 x 2 pixels, whose last h those
        on 2 x 2 blocks begin with; 0 for none.
    """

    smooth: Tensor

    def __init__(
        self,
        inputs: int,
        mean: Sequence[float],
        scale: Sequence[float],
        width: int = 32,
        blocks: int = 3,
        embedded: int = 16,
        theta: float = THETA,
        coarse: int = 0,
    ) -> None:
        super().__init__(inputs, mean, scale, width, blocks, embedded)
        self.coarse = self.joint = None
        if coarse:
            self.coarse = Ladder(inputs, mean, scale, width, coarse, embedded)
            self.joint = convolution(2, width, width)
        self.last = convolution(2, width, 4)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)  # at first the lognormal field itself
        self.register_buffer("smooth", _gaussian(theta), persistent=False)

    def forward(self, source: Tensor, cosmology: Tensor, noise: Tensor) -> Tensor:
        """Return x (B, 1, n, n) from x₀, (Ω_m, S₈) (B, 2) and noise of the shape of x₀."""
        raise NotImplementedError

    def change(self, seen: Tensor, context: Tensor) -> Tensor:
        """Return f (B, 1, n, n) before the high-pass, of channels ``seen`` and contexts (B, C)."""
        added: Tensor | float = 0.0
        if self.coarse is not None and self.joint is not None:
            coarse = self.coarse.hidden(avg_pool2d(seen, 2), context)
            added = interpolate(self.joint(silu(coarse)), scale_factor=2)
        return channels_to_space(self.last(silu(self.hidden(seen, context, added))))

    def folded(self, context: Tensor) -> Callable[[Tensor], Tensor]:
        """Return f of one context (1, C), fast, without gradients, void within a rim."""
        hidden, last = self.folded_hidden(context), _quick(self.last)
        coarse = joint = None
        if self.coarse is not None and self.joint is not None:
            coarse, joint = self.coarse.folded_hidden(context), _quick(self.joint)

        def f(seen: Tensor) -> Tensor:
            added: Tensor | float = 0.0
            if coarse is not None and joint is not None:
                h = silu(coarse(avg_pool2d(seen, 2), 0.0), inplace=True)
                added = interpolate(conv2d(h, *joint, padding=1), scale_factor=2)
            h = silu(hidden(seen, added), inplace=True)
            return channels_to_space(conv2d(h, *last, padding=1))

        return f

    def high_passed(self, x: Tensor) -> Tensor:
        """Return (1 - G *) x of a periodic x."""
        reach = len(self.smooth) // 2
        row, column = self.smooth.view(1, 1, 1, -1), self.smooth.view(1, 1, -1, 1)
        wide = conv2d(pad(x, (reach, reach, 0, 0), mode="circular"), row)
        blurred: Tensor = conv2d(pad(wide, (0, 0, reach, reach), mode="circular"), column)
        return x - blurred

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return n maps, trimmed at the rim, of contexts (n, 3, side, side): x₀, Ω_m and S₈.

        Four rows after each other are the quarters of one torus, as :func:`quartered` cuts them,
        which is carried whole: a patch of a sky has scales longer than itself, a torus has not.
        """
        if c is None or len(c) != n or n % QUARTERS:
            raise ValueError(f"'c' must hold {n} quarters of fields with their cosmology, got {c}")
        source = _whole(c[:, :1])
        noise = torch.randn(source.shape, generator=rng, device=source.device)
        x: Tensor = self(source, c[::QUARTERS, 1:, 0, 0], noise)
        return quartered(x)[:, :, TRIM:-TRIM, TRIM:-TRIM]


def quartered(x: Tensor) -> Tensor:
    """Return the quarters (4 B, C, n/2, n/2) of maps (B, C, n, n), those of one after each other.

    >>> quartered(torch.arange(16.0).reshape(1, 1, 4, 4))[1, 0].tolist()
    [[2.0, 3.0], [6.0, 7.0]]
    """
    half = x.shape[-1] // 2
    cut = x.reshape(len(x), -1, 2, half, 2, half).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(QUARTERS * len(x), -1, half, half)


def _whole(x: Tensor) -> Tensor:
    """Return the maps whose quarters are ``x``."""
    half = x.shape[-1]
    joined = x.reshape(-1, 2, 2, x.shape[1], half, half).permute(0, 3, 1, 4, 2, 5)
    return joined.reshape(len(x) // QUARTERS, x.shape[1], 2 * half, 2 * half)


class Transport(Carrier):
    """x₀, a cosmology and noise in, a map of the same size out, at once.

    Examples
    --------
    >>> net = Transport(8, 1)
    >>> net(torch.zeros(2, 1, 32, 32), torch.tensor([[0.3, 0.8]] * 2), torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 1, 32, 32])
    """  # noqa: E501 - an example on one line

    def __init__(
        self,
        width: int = 32,
        blocks: int = 3,
        embedded: int = 16,
        theta: float = THETA,
        coarse: int = 0,
    ) -> None:
        super().__init__(3, MEAN, SCALE, width, blocks, embedded, theta, coarse)

    def seen(self, source: Tensor, noise: Tensor) -> Tensor:
        """Return what f sees, (B, 3, n, n)."""
        return torch.cat([source, torch.asinh(2 * source), noise], 1)

    def forward(self, source: Tensor, cosmology: Tensor, noise: Tensor) -> Tensor:
        """Return x (B, 1, n, n) from x₀, (Ω_m, S₈) (B, 2) and noise of the shape of x₀."""
        return source + self.high_passed(self.change(self.seen(source, noise), cosmology))


class Flow(Carrier):
    """x₀ and a cosmology in, a map out, along a flow of so many evaluations of f, by Heun's rule.

    Examples
    --------
    >>> net = Flow(8, 1, evaluations=2)
    >>> net(torch.ones(2, 1, 32, 32), torch.tensor([[0.3, 0.8]] * 2), torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 1, 32, 32])
    """  # noqa: E501 - an example on one line

    def __init__(
        self,
        width: int = 32,
        blocks: int = 3,
        embedded: int = 16,
        theta: float = THETA,
        evaluations: int = 4,
    ) -> None:
        if evaluations < 2 or evaluations % 2:
            raise ValueError(f"'evaluations' must be even and positive, got {evaluations}")
        super().__init__(2, (*MEAN, 0.5), (*SCALE, 0.3), width, blocks, embedded, theta)
        self.times = [2 * k / evaluations for k in range(evaluations // 2 + 1)]

    def velocity(self, x: Tensor, t: Tensor, cosmology: Tensor) -> Tensor:
        """Return dx/dt (B, 1, n, n) at times ``t`` (B,)."""
        context = torch.cat([cosmology, t[:, None]], 1)
        return self.high_passed(self.change(torch.cat([x, torch.asinh(2 * x)], 1), context))

    def forward(self, source: Tensor, cosmology: Tensor, noise: Tensor) -> Tensor:
        """Return x (B, 1, n, n); the noise of other networks is not used."""
        del noise

        def slope(x: Tensor, t: float) -> Tensor:
            return self.velocity(x, x.new_full((len(x),), t), cosmology)

        return integrate(slope, source, self.times, "heun")


class CosmologyCritic(nn.Module):
    """A critic of maps and their features, given the cosmology alone, not the source field.

    Without ``features`` it sees the maps alone: a penalty on its slope needs a critic that is
    smooth at flat maps, which logarithms of band powers are not.
    """

    def __init__(
        self, features: MapFeatures | None, widths: tuple[int, ...] = (32, 48, 64)
    ) -> None:
        super().__init__()
        self.features = features
        self.network = ConvCritic(
            2,
            8,
            widths,
            ContinuousEmbedding(MEAN, SCALE, 16),
            16,
            extra=0 if features is None else features.length,
            periodic=False,
        )

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return logits (B,)."""
        if c is None:
            raise ValueError("'c' must hold the cosmology, got None")
        x = x - x.mean((2, 3), keepdim=True)
        seen = space_to_channels(torch.cat([x, torch.asinh(2 * x)], 1))
        extra = None if self.features is None else torch.tanh(self.features(x) / 4) * 4
        cosmology = c[:, 1:, 0, 0] if c.ndim == 4 else c
        logits: Tensor = self.network(seen, cosmology, extra)
        return logits
