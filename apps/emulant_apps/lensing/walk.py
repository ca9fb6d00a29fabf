"""A walk through every room of the application, in seconds."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from emulant_apps.lensing.config import (
    MeasureConfig,
    SampleConfig,
    SimulateConfig,
    TrainConfig,
    ValidateConfig,
)
from emulant_apps.lensing.data import run as simulate
from emulant_apps.lensing.measure import run as measure
from emulant_apps.lensing.sample import run as sample
from emulant_apps.lensing.train import run as train
from emulant_apps.lensing.validate import run as validate

__all__ = ["walk"]


def walk(directory: Path, seed: int) -> None:
    """Simulate, train two steps, sample, validate, measure; leave the files in ``directory``."""
    cones, fields = directory / "cones.h5", directory / "fields.h5"
    simulate(
        SimulateConfig(
            out=cones, resolution="tiny", cosmologies=1, boxes=1, maps=2, size=16, seed=seed
        )
    )
    simulate(
        SimulateConfig(out=fields, source="lognormal", cosmologies=4, boxes=2, maps=8, seed=seed)
    )
    weights = directory / "weights"
    with tempfile.TemporaryDirectory() as scratch:  # the log and the checkpoint hold times
        run = Path(scratch) / "run"
        train(TrainConfig(out=run, data=fields, steps=2, seed=seed, device="cpu"))
        weights.mkdir()
        shutil.copy(run / "weights.safetensors", weights)
    drawn = directory / "maps.h5"
    sample(
        SampleConfig(
            out=drawn, like=fields, count=12, model=weights, seed=seed, device="cpu", workers=1
        )
    )
    validate(
        ValidateConfig(maps=drawn, truth=fields, out=directory / "report", seed=seed, workers=1)
    )
    one = directory / "one.fits"
    sample(
        SampleConfig(out=one, count=1, size=33, model=weights, seed=seed, device="cpu", workers=1)
    )
    measure(MeasureConfig(map=one, out=directory / "statistics"))
