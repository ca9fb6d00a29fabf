"""What the commands print: short tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulant.tables import aligned
from emulant_apps.lensing.maps import Maps

__all__ = ["maps_table"]

STEP = 256
"""Maps of which moments are taken at a time."""


def maps_table(maps: Maps) -> str:
    """Return, for each cosmology, the maps, their boxes, standard deviation and skewness."""
    head = ["Omega_m", "sigma_8", "maps", "boxes", "std", "skewness", "max"]
    if maps.omega_m is None or maps.sigma8 is None:
        labels = [("?", "?")] * len(maps)
    else:
        pairs = zip(maps.omega_m, maps.sigma8, strict=True)
        labels = [(f"{m:.4g}", f"{s:.4g}") for m, s in pairs]
    rows = []
    for label in dict.fromkeys(labels):
        own = np.flatnonzero([other == label for other in labels])
        std, skewness, largest = _moments(maps.kappa, own)
        units = len(np.unique(maps.units[own]))
        rows.append(
            [*label, str(len(own)), str(units), f"{std:.5f}", f"{skewness:.2f}", f"{largest:.3f}"]
        )
    patch = maps.patch
    said = f"{patch.n} x {patch.n} pixels of {patch.arcmin:.3g} arcmin, {maps.degrees:g} degrees\n"
    return aligned(head, rows) + said


def _moments(kappa: NDArray[np.float32], own: NDArray[np.intp]) -> tuple[float, float, float]:
    """Return σ, skewness and largest pixel of some maps, a few of them in memory at a time."""

    def mean(power: int, centre: float) -> float:
        total, pixels = 0.0, 0
        for start in range(0, len(own), STEP):
            k = kappa[own[start : start + STEP]].astype(np.float64)
            total += float(np.nansum((k - centre) ** power))
            pixels += k.size - int(np.isnan(k).sum())
        return total / pixels

    centre = mean(1, 0.0)
    std = mean(2, centre) ** 0.5
    largest = max(float(np.nanmax(kappa[k])) for k in own)
    return std, mean(3, centre) / std**3, largest
