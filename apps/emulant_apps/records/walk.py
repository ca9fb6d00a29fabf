"""Every room once, at a size of seconds: the conformance tests walk here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from emulant.rng import numpy_rng
from emulant_apps.records.config import (
    DescribeConfig,
    EvaluateConfig,
    ImputeConfig,
    PredictConfig,
    PrepareConfig,
    SynthesiseConfig,
    TrainConfig,
)
from emulant_apps.records.data import Table, wisconsin, write_table
from emulant_apps.records.evaluate import run as evaluate
from emulant_apps.records.files import write_cells
from emulant_apps.records.impute import run as impute
from emulant_apps.records.pipeline import predict_command as predict
from emulant_apps.records.prepare import run as prepare
from emulant_apps.records.report import run as describe
from emulant_apps.records.synthesise import run as synthesise
from emulant_apps.records.train import run as train

__all__ = ["example", "walk"]

COLUMNS = 5


def example(seed: int, rows: int = 240) -> Table:
    """Return a small table with holes: five columns of the Wisconsin table and the diagnosis."""
    table = wisconsin().take([*wisconsin().names[:COLUMNS], "diagnosis"])
    rng = numpy_rng(seed, "records walk")
    table = table.rows(np.sort(rng.permutation(len(table))[:rows]))
    values = table.values.copy()
    values[:, :COLUMNS][rng.random((rows, COLUMNS)) < 0.2] = np.nan
    return replace(table, values=values)


def walk(directory: Path, seed: int) -> None:
    """Describe, impute, train, predict, evaluate, synthesise; leave all files in ``directory``."""
    file = directory / "table.csv"
    write_table(file, example(seed))
    describe(
        DescribeConfig(table=file, out=directory / "described", outcome="diagnosis", seed=seed)
    )
    impute(ImputeConfig(table=file, out=directory / "imputed", m=2, seed=seed))
    train(TrainConfig(table=file, outcome="diagnosis", out=directory / "model", seed=seed))
    predict(PredictConfig(table=file, model=directory / "model", out=directory / "scores.csv"))
    evaluate(
        EvaluateConfig(
            table=file, outcome="diagnosis", out=directory / "evaluated", folds=2, seed=seed,
            classifiers=("logistic", "boosting"),
        )
    )  # fmt: skip
    synthesise(
        SynthesiseConfig(
            table=file, out=directory / "synthetic.csv", count=120, outcome="diagnosis", seed=seed
        )
    )
    long = [("p1", "00:00", "HR", "80"), ("p1", "01:30", "HR", "90"), ("p2", "00:10", "HR", "70")]
    names = ("RecordID", "Time", "Parameter", "Value")
    write_cells(directory / "long.csv", names, list(zip(*long, strict=True)))
    prepare(PrepareConfig(source=directory / "long.csv", out=directory / "wide.csv"))
