r"""What is measured on each map in training, for the critic and the energy distance.

The statistics that will judge the maps, made smooth where they jump, so that a slope in the map is
defined. Notation: x a map in units of σ; s_a(u) = 1/(1 + e^(-a u)); y_p the highest of the eight
neighbours of pixel p; δ_l(x) = a s_a(x - l) s_a(l - x), a bell around l of area one:

    pixels above l      ⟨s_a(x - l)⟩, of x and of its means over 2 × 2
    peaks above l       ⟨s_b(x_p - y_p) s_a(x_p - l)⟩; minima those of -x
    length, curvature   ⟨δ_l(x) |∇x|⟩, ⟨δ_l(x) K⟩, the integrands of V₁ and V₂

beside logarithms of the tapered map's band powers and the bispectrum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from emulant_apps.lensing.config import DEGREES, PIXELS
from emulant_apps.lensing.field.bispectrum import default_triangles
from emulant_apps.lensing.field.grid import Patch, default_bands

__all__ = ["PART", "SHARP", "MapFeatures", "boundaries", "soft_peaks"]

SHARP = 4.0
"""a, per σ."""
STEEP = 24.0
"""b, per σ: how far above its neighbours a pixel is a peak."""
PART = 256
"""Maps measured at once: the rings of 4,600 maps of 128² pixels would fill 16 GB."""
FLAT = 3e-3
"""Squared slope, σ² per pixel², below which the curvature fades: it is 0/0 at a peak."""


def soft_peaks(x: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the share of inner pixels that are peaks above each of ``levels``, (B, L), smooth.

    Shape of x: (B, n, n).
    """
    n = x.shape[1]
    inner = x[:, 1:-1, 1:-1]
    around = [
        x[:, i : n - 2 + i, j : n - 2 + j] for i in range(3) for j in range(3) if (i, j) != (1, 1)
    ]
    peak = torch.sigmoid(STEEP * (inner - torch.stack(around).amax(0)))
    return _above(inner, levels, peak)


def boundaries(x: Tensor, levels: Sequence[float]) -> Tensor:
    """Return length and curvature of the contours at ``levels``, (B, 2 L), smooth.

    Shape of x: (B, n, n). Lengths in pixels.
    """
    inner = x[:, 1:-1, 1:-1]
    dx = (x[:, 2:, 1:-1] - x[:, :-2, 1:-1]) / 2
    dy = (x[:, 1:-1, 2:] - x[:, 1:-1, :-2]) / 2
    dxx = x[:, 2:, 1:-1] + x[:, :-2, 1:-1] - 2 * inner
    dyy = x[:, 1:-1, 2:] + x[:, 1:-1, :-2] - 2 * inner
    dxy = (x[:, 2:, 2:] + x[:, :-2, :-2] - x[:, 2:, :-2] - x[:, :-2, 2:]) / 4
    square = dx.square() + dy.square()
    bend = (2 * dx * dy * dxy - dx.square() * dyy - dy.square() * dxx) / (square + FLAT)
    slope = (square + 1e-6).sqrt()
    rows = []
    for level in levels:
        near = torch.sigmoid(SHARP * (inner - level))
        bell = SHARP * near * (1 - near)
        rows += [(bell * slope).mean((1, 2)), (bell * bend).mean((1, 2))]
    return torch.stack(rows, 1)


def _above(values: Tensor, levels: Sequence[float], weight: Tensor | None = None) -> Tensor:
    """Return the weighted share of pixels above each level, (B, L)."""
    rows = []
    for level in levels:
        above = torch.sigmoid(SHARP * (values - level))
        rows.append((above if weight is None else weight * above).mean((1, 2)))
    return torch.stack(rows, 1)


class MapFeatures(nn.Module):
    """The features of maps, in units of their scatter over true ones.

    Maps lose their mean first. :meth:`standardise` sets zero and unit by true maps.
    """

    bands: Tensor
    window: Tensor
    rings: Tensor
    zero: Tensor
    unit: Tensor

    LEVELS = (-2.0, -1.0, -0.3, 0.3, 1.0, 2.0, 3.0, 4.0, 5.5)
    PEAKS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    MINIMA = (0.0, 1.0, 2.0)
    CONTOURS = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
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
        masks, self.sides = default_triangles(patch).filters
        self.register_buffer("rings", torch.tensor(masks).float())
        sizes = {
            "power": len(matrix),
            "pixels": len(self.LEVELS),
            "wide pixels": len(self.LEVELS),
            "peaks": len(self.PEAKS),
            "minima": len(self.MINIMA),
            "contours": 2 * len(self.CONTOURS),
            "bispectrum": len(self.sides),
        }
        ends = np.cumsum(list(sizes.values())).tolist()
        self.parts = {
            name: slice(end - size, end)
            for (name, size), end in zip(sizes.items(), ends, strict=True)
        }
        """Columns of each kind."""
        self.length = ends[-1]
        self.register_buffer("zero", torch.zeros(self.length))
        self.register_buffer("unit", torch.ones(self.length))

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - the protocol
        """Return the features (B, K) of maps (B, 1, n, n)."""
        x = (x - x.mean((2, 3), keepdim=True))[:, 0]
        modes = torch.fft.fft2(x * self.window)
        power = modes.real.square() + modes.imag.square()
        filtered = torch.fft.irfft2(torch.fft.rfft2(x)[:, None] * self.rings, s=x.shape[1:])
        triples = [
            (filtered[:, a] * filtered[:, b] * filtered[:, c]).mean((1, 2))
            for a, b, c in self.sides
        ]
        rows = [
            torch.log(power.flatten(1) @ self.bands.T),
            _above(x, self.LEVELS),
            _above(avg_pool2d(x[:, None], 2)[:, 0], self.LEVELS),
            soft_peaks(x, self.PEAKS),
            soft_peaks(-x, self.MINIMA),
            boundaries(x, self.CONTOURS),
            torch.stack(triples, 1),
        ]
        return (torch.cat(rows, 1) - self.zero) / self.unit

    def standardise(self, maps: Tensor) -> None:
        """Measure zero and unit on true ``maps`` (N, 1, n, n)."""
        with torch.no_grad():
            found = torch.cat([self(part) for part in torch.split(maps, PART)])
            self.unit.copy_(found.std(0).clamp(min=1e-6))
            self.zero.copy_(found.mean(0))
