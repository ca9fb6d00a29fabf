"""Hidden cells of five tables, imputed by eight methods: the table of docs/records.md.

    python benchmarks/records_imputation.py --data DIR --out imputation.jsonl
    python benchmarks/records_imputation.py --out imputation.jsonl --show --docs docs/records.md
    python benchmarks/records_imputation.py --development --data DIR --out development.jsonl

``--data`` holds support2_dev.csv.gz, heart_cleveland.csv and heart_hungarian.csv; tables that are
not there are left out, and the table says so. A run goes on where an earlier one stopped; what a
method found is void once its own code or settings, the table or the mask have changed.

Each judgement draws a new mask (records_worlds.py) and a new split: 80 % of the rows are learned
from, the hidden cells of the other 20 % are judged, in units of the column's standard deviation.
Numeric columns only. A cell of the table is the mean of its repeats; ranks and ratios are those of
cells. Nothing was tuned on these tables: settings were chosen with ``--development``, on others.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import inspect
import json
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - scikit-learn asks for it
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import BayesianRidge

from emulant.rng import derive, numpy_rng
from emulant.store.hashing import hash_arrays
from emulant.tables import markdown
from emulant_apps.records import (
    GAINImputer,
    HybridImputer,
    MIWAEImputer,
    StackedDenoisingImputer,
    copula,
    encoding,
    gaussian,
    model,
    sample,
    selection,
    train,
    trees,
)
from emulant_apps.records.contracts import boosting, hybrid, restorers, stacking
from emulant_apps.records.methods import gain, miwae
from pages import insert
from records_worlds import development, hide, tables

Array = NDArray[np.float64]

MECHANISMS = ("MCAR", "MAR", "MNAR")
RATES = (0.1, 0.3, 0.5)
STEPS = 600
"""Training steps of the networks: 160 passes over 480 rows."""


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


STACK = (model.stack, model.restorer, train.fit_restorer, train.trained, sample.restore)
CODE: dict[str, Sequence[Any]] = {
    "missForest": (missforest,),
    "GAIN": (GAINImputer, gain.GAIN, model.gain, train.fit_gain, train.trained, sample.gain_fill),
    "MIWAE": (MIWAEImputer, miwae.MIWAE, model.miwae, train.fit_miwae, train.trained),
    "SAE": (StackedDenoisingImputer, *STACK),
    "hybrid": (
        hybrid, gaussian, copula, encoding, selection, trees, boosting, restorers, stacking, *STACK,
    ),
}  # fmt: skip
"""What decides a method's judgements beside its settings and scikit-learn."""


