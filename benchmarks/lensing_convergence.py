"""Peaks and C_ell of two layouts of the simulator at the same cosmologies.

    emulant lensing simulate --cosmologies 4 --boxes 6 --maps 40 --size 128 --seed 7 \
        --resolution draft --out draft.h5
    emulant lensing simulate --cosmologies 4 --boxes 6 --maps 40 --size 128 --seed 7 \
        --resolution fine --out fine.h5
    python benchmarks/lensing_convergence.py draft.h5 fine.h5 --docs docs/lensing.md

Peaks are counted in units of the pixel's theoretical standard deviation. Errors are the scatter of
boxes over the square root of their number; neither layout has seen these boxes in its calibration.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulant.tables import markdown
from emulant_apps.lensing.criteria import Layout
from emulant_apps.lensing.field.extrema import PEAK_EDGES
from emulant_apps.lensing.files import read_maps
from emulant_apps.lensing.maps import Maps, degraded
from emulant_apps.lensing.validate import rows_of
from lensing_theory import mean, ratios
from pages import insert


def peaks(maps: Maps) -> NDArray[np.float64]:
    """Return peaks per square degree (boxes, bins of nu)."""
    rows = rows_of(maps)
    own = rows.values[:, Layout(maps.patch).slices["peaks"]]
    return np.array([own[rows.units == box].mean(0) for box in np.unique(rows.units)])


def shown(values: NDArray[np.float64], errors: NDArray[np.float64]) -> list[str]:
    """Return cells of a table."""
    return [f"{v:.3f} ± {e:.3f}" for v, e in zip(values, errors, strict=True)]


def main() -> None:
    """Print both tables for each number of pixels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("draft", type=Path)
    parser.add_argument("fine", type=Path)
    parser.add_argument("--docs", type=Path)
    asked = parser.parse_args()
    both = [read_maps(path) for path in (asked.draft, asked.fine)]
    told = [np.unique(np.stack(m.known_cosmologies("maps"), axis=1), axis=0) for m in both]
    if not np.array_equal(*told):
        raise SystemExit("the two data sets hold other cosmologies")
    text = f"{len(np.unique(both[1].units))} boxes of each layout at {len(told[0])} cosmologies\n\n"
    for factor in (2, 1):
        own = [degraded(m, factor) for m in both]
        n = own[0].patch.n
        ell, draft = ratios(own[0])
        fine = ratios(own[1])[1]
        head = [f"{n}² pixels, ℓ", *(f"{x:.0f}" for x in ell)]
        rows = [["draft, C / theory", *shown(*mean(draft))], ["fine", *shown(*mean(fine))]]
        text += markdown(head, rows) + "\n"
        (few, few_error), (many, many_error) = (mean(peaks(m)) for m in own)
        error = few / many * np.hypot(few_error / few, many_error / many)
        head = [f"{n}² pixels, ν", *(f"{a:g} to {b:g}" for a, b in pairwise(PEAK_EDGES))]
        text += markdown(head, [["peaks, draft / fine", *shown(few / many, error)]]) + "\n"
    insert(
        asked.docs,
        "convergence",
        "Draft against fine",
        "lensing_convergence.py draft.h5 fine.h5",
        text,
    )


if __name__ == "__main__":
    main()
