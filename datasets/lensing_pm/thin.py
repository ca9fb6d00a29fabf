"""Keep six maps of each box and average 2 × 2 of their pixels: thin.py WHOLE SAMPLE."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from emulant_apps.lensing.files import read_maps, write_maps
from emulant_apps.lensing.maps import degraded

EACH = 6


def main() -> None:
    """Read, pick, average, write."""
    whole = read_maps(sys.argv[1])
    first = np.concatenate([np.flatnonzero(whole.units == box)[:EACH] for box in
                            np.unique(whole.units)])  # fmt: skip
    few = degraded(replace(whole, linear=None).pick(np.sort(first)), 2)
    notes = {**few.notes, "thinned": f"{EACH} maps of each box, 2 x 2 pixels averaged"}
    write_maps(sys.argv[2], replace(few, notes=notes))


if __name__ == "__main__":
    main()
