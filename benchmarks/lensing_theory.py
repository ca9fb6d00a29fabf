"""Mean C_ell of simulated boxes over the effective theory of their cosmologies.

    emulant lensing simulate --cosmologies 16 --boxes 1 --maps 64 --out sims.h5
    python benchmarks/lensing_theory.py --data sims.h5 --markdown docs/lensing.md

No box of a data set has calibrated the transfer functions; each counts once.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

from emulant.tables import markdown
from emulant_apps.lensing.criteria import Layout
from emulant_apps.lensing.field.pixels import patch_power
from emulant_apps.lensing.files import read_maps
from emulant_apps.lensing.nbody.lightcone import rays_per_pixel
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology
from emulant_apps.lensing.validate import rows_of


def _of_rays(layout: Layout) -> np.ndarray:
    """Return what averaging rays instead of the pixel does to each band, at one cosmology."""
    spectrum = Convergence(Cosmology(0.3, 0.8)).spectrum
    rays = patch_power(layout.patch, spectrum, rays_per_pixel(layout.patch))
    return layout.bands.mean(rays) / layout.bands.mean(patch_power(layout.patch, spectrum))


def main() -> None:
    """Average and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--markdown", type=Path)
    asked = parser.parse_args()
    maps = read_maps(asked.data)
    layout, rows = Layout(maps.patch), rows_of(maps)
    ratio = rows.values[:, layout.slices["power"]]
    boxes = np.array([ratio[rows.units == box].mean(0) for box in np.unique(rows.units)])
    error = boxes.std(0, ddof=1) / np.sqrt(len(boxes))
    head = ["ℓ", *(f"{ell:.0f}" for ell in layout.bands.centres)]
    sampled = boxes.mean(0) / _of_rays(layout)
    table = [
        ["C / theory", *(f"{x:.3f}" for x in boxes.mean(0))],
        ["C / theory of 3 × 3 rays a pixel", *(f"{x:.3f}" for x in sampled)],
        ["±", *(f"{x:.3f}" for x in error)],
    ]
    text = (
        f"`python benchmarks/lensing_theory.py --data sims.h5`, {len(boxes)} boxes at "
        f"{len(np.unique(rows.pairs, axis=0))} cosmologies, {len(maps)} maps\n\n"
        + markdown(head, table)
    )
    print(text)
    if asked.markdown is not None:
        page = asked.markdown.read_text(encoding="utf-8")
        parts = re.split(r"(<!-- /?theory -->)", page)
        parts[2] = "\n" + text
        asked.markdown.write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
