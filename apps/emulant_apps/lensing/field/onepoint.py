r"""The distribution of single pixels.

Notation: bins of ν = κ/σ with a fixed σ; F the cumulative distribution; W₁ the Wasserstein
distance of order one,

    W₁(p, q) = ∫ |F_p(ν) - F_q(ν)| dν      (in units of σ).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulant_apps.lensing.field.grid import Floats

__all__ = ["PDF_EDGES", "fractions", "moments", "wasserstein"]

PDF_EDGES = np.linspace(-5.0, 15.0, 401)
"""Edges of the bins of ν; what lies beyond counts in the first and last."""


def fractions(maps: NDArray[np.floating], sigma: float, edges: Floats = PDF_EDGES) -> Floats:
    """Return the share of each map's pixels in each bin, (N, bins); NaN pixels do not count.

    >>> fractions(np.array([[[0.5, 1.5], [1.5, 9.0]]]), 1.0, np.array([0.0, 1.0, 2.0])).tolist()
    [[0.25, 0.75]]
    """
    flat = maps.reshape(len(maps), -1) / sigma
    bins = len(edges) - 1
    found = np.zeros((len(maps), bins))
    for row, values in zip(found, flat, strict=True):
        known = values[~np.isnan(values)]
        index = np.clip(np.searchsorted(edges, known, side="right") - 1, 0, bins - 1)
        row += np.bincount(index, minlength=bins) / max(1, len(known))
    return found


def wasserstein(p: Floats, q: Floats, edges: Floats = PDF_EDGES) -> float:
    """Return W₁ between two binned distributions, in units of ν.

    >>> wasserstein(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.0, 1.0, 2.0]))
    1.0
    """
    gap = np.abs(np.cumsum(p) - np.cumsum(q))
    return float(gap @ np.diff(edges))


def moments(maps: NDArray[np.floating]) -> Floats:
    """Return ⟨κ⟩, ⟨κ²⟩, ⟨κ³⟩ and ⟨κ⁴⟩ of each map, (N, 4)."""
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    return np.stack([np.nanmean(flat**order, axis=1) for order in (1, 2, 3, 4)], axis=1)
