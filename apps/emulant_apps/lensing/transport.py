r"""The network that carries lognormal fields into simulated ones, and its critic.

Notation: κ in units of the pixel's theoretical σ at the cosmology, x₀ the lognormal field of the
right C_ℓ, e the embedded cosmology (Ω_m, S₈), n white noise, G a Gaussian of width θ:

    x = x₀ + (1 - G *) f(x₀, asinh 2x₀, n; e),

f a few residual 3 × 3 convolutions on 2 × 2 blocks. What f adds holds no scale above θ: large
scales, their phases and their dependence on cosmology come from x₀, and with them any size of map.

- Boruah et al., GANSky, 2024, https://arxiv.org/abs/2406.05867
- Shirasaki and Ikeda, 2023, https://arxiv.org/abs/2310.17141
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, silu

from emulant.conditions import ContinuousEmbedding, FiLM
from emulant.nets.conv import ConvCritic, convolution
from emulant.nets.shuffle import channels_to_space, space_to_channels
from emulant_apps.lensing.config import DEGREES, PIXELS
from emulant_apps.lensing.field.grid import Patch, default_bands

__all__ = ["CosmologyCritic", "MapFeatures", "Transport"]

MEAN, SCALE = (0.3, 0.8), (0.06, 0.06)
"""Of (Ω_m, S₈) over the design."""
THETA = 4.3
"""Width of G, pixels: half of a wave at ℓ = 200 passes, in pixels of 4.7 arcmin."""
TRIM = 4
"""Pixels at each side of the torus that the critic does not see, so that nothing wraps."""


def _gaussian(theta: float) -> Tensor:
    reach = int(np.ceil(3 * theta))
    line = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (line / theta) ** 2)
    return kernel / kernel.sum()


class Transport(nn.Module):
    """x₀ and a cosmology in, a map of the same size out; periodic, of any even size.

    Arguments
    ---------
    width, blocks : feature maps, and residual convolutions.
    embedded : length of e.

    Examples
    --------
    >>> net = Transport(8, 1)
    >>> net(torch.zeros(2, 1, 32, 32), torch.tensor([[0.3, 0.8]] * 2), torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 1, 32, 32])
    """  # noqa: E501 - an example on one line

    smooth: Tensor

    def __init__(self, width: int = 32, blocks: int = 3, embedded: int = 16) -> None:
        super().__init__()
        self.context = ContinuousEmbedding(MEAN, SCALE, embedded)
        self.first = convolution(2, 12, width)
        self.blocks = nn.ModuleList(convolution(2, width, width) for _ in range(blocks))
        self.films = nn.ModuleList(FiLM(embedded, width) for _ in range(blocks))
        self.last = convolution(2, width, 4)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)  # at first the lognormal field itself
        self.register_buffer("smooth", _gaussian(THETA), persistent=False)

    def forward(self, source: Tensor, cosmology: Tensor, noise: Tensor) -> Tensor:
        """Return x (B, 1, n, n) from x₀, (Ω_m, S₈) (B, 2) and noise of the shape of x₀."""
        e = self.context(cosmology)
        h = self.first(space_to_channels(torch.cat([source, torch.asinh(2 * source), noise], 1)))
        for block, film in zip(self.blocks, self.films, strict=True):
            h = h + block(film(silu(h), e))
        change = channels_to_space(self.last(silu(h)))
        x: Tensor = source + change - self._blurred(change)
        return x

    def _blurred(self, x: Tensor) -> Tensor:
        reach = len(self.smooth) // 2
        row, column = self.smooth.view(1, 1, 1, -1), self.smooth.view(1, 1, -1, 1)
        x = conv2d(pad(x, (reach, reach, 0, 0), mode="circular"), row)
        blurred: Tensor = conv2d(pad(x, (0, 0, reach, reach), mode="circular"), column)
        return blurred

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return n maps, trimmed at the rim, of contexts (n, 3, side, side): x₀, Ω_m and S₈."""
        if c is None or len(c) != n:
            raise ValueError(f"'c' must hold {n} fields with their cosmology, got {c}")
        source = c[:, :1]
        noise = torch.randn(source.shape, generator=rng, device=source.device)
        x: Tensor = self(source, c[:, 1:, 0, 0], noise)
        return x[:, :, TRIM:-TRIM, TRIM:-TRIM]


