r"""Minkowski functionals of the parts of a map above a threshold.

Notation: ν = κ/σ, subscripts derivatives along the axes, δ a bin of width dν:

    V₀ = ⟨1(κ > ν)⟩,   V₁ = ¼ ⟨δ(κ - ν) |∇κ|⟩,
    V₂ = (1/2π) ⟨δ(κ - ν) (2 κ_x κ_y κ_xy - κ_x² κ_yy - κ_y² κ_xx) / |∇κ|²⟩,

area fraction, boundary length and Euler characteristic per area, in arcmin⁻¹ and arcmin⁻².
Derivatives are central differences of inner pixels. For a Gaussian field with σ₁² = ⟨|∇κ|²⟩,

    V₀ = ½ erfc(ν/√2),  V₁ = (σ₁/σ) e^(-ν²/2) / (8√2),  V₂ = (σ₁/σ)² ν e^(-ν²/2) / (2 (2π)^(3/2)).

- Schmalzing and Gorski, Minkowski functionals used in the morphological analysis of cosmic
  microwave background anisotropy maps, 1998, https://arxiv.org/abs/astro-ph/9710185
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from emulant_apps.lensing.field.grid import Floats, Patch

__all__ = ["THRESHOLDS", "gaussian_functionals", "minkowski"]

THRESHOLDS = np.linspace(-2.0, 4.0, 13)
"""Centres of the bins of ν."""


def minkowski(
    patch: Patch,
    maps: NDArray[np.floating],
    sigma: float,
    thresholds: Floats = THRESHOLDS,
    width: float = 0.25,
) -> Floats:
    """Return V₀, V₁ and V₂ of each map, (N, 3, thresholds), bins ``width`` of ν wide."""
    k = maps.astype(np.float64) / sigma
    step = patch.arcmin
    inner = k[:, 1:-1, 1:-1]
    kx = (k[:, 2:, 1:-1] - k[:, :-2, 1:-1]) / (2 * step)
    ky = (k[:, 1:-1, 2:] - k[:, 1:-1, :-2]) / (2 * step)
    kxx = (k[:, 2:, 1:-1] + k[:, :-2, 1:-1] - 2 * inner) / step**2
    kyy = (k[:, 1:-1, 2:] + k[:, 1:-1, :-2] - 2 * inner) / step**2
    kxy = (k[:, 2:, 2:] + k[:, :-2, :-2] - k[:, 2:, :-2] - k[:, :-2, 2:]) / (4 * step**2)
    square = kx**2 + ky**2
    curvature = np.divide(
        2 * kx * ky * kxy - kx**2 * kyy - ky**2 * kxx,
        square,
        out=np.zeros_like(square),
        where=square > 0,
    )
    count = inner[0].size
    found = np.empty((len(maps), 3, len(thresholds)))
    low, high = thresholds - 0.5 * width, thresholds + 0.5 * width
    for row, values, slope, bend in zip(found, inner, np.sqrt(square), curvature, strict=True):
        rank = np.argsort(values.ravel(), kind="stable")
        ranked = values.ravel()[rank]
        row[0] = 1 - np.searchsorted(ranked, thresholds, side="right") / count
        first, last = np.searchsorted(ranked, low), np.searchsorted(ranked, high)
        for order, (what, norm) in enumerate(((slope, 4.0), (bend, 2 * np.pi)), start=1):
            sums = np.append(0.0, np.cumsum(what.ravel()[rank]))
            row[order] = (sums[last] - sums[first]) / (norm * width * count)
    return found


def gaussian_functionals(slope: float, thresholds: Floats = THRESHOLDS) -> Floats:
    """Return V₀, V₁ and V₂ of a Gaussian field of σ₁/σ = ``slope``, arcmin⁻¹, (3, thresholds)."""
    nu = thresholds
    bell = np.exp(-0.5 * nu**2)
    return np.stack(
        [
            0.5 * erfc(nu / np.sqrt(2)),
            slope * bell / (8 * np.sqrt(2)),
            slope**2 * nu * bell / (2 * (2 * np.pi) ** 1.5),
        ]
    )
