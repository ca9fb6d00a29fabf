r"""Peaks and minima: pixels above, or below, all eight neighbours.

Counts are per square degree in bins of ν = κ/σ with a fixed σ; the rim of the map has no
neighbours on one side and is left out, of the counts and of the area.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulant_apps.lensing.field.grid import Floats, Patch

__all__ = ["PEAK_EDGES", "counts", "is_peak"]

PEAK_EDGES = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0)
"""Edges of the bins of ν, of -ν for minima."""


def is_peak(maps: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return whether each inner pixel is above its neighbours, (N, n - 2, n - 2).

    >>> spike = np.zeros((1, 5, 5)); spike[0, 2, 3] = 1
    >>> np.argwhere(is_peak(spike))[0].tolist()
    [0, 1, 2]
    """
    n = maps.shape[-1]
    centre = maps[:, 1:-1, 1:-1]
    found = np.ones(centre.shape, dtype=bool)
    for dx in (0, 1, 2):
        for dy in (0, 1, 2):
            if (dx, dy) != (1, 1):
                found &= centre > maps[:, dx : n - 2 + dx, dy : n - 2 + dy]
    return found


def counts(
    patch: Patch,
    maps: NDArray[np.floating],
    sigma: float,
    edges: tuple[float, ...] = PEAK_EDGES,
    minima: bool = False,
) -> Floats:
    """Return peaks, or minima, per square degree in each bin of ν, (N, bins)."""
    signed = -maps if minima else maps
    found = is_peak(signed)
    area = patch.area * ((patch.n - 2) / patch.n) ** 2
    nu = signed[:, 1:-1, 1:-1] / sigma
    rows = [np.histogram(values[peak], edges)[0] for values, peak in zip(nu, found, strict=True)]
    density: Floats = np.array(rows, dtype=np.float64) / area
    return density
