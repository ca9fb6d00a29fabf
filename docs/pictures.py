"""Make the picture of the README: ``python docs/pictures.py`` (about a minute on one core).

Above: states of the shipped emulator, not finished by any sweep, and Monte Carlo states. Below:
their mean energy minus Kaufman's exact result, in units of 10^-3 J per spin, with one standard
error.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from emulant.certify.page import palette
from emulant.store.atomic import atomic_path
from emulant_apps.ising import Emulator, exact, simulate
from emulant_apps.ising.config import CRITICAL
from emulant_apps.ising.data import States
from emulant_apps.ising.hamiltonian import energies

LATTICE = 64
SHOWN = (1.8, 2.2, CRITICAL, 2.35, 2.8)
MEASURED = (1.6, 1.8, 2.0, 2.1, 2.2, CRITICAL, 2.3, 2.35, 2.4, 2.6, 2.8, 3.0, 3.4)
COUNT = 2000
SEED = 0


def main() -> None:
    """Draw, simulate, and write ``docs/images/ising.png``."""
    emulator = Emulator.pretrained()
    drawn = emulator.sample(MEASURED, COUNT, LATTICE, SEED, sweeps=0)
    true = simulate(LATTICE, MEASURED, COUNT, seed=SEED, workers=None)
    with mpl.rc_context({"font.size": 8, "font.family": "DejaVu Sans"}):
        picture = Figure(figsize=(7.0, 5.2), dpi=150, layout="constrained")
        rows = picture.add_gridspec(3, len(SHOWN), height_ratios=(1, 1, 1.1))
        for k, (states, name) in enumerate(((drawn, "emulator"), (true, "Monte Carlo"))):
            for j, temperature in enumerate(SHOWN):
                axes = picture.add_subplot(rows[k, j])
                axes.imshow(states.at(temperature)[0], cmap="gray_r", interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
                if j == 0:
                    axes.set_ylabel(name)
                if k == 0:
                    critical = " (critical)" if temperature == CRITICAL else ""
                    axes.set_title(f"T = {temperature:.3g}{critical}", fontsize=8)
        axes = picture.add_subplot(rows[2, :])
        for states, colour, shift, name in (
            (drawn, palette()["samples"], -0.008, "emulator"),
            (true, palette()["truth"], 0.008, "Monte Carlo"),
        ):
            error, deviation = energy_errors(states)
            axes.errorbar(
                states.temperatures + shift,
                1e3 * error,
                1e3 * deviation,
                fmt="o",
                markersize=3,
                color=colour,
                label=name,
            )
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.set_xlabel("temperature T (J / k_B)")
        axes.set_ylabel("u - exact (10⁻³ J)")
        axes.legend(frameon=False, ncols=2)
        target = Path(__file__).parent / "images" / "ising.png"
        with atomic_path(target) as temporary:
            picture.savefig(temporary, metadata={"Software": None})


def energy_errors(states: States) -> tuple[np.ndarray, np.ndarray]:
    """Return mean energy minus exact, and its standard error, at each temperature."""
    u = np.stack([energies(row) for row in states.spins])
    known = np.array([exact.kaufman(states.lattice, T).energy for T in states.temperatures])
    return u.mean(1) - known, u.std(1) / np.sqrt(states.count)


if __name__ == "__main__":
    main()
