r"""Missing sky and edges: weights, and the power of weighted maps.

Notation: weight w(x) in [0, 1], zero where a pixel is missing, κ̄ = Σ w κ / Σ w:

    P(ℓ) = Δ² |Σ_x w (κ - κ̄) e^(-iℓx)|² / (n² ⟨w²⟩),

unbiased where C_ℓ changes little over the width of w̃. The taper is a cosine over a distance r
from the edge of what is known: w = (1 - cos(π d/r))/2 for d < r.

- Hivon et al., MASTER of the CMB anisotropy power spectrum, 2002,
  https://arxiv.org/abs/astro-ph/0105302
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from emulant_apps.lensing.field.grid import Floats, Patch

__all__ = ["masked_power", "taper"]


def taper(known: NDArray[np.bool_], pixels: float, edges: bool = True) -> Floats:
    """Return w (n, n): cosine over ``pixels`` from each missing pixel and, with ``edges``, rim.

    >>> taper(np.ones((4, 4), bool), 0.0).min()
    np.float64(1.0)
    """
    if pixels <= 0:
        return known.astype(np.float64)
    padded = np.pad(known, 1, constant_values=not edges)
    distance = distance_transform_edt(padded)[1:-1, 1:-1] - 0.5
    share = np.clip(distance / pixels, 0, 1)
    weight: Floats = np.where(known, 0.5 * (1 - np.cos(np.pi * share)), 0.0)
    return weight


def masked_power(patch: Patch, maps: NDArray[np.floating], weight: Floats) -> Floats:
    """Return P(ℓ) (..., n, n), rad², of maps whose weight is zero wherever they are NaN."""
    if np.isnan(maps[..., weight > 0]).any():
        raise ValueError("'weight' must be zero where a map is NaN")
    values = np.where(weight > 0, maps, 0.0).astype(np.float64)
    mean = (values * weight).sum((-2, -1), keepdims=True) / weight.sum()
    power: Floats = patch.power((values - mean) * weight) / np.mean(weight**2)
    return power