def code_of(method: str) -> str:
    """Return a hash of a method's settings and code; comments, docstrings and types apart."""
    text = [repr(sorted(METHODS[method](0).get_params().items(), key=str)), sklearn.__version__]
    for part in CODE.get(method, ()):
        tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                node.body = [n for n in node.body if not _is_text(n)] or [ast.Pass()]
            if isinstance(node, ast.FunctionDef):
                node.returns = None
            if isinstance(node, ast.arg):
                node.annotation = None
        text.append(ast.dump(tree))
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:12]


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def world(
    x: Array, name: str, mechanism: str, rate: float, repeat: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which cells are hidden, and an order of the rows, the judged ones last."""
    rng = numpy_rng(1, "imputation", name, mechanism, round(100 * rate), repeat)
    hidden = hide(x, mechanism, rate, rng)
    return hidden, rng.permutation(len(x))


def data_of(x: Array, hidden: NDArray[np.bool_], order: NDArray[np.int64]) -> str:
    """Return a hash of a table, of what is hidden in it and of what is judged."""
    return hash_arrays({"x": x, "hidden": hidden, "order": order})[7:19]


def judge(
    x: Array, name: str, mechanism: str, rate: float, repeat: int, method: str
) -> dict[str, Any]:
    """Return the error of one method in one cell, and its coverage where it gives intervals."""
    key = (name, mechanism, round(100 * rate), repeat)
    hidden, order = world(x, name, mechanism, rate, repeat)
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
        "code": code_of(method), "data": data_of(x, hidden, order),
    }  # fmt: skip
    if method == "hybrid":
        low, high = imputer.intervals((masked[test] - mean) / sd)
        low, high = low * sd + mean, high * sd + mean
        inside = ((truth[test] >= low) & (truth[test] <= high))[hidden[test]]
        record |= {"covered": int(inside.sum()), "cells": len(inside)}
    return record


def show(records: list[dict[str, Any]], methods: Sequence[str], docs: Path | None) -> None:
    """Print the tables, and put them into ``docs``."""
    found: dict[tuple[str, str, float], dict[str, dict[tuple[int, str], float]]] = {}
    for r in records:
        cell = found.setdefault((r["table"], r["mechanism"], r["rate"]), {})
        cell.setdefault(r["method"], {})[r["repeat"], r["data"]] = r["nrmse"]
    names = list(dict.fromkeys(r["table"] for r in records))
    rows, errors, rivals = [], [], [m for m in methods if m != "hybrid"]
    for name in names:
        for mechanism in MECHANISMS:
            for rate in RATES:
                cell = found.get((name, mechanism, rate), {})
                shared = set.intersection(*(set(cell.get(m, {})) for m in methods))
                if not shared:
                    continue
                mean = {m: float(np.mean([cell[m][k] for k in shared])) for m in methods}
                errors.append(mean)
                ratio = mean["hybrid"] / min(mean[m] for m in rivals)
                numbers = [f"{mean[m]:.3f}" for m in methods]
                rows.append(
                    (name, mechanism, f"{rate:.0%}", *numbers, f"{ratio:.3f}", str(len(shared)))
                )
    if not rows:
        return
    head = ("table", "mechanism", "rate", *methods, "hybrid / best rival", "repeats")
    text = f"{markdown(head, rows)}\n{_verdict(errors, methods, records)}\n{_covered(records)}"
    command = "records_imputation.py --data DIR --out imputation.jsonl --docs docs/records.md"
    insert(docs, "records imputation", "Hidden cells, measured", command, text)


def _verdict(
    errors: list[dict[str, float]], methods: Sequence[str], records: list[dict[str, Any]]
) -> str:
    """Return mean ranks, ratios and costs, a line each."""
    rank = {
        m: float(np.mean([1 + sum(e[o] < e[m] for o in methods) for e in errors])) for m in methods
    }
    best = [e["hybrid"] / min(v for m, v in e.items() if m != "hybrid") for e in errors]
    cost = {m: float(np.mean([r["seconds"] for r in records if r["method"] == m])) for m in methods}
    ranked = ", ".join(f"{m} {r:.2f}" for m, r in sorted(rank.items(), key=lambda p: p[1]))
    each = ", ".join(
        f"{m} {_mean_ratio([e['hybrid'] / e[m] for e in errors]):.3f}"
        for m in methods
        if m != "hybrid"
    )
    return (
        f"- {len(errors)} cells; mean rank: {ranked}\n"
        f"- hybrid / best rival of the cell: geometric mean {_mean_ratio(best):.3f}, "
        f"worst {max(best):.3f}\n"
        f"- hybrid / each rival, geometric mean: {each}\n"
        f"- mean CPU-s of fit and transform: {', '.join(f'{m} {s:.1f}' for m, s in cost.items())}\n"
    )


def _mean_ratio(ratios: list[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))


def _covered(records: list[dict[str, Any]]) -> str:
    """Return how many hidden cells lie in the hybrid's 95 % intervals."""
    own = [r for r in records if r["method"] == "hybrid"]
    rows = []
    for name in dict.fromkeys(r["table"] for r in own):
        cells = []
        for mechanism in MECHANISMS:
            same = [r for r in own if (r["table"], r["mechanism"]) == (name, mechanism)]
            count = sum(r["cells"] for r in same)
            share = sum(r["covered"] for r in same) / max(count, 1)
            cells.append(f"{share:.3f} ({count:,} cells)" if count else "")
        rows.append((name, *cells))
    return "95 % intervals of the hybrid cover, same run:\n\n" + markdown(
        ("table", *MECHANISMS), rows
    )


def main() -> None:
    """Run what is not there yet, and show everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=None, help="directory of the tables")
    parser.add_argument("--out", type=Path, required=True, help="results, a line a judgement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=tuple(METHODS))
    parser.add_argument("--rates", nargs="+", type=float, default=(0.3, 0.1, 0.5))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="CPU to spend at most")
    parser.add_argument("--show", action="store_true", help="print the table and leave")
    parser.add_argument("--docs", type=Path, default=None, help="page that gets the tables")
    parser.add_argument("--development", action="store_true", help="the other tables")
    options = parser.parse_args()
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    code = {m: code_of(m) for m in METHODS}
    valid = [r for r in map(json.loads, lines) if r.get("code") == code[r["method"]]]
    records = {tuple(r[k] for k in KEY): r for r in valid}
    worlds = development if options.development else tables
    for key, x in _wanted({} if options.show else worlds(options.data), options):
        if key in records and records[key].get("data") == data_of(x, *world(x, *key[:-1])):
            continue
        if time.process_time() > options.seconds:
            continue
        records[key] = judge(x, *key)
        with options.out.open("a") as file:
            file.write(json.dumps(records[key]) + "\n")
    if {"hybrid"} < set(options.methods):
        show(list(records.values()), options.methods, options.docs)


KEY = ("table", "mechanism", "rate", "repeat", "method")


def _wanted(
    found: dict[str, Array], options: argparse.Namespace
) -> Iterator[tuple[tuple[str, str, float, int, str], Array]]:
    """Yield all judgements, one repeat of everything before the next."""
    for repeat in range(options.repeats):
        for rate in options.rates:
            for name, x in found.items():
                for mechanism in MECHANISMS:
                    for method in options.methods:
                        yield (name, mechanism, rate, repeat, method), x


if __name__ == "__main__":
    main()
