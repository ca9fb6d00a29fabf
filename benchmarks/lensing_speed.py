"""Maps a second on one core: the emulator, lognormal fields, the simulator and its replays.

    python benchmarks/lensing_speed.py --markdown docs/lensing.md

Seconds are of the processor, user and system, so that a busy machine changes little.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from emulant.tables import markdown
from emulant.threads import one_thread
from emulant_apps.lensing.config import DEGREES
from emulant_apps.lensing.data import lognormal_shift
from emulant_apps.lensing.field.grid import Patch
from emulant_apps.lensing.field.random import RandomSky
from emulant_apps.lensing.nbody.lightcone import LAYOUTS, render, simulate_planes
from emulant_apps.lensing.nbody.transfer import load_deficits, transfers
from emulant_apps.lensing.sample import Emulator
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology
from pages import write_block
from timing import seconds

COSMOLOGY = Cosmology(0.3, 0.8)


@one_thread()
def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--markdown", type=Path)
    asked = parser.parse_args()
    kappa = Convergence(COSMOLOGY)
    rates: dict[str, float] = {}
    for size, pixels in ((64, 64), (128, 128), (128, 64)):
        emulator = Emulator.pretrained(pixels)
        count, name = asked.count * 64**2 // size**2, f"{size}² on {DEGREES * size / pixels:g}°"
        emulator.sample(0.3, 0.8, 4, size)  # what is made once
        spent = seconds(partial(emulator.sample, 0.3, 0.8, count, size))
        rates[f"emulator, {name}"] = count / spent
        sky = RandomSky(
            Patch(size, DEGREES * size / pixels), kappa.spectrum, lognormal_shift(0.0117)
        )
        spent = seconds(partial(sky.draw, count, np.random.default_rng(0)))
        rates[f"lognormal, {name}"] = count / spent
    held = []
    box = seconds(lambda: held.append(simulate_planes(kappa, LAYOUTS["draft"], 1)))
    gains = transfers(kappa, held[0], load_deficits("draft"))
    patch = Patch(64, 5.0)
    first = seconds(lambda: render(held[0], gains, patch, 1, 0))
    many = seconds(lambda: render(held[0], gains, patch, 21, 0))
    rates["replays of one box's planes, 64² (not independent)"] = 20 / (many - first)
    rates["particle mesh, one map a box, 64²"] = 1 / (box + first)
    base = rates["particle mesh, one map a box, 64²"]
    rows = [[name, f"{rate:.3g}", f"{rate / base:.3g}"] for name, rate in rates.items()]
    text = f"`python benchmarks/lensing_speed.py --count {asked.count}`, one core\n\n" + markdown(
        ("maker", "maps / s", "relative to a new box"), rows
    )
    write_block(asked.markdown, "speed", text)


if __name__ == "__main__":
    main()
