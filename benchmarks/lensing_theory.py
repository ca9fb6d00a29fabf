"""Mean C_ell of simulated boxes over the effective theory of their cosmologies.

    emulant lensing simulate --cosmologies 24 --boxes 2 --maps 40 --size 128 --pairs --out sims.h5
    python benchmarks/lensing_theory.py --data sims.h5 --markdown docs/lensing.md

No box of a data set has calibrated the transfer functions; each counts once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from emulant.tables import markdown
from emulant_apps.lensing.field.grid import default_bands
from emulant_apps.lensing.field.pixels import patch_power
from emulant_apps.lensing.files import read_maps
from emulant_apps.lensing.maps import Maps, degraded
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology
from pages import write_block


def ratios(maps: Maps) -> tuple[np.ndarray, np.ndarray]:
    """Return the bands' centres and, of each box, the mean C over theory (boxes, bands)."""
    bands = default_bands(maps.patch)
    pairs = np.stack(maps.known_cosmologies("--data"), axis=1)
    found = []
    for pair in np.unique(pairs, axis=0):
        own = maps.pick(np.all(pairs == pair, axis=1))
        spectrum = Convergence(Cosmology(*pair.tolist())).spectrum
        power = bands.mean(maps.patch.power(own.kappa)) / bands.mean(
            patch_power(maps.patch, spectrum)
        )
        found += [power[own.units == box].mean(0) for box in np.unique(own.units)]
    return bands.centres, np.array(found)


def mean(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over boxes and its standard error, of (boxes, bins)."""
    return found.mean(0), found.std(0, ddof=1) / np.sqrt(len(found))


def main() -> None:
    """Average and print the tables, one for each number of pixels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--markdown", type=Path)
    asked = parser.parse_args()
    maps = read_maps(asked.data)
    cosmologies = len(np.unique(np.stack(maps.known_cosmologies("--data"), axis=1), axis=0))
    text = (
        f"`python benchmarks/lensing_theory.py --data sims.h5`, {len(np.unique(maps.units))} boxes "
        f"at {cosmologies} cosmologies, {len(maps)} maps\n\n"
    )
    for factor in (2, 1) if maps.patch.n > 64 else (1,):
        own = degraded(maps, factor)
        ell, found = ratios(own)
        value, error = mean(found)
        head = [f"{own.patch.n}² pixels, ℓ", *(f"{x:.0f}" for x in ell)]
        rows = [
            ["C / theory", *(f"{x:.3f}" for x in value)],
            ["±", *(f"{x:.3f}" for x in error)],
        ]
        text += markdown(head, rows) + "\n"
    write_block(asked.markdown, "theory", text)


if __name__ == "__main__":
    main()
