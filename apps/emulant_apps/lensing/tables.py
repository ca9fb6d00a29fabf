"""What the commands print: short tables."""

from __future__ import annotations

import numpy as np

from emulant.tables import aligned
from emulant_apps.lensing.maps import Maps

__all__ = ["maps_table"]


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
        own = np.array([other == label for other in labels])
        k = maps.kappa[own].astype(np.float64)
        deviation = k - np.nanmean(k)
        std = float(np.sqrt(np.nanmean(deviation**2)))
        skewness = float(np.nanmean(deviation**3)) / std**3
        units = len(np.unique(maps.units[own]))
        rows.append(
            [*label, str(int(own.sum())), str(units), f"{std:.5f}", f"{skewness:.2f}",
             f"{np.nanmax(k):.3f}"]
        )  # fmt: skip
    patch = maps.patch
    said = f"{patch.n} x {patch.n} pixels of {patch.arcmin:.3g} arcmin, {maps.degrees:g} degrees\n"
    return aligned(head, rows) + said
