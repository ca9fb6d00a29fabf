"""Calibrate the transfer of a layout on fixed, paired boxes that make no data.

    python benchmarks/lensing_transfer.py --layout draft

writes apps/emulant_apps/lensing/nbody/transfer_LAYOUT.json.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

import emulant_apps.lensing.nbody as home
from emulant.progress import Progress
from emulant.store import write_json
from emulant_apps.lensing.nbody.transfer import CENTRES, calibrate
from emulant_apps.lensing.theory.cosmology import Cosmology

CORNERS = [(m, s) for m in (0.2, 0.3, 0.4) for s in (0.7, 0.9)]
"""(Ω_m, S₈) of the pairs."""
SEED = 900_000
"""Apart from every seed of a data set, which are derived from small numbers."""


def main() -> None:
    """Simulate the pairs, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layout", default="draft")
    layout = parser.parse_args().layout
    torch.set_num_threads(1)
    cosmologies = [Cosmology(m, s8 / math.sqrt(m / 0.3)) for m, s8 in CORNERS]
    with Progress("calibrate", len(cosmologies)) as progress:
        found = calibrate(layout, cosmologies, SEED, lambda done: progress.update(done, 6))
    record = {
        "command": f"python benchmarks/lensing_transfer.py --layout {layout}",
        "pairs": CORNERS,
        "seed": SEED,
        "k": CENTRES.round(6).tolist(),
        "coefficients": {kind: fit.coefficients.round(6).tolist() for kind, fit in found.items()},
    }
    write_json(Path(home.__path__[0]) / f"transfer_{layout}.json", record)


if __name__ == "__main__":
    main()
