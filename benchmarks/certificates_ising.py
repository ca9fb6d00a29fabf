"""The Ising emulator raw, finished and corrected, side by side.

    python benchmarks/certificates_ising.py --docs docs/ising.md

New states of the shipped weights, or of other networks that know no density, against exact results
and against as many true states as ``--truth``: what ``emulant ising validate --correct`` prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from emulant.rng import derive
from emulant.tables import markdown
from emulant_apps.ising.config import CRITICAL
from emulant_apps.ising.data import simulate
from emulant_apps.ising.sample import Emulator
from emulant_apps.ising.sides import sides_table
from emulant_apps.ising.validate import side_by_side
from pages import insert


@dataclass(frozen=True, kw_only=True)
class Config:
    """How much to draw, and where the table goes."""

    temperatures: tuple[float, ...] = (2.0, CRITICAL, 2.6)
    lattice: int = 32
    count: int = 4000
    """Raw states at each temperature."""
    truth: int = 8000
    """True states at each temperature, by Wolff's algorithm."""
    model: Path | None = None
    """Directory of a trained model; the shipped weights by default."""
    seed: int = 0
    docs: Path | None = None
    """Markdown file with a place for the table."""


def main(config: Config) -> None:
    """Make the table."""
    emulator = Emulator.pretrained() if config.model is None else Emulator.load(config.model)
    states = emulator.sample(
        config.temperatures, config.count, config.lattice, config.seed, sweeps=0, workers=None
    )
    seed = derive(config.seed, "certificates ising truth")
    truth = simulate(config.lattice, config.temperatures, config.truth, seed=seed)
    head, *rows = sides_table(side_by_side(states, truth, seed=config.seed))
    text = (
        f"{config.count:,} states of side {config.lattice} at each temperature, {config.truth:,} "
        "true ones. Bias ± standard error; u and c against exact results, |m| and χ against true "
        f"states:\n\n{markdown(head, rows)}"
    )
    insert(
        config.docs, "certificates:sides", "Raw, finished, corrected", "certificates_ising.py", text
    )


if __name__ == "__main__":
    main(tyro.cli(Config))
