"""Every room once, at a size of seconds: the conformance tests walk here."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from emulant_apps.ising.config import (
    ExactConfig,
    SampleConfig,
    SimulateConfig,
    TrainConfig,
    ValidateConfig,
)
from emulant_apps.ising.data import run as simulate
from emulant_apps.ising.sample import run as sample
from emulant_apps.ising.tables import run_exact
from emulant_apps.ising.train import run as train
from emulant_apps.ising.validate import run as validate

__all__ = ["walk"]

LATTICE = 8
TEMPERATURES = (2.0, 3.0)


def walk(directory: Path, seed: int) -> None:
    """Simulate, train two steps, sample, validate; leave the files in ``directory``."""
    truth, states = directory / "truth.npz", directory / "states.npz"
    simulate(
        SimulateConfig(
            out=truth, lattice=LATTICE, temperatures=TEMPERATURES, count=64, seed=seed, workers=1
        )
    )
    weights = directory / "weights"
    with tempfile.TemporaryDirectory() as scratch:  # the log and the checkpoint hold times
        run = Path(scratch) / "run"
        train(TrainConfig(out=run, data=truth, steps=2, seed=seed, device="cpu", workers=1))
        weights.mkdir()
        shutil.copy(run / "weights.safetensors", weights)
    for out, sweeps in ((states, 4), (directory / "weighted.h5", 0)):
        sample(
            SampleConfig(
                out=out,
                lattice=LATTICE,
                temperatures=TEMPERATURES,
                count=64,
                sweeps=sweeps,
                model=weights,
                seed=seed,
                device="cpu",
                workers=1,
            )
        )
    validate(
        ValidateConfig(states=states, truth=truth, out=directory / "report", seed=seed, workers=1)
    )
    run_exact(ExactConfig(lattice=LATTICE, temperatures=TEMPERATURES, out=directory / "exact.json"))