class MapFeatures(nn.Module):
    """What is measured on each map in training: band powers, and soft histograms at two scales.

    Maps lose their mean and are tapered before their power is taken. :meth:`standardise` sets
    zero and unit by true maps.
    """

    bands: Tensor
    window: Tensor
    zero: Tensor
    unit: Tensor

    LEVELS = (-2.0, -1.0, -0.3, 0.3, 1.0, 2.0, 3.0, 4.0, 5.5)
    LOWEST = 2
    """Bands left out: what the network adds holds no such scale."""

    def __init__(self, pixels: int = PIXELS) -> None:
        super().__init__()
        patch = Patch(pixels, DEGREES * pixels / PIXELS)
        matrix = default_bands(patch).matrix[self.LOWEST :].reshape(-1, pixels, pixels)
        line = np.minimum(np.arange(pixels) + 0.5, pixels - np.arange(pixels) - 0.5)
        edge = 0.5 * (1 - np.cos(np.pi * np.clip(line / (pixels / 8), 0, 1)))
        self.register_buffer("bands", torch.tensor(matrix.reshape(len(matrix), -1)).float())
        self.register_buffer("window", torch.tensor(edge[:, None] * edge).float())
        self.length = len(matrix) + 2 * len(self.LEVELS) + 2
        self.register_buffer("zero", torch.zeros(self.length))
        self.register_buffer("unit", torch.ones(self.length))

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - the protocol
        """Return the features (B, K) of maps (B, 1, n, n)."""
        x = x - x.mean((2, 3), keepdim=True)
        modes = torch.fft.fft2(x[:, 0] * self.window)
        power = modes.real.square() + modes.imag.square()
        logs = torch.log(power.flatten(1) @ self.bands.T)
        rows = [logs]
        for values, sharp in ((x, 4.0), (nn.functional.avg_pool2d(x, 2), 5.0)):
            flat = values.flatten(1)
            rows += [torch.sigmoid(sharp * (flat - level)).mean(1, keepdim=True)
                     for level in self.LEVELS]  # fmt: skip
        slope = (x[:, :, 1:] - x[:, :, :-1]).flatten(1)
        across = (x[:, :, :, 1:] - x[:, :, :, :-1]).flatten(1)
        rows.append(torch.log(slope.abs().mean(1, keepdim=True)))
        rows.append(torch.log(across.abs().mean(1, keepdim=True)))
        return (torch.cat(rows, 1) - self.zero) / self.unit

    def standardise(self, maps: Tensor) -> None:
        """Measure zero and unit on true ``maps`` (N, 1, n, n)."""
        with torch.no_grad():
            found = self(maps)
            self.unit.copy_(found.std(0).clamp(min=1e-6))
            self.zero.copy_(found.mean(0))


class CosmologyCritic(nn.Module):
    """A critic of maps and their features, given the cosmology alone, not the source field."""

    def __init__(self, features: MapFeatures, widths: tuple[int, ...] = (32, 48, 64)) -> None:
        super().__init__()
        self.features = features
        self.network = ConvCritic(
            2,
            8,
            widths,
            ContinuousEmbedding(MEAN, SCALE, 16),
            16,
            extra=features.length,
            periodic=False,
        )

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return logits (B,)."""
        if c is None:
            raise ValueError("'c' must hold the cosmology, got None")
        x = x - x.mean((2, 3), keepdim=True)
        seen = space_to_channels(torch.cat([x, torch.asinh(2 * x)], 1))
        extra = torch.tanh(self.features(x) / 4) * 4
        cosmology = c[:, 1:, 0, 0] if c.ndim == 4 else c
        logits: Tensor = self.network(seen, cosmology, extra)
        return logits
