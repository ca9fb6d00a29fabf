"""Prediction on tables with real holes, and the seed's table: the tables of docs/records.md.

    python benchmarks/records_prediction.py wisconsin --repeats 10 --out prediction.jsonl
    python benchmarks/records_prediction.py nhanes --out prediction.jsonl
    python benchmarks/records_prediction.py support2 --data DIR --out prediction.jsonl
    python benchmarks/records_prediction.py physionet --data DIR --out prediction.jsonl
    python benchmarks/records_prediction.py few-labels --data DIR --out prediction.jsonl

*wisconsin*: scikit-learn's table, 5 folds drawn anew in each repeat, a tenth of the feature cells
hidden completely at random with a new mask each repeat. *support2*: death in hospital from what is
known on day 3; scores, costs, dnr, later stays and follow-up are left out. *nhanes*: adults, "a
doctor told you that you have diabetes"; HbA1c, its treatment, diets and ages at diagnosis are left
out. *physionet*: death in hospital, fitted to set a, judged on set b. *few-labels*: 5 % of the
labels of half of the rows of Wisconsin, of two NHANES outcomes and, with --data, of SUPPORT2 and of
Cleveland's hearts; the other rows of that half unlabelled. Settings are the commands' own; nothing
was tuned on these tables. Results are appended; runs that are in the file are not repeated.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from emulant.rng import derive, numpy_rng
from emulant.tables import markdown
from emulant_apps.records import ACGANClassifier
from emulant_apps.records.config import PrepareConfig
from emulant_apps.records.contracts.folds import out_of_fold
from emulant_apps.records.data import Table, nhanes, read_like, read_table, wisconsin
from emulant_apps.records.evaluate import Judged, judged
from emulant_apps.records.metrics import auc, scores
from emulant_apps.records.pipeline import classifier, problem
from emulant_apps.records.prepare import run as prepare
from pages import write_block

Array = NDArray[np.float64]
Done = set[tuple[str, str, int | None]]
"""Task, model and repeat of the lines that are in the file."""

SUPPORT2_DROP = (
    "Index", "death", "d.time", "slos", "hday", "sfdm2", "charges", "totcst", "totmcst", "avtisst",
    "sps", "aps", "surv2m", "surv6m", "prg2m", "prg6m", "dnr", "dnrday", "adlsc", "adlp", "adls",
)  # fmt: skip
NHANES_DROP = (
    "Diabet", "Insulin", "A1C", "Glycohemoglobin", "Prediabetes", "Diet", "WhatWasYour", "MilkFed",
    "AgeWhenFirstTold",
)  # fmt: skip


def adults_of(outcome: str = "DoctorToldYouHaveDiabetes") -> tuple[Table, list[str]]:
    """Return the adults of NHANES whose outcome is yes or no, and the columns to leave out."""
    table = nhanes()
    y = table[outcome]
    column = table.columns[table.index(outcome)]
    clear = [
        k for k, level in enumerate(column.levels) if level in ("0", "1", "0.0", "1.0", "Yes", "No")
    ]
    adults = table.rows(np.flatnonzero((table["AgeInYearsAtScreening"] >= 18) & np.isin(y, clear)))
    told = [n for n in table.names if n != outcome and any(w in n for w in NHANES_DROP)]
    rare = [n for n, m in zip(adults.names, adults.missing.mean(0), strict=True) if m > 0.6]
    flat = [
        c.name for k, c in enumerate(adults.columns) if c.modelled and _flat(adults.values[:, k])
    ]
    return adults, sorted({*told, *rare, *flat} - {outcome})


def _flat(x: Array) -> bool:
    seen = x[~np.isnan(x)]
    return not len(seen) or bool((seen == seen[0]).all())


def line(name: str, model: str, found: Judged, seconds: float) -> dict[str, Any]:
    """Return one line of results."""
    value = {k: round(v, 4) for k, v in found.value.items()}
    return {
        "task": name, "model": model, **value,
        "auc_low": round(found.low["auc"], 4), "auc_high": round(found.high["auc"], 4),
        "seconds": round(seconds, 1),
    }  # fmt: skip


def folded(
    name: str,
    table: Table,
    outcome: str,
    drop: Sequence[str],
    models: Sequence[str],
    allow: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """Yield out-of-fold results, 5 folds once."""
    thin = [
        c.name
        for k, c in enumerate(table.columns)
        if c.modelled and (~table.missing[:, k]).sum() < 50
    ]
    drop = [d for d in {*drop, *thin} if d in table.names]
    task = problem(table, outcome, drop=drop, allow=allow)
    for model in models:
        started = time.process_time()
        risks = out_of_fold(
            lambda m, s: classifier(m, task.nominal, s),
            [model],
            task.features.values,
            task.y,
            None,
            5,
            1,
            0,
        )[model]
        yield line(name, model, judged(task.y, risks, None, 0), time.process_time() - started)


def run_wisconsin(repeats: int, models: Sequence[str], done: Done) -> Iterator[dict[str, Any]]:
    """Yield one line a repeat and model: accuracy and AUC of the out-of-fold risks."""
    table = wisconsin()
    x, y = table.values[:, :-1], table["diagnosis"]
    for repeat in range(repeats):
        hidden = numpy_rng(0, "wisconsin", repeat).random(x.shape) < 0.1
        for model in models:
            if ("wisconsin", model, repeat) in done:
                continue
            started = time.process_time()
            risks = out_of_fold(
                lambda m, s: classifier(m, (), s),
                [model],
                np.where(hidden, np.nan, x),
                y,
                None,
                5,
                1,
                repeat,
            )[model][0]
            found = {k: round(v, 5) for k, v in asdict(scores(y, risks)).items()}
            yield {
                "task": "wisconsin",
                "model": model,
                "repeat": repeat,
                **found,
                "seconds": round(time.process_time() - started, 1),
            }


def run_physionet(data: Path, models: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield results on set b of models fitted to set a."""
    with tempfile.TemporaryDirectory() as scratch:
        tables = {}
        for part in "ab":
            wide = Path(scratch) / f"{part}.csv"
            prepare(
                PrepareConfig(
                    source=data / f"physionet2012_{part}.parquet",
                    out=wide,
                    summaries=("first", "last", "min", "max"),
                )
            )
            tables[part] = wide
        train = read_table(tables["a"])
        outcome = {}
        for part in "ab":
            known = read_table(data / f"physionet2012_outcomes_{part}.csv")
            outcome[part] = dict(
                zip(known.texts["RecordID"], known["In-hospital_death"], strict=True)
            )
        columns = train.features().columns
        flat = [c.name for c in columns if _flat(train[c.name])]
        columns = tuple(c for c in columns if c.name not in flat)
        ids = {"a": train.texts["RecordID"]}
        test = read_like(tables["b"], columns, "missing")
        ids["b"] = read_table(tables["b"]).texts["RecordID"]
        x = {
            "a": train.take([c.name for c in columns]).values,
            "b": test.take([c.name for c in columns]).values,
        }
        y = {p: np.array([outcome[p].get(i, np.nan) for i in ids[p]]) for p in "ab"}
        keep = {p: np.flatnonzero(~np.isnan(y[p])) for p in "ab"}
        nominal = [k for k, c in enumerate(columns) if c.kind == "nominal"]
        for model in models:
            started = time.process_time()
            fitted = classifier(model, nominal, 0).fit(x["a"][keep["a"]], y["a"][keep["a"]])
            risks = fitted.predict_proba(x["b"][keep["b"]])[None, :, 1]
            yield line(
                "physionet",
                model,
                judged(y["b"][keep["b"]], risks, None, 0),
                time.process_time() - started,
            )


def few_label_tables(data: Path | None) -> dict[str, tuple[Array, Array, list[int]]]:
    """Return rows, outcomes and nominal places of each table that is there."""
    table = wisconsin()
    tables: dict[str, tuple[Array, Array, list[int]]] = {
        "wisconsin": (table.values[:, :-1], table["diagnosis"], [])
    }
    found = [
        (adults_of(name), name)
        for name in ("DoctorToldYouHaveDiabetes", "DoctorEverSaidYouHadArthritis")
    ]
    if data is not None and (data / "support2_dev.csv.gz").is_file():
        found.append(((read_table(data / "support2_dev.csv.gz"), SUPPORT2_DROP), "hospdead"))
    if data is not None and (data / "heart_cleveland.csv").is_file():
        hearts = read_table(data / "heart_cleveland.csv")
        rest = hearts.take([n for n in hearts.names if n != "target"])
        nominal = [k for k, c in enumerate(rest.columns) if c.kind == "nominal"]
        tables["heart"] = (rest.values, (hearts["target"] > 0).astype(float), nominal)
    for (rows, drop), outcome in found:
        kept = [d for d in drop if d in rows.names]
        task = problem(rows, outcome, drop=kept, allow=rows.names)
        tables[outcome] = (task.features.values, task.y, task.nominal)
    return tables


def run_few_labels(repeats: int, data: Path | None, done: Done) -> Iterator[dict[str, Any]]:
    """Yield AUCs with 5 % of the labels, all models on the same rows."""
    tables = few_label_tables(data)
    for name, (x, y, nominal) in tables.items():
        for repeat in range(repeats):
            rng = numpy_rng(repeat, "few labels", name)
            order = rng.permutation(len(y))
            train, test = order[: len(y) // 2], order[len(y) // 2 :]
            few = np.concatenate(
                [
                    np.flatnonzero(y[train] == c)[: max(5, round(0.05 * (y[train] == c).sum()))]
                    for c in (0, 1)
                ]
            )
            seed = derive(repeat, name) % (1 << 31)
            rest = np.delete(train, few)
            for model in ("acgan, semi-supervised", "acgan, labelled only", "network", "logistic"):
                if (f"few-labels {name}", model, repeat) in done:
                    continue
                fitted = _few(model, x[train][few], y[train][few], x[rest], nominal, seed)
                area = auc(y[test], fitted.predict_proba(x[test])[:, 1])
                yield {
                    "task": f"few-labels {name}", "model": model, "repeat": repeat,
                    "labels": len(few), "auc": round(area, 5),
                }  # fmt: skip


def _few(model: str, x: Array, y: Array, rest: Array, nominal: list[int], seed: int) -> Any:
    """Return a model fitted to few labels; the first sees the other rows too."""
    if model == "logistic":
        return classifier("logistic", nominal, seed).fit(x, y)
    fitted = ACGANClassifier(nominal, adversary=model != "network", random_state=seed)
    return fitted.fit(x, y, rest) if model == "acgan, semi-supervised" else fitted.fit(x, y)


MARKS: dict[str, Callable[[str], bool]] = {
    "records real holes": lambda task: task in ("support2", "nhanes", "physionet"),
    "records wisconsin": lambda task: task == "wisconsin",
    "records few labels": lambda task: task.startswith("few-labels"),
}
"""Tasks by their place in the page."""
NUMBERS = ("auc", "accuracy", "average_precision", "brier", "slope", "ece")
HEAD = ("AUC", "accuracy", "average precision", "Brier", "slope", "ECE")


def show(records: list[dict[str, Any]], docs: Path | None) -> None:
    """Print a row a task and model, and put the tables into ``docs``."""
    for mark, belongs in MARKS.items():
        tasks = [t for t in dict.fromkeys(r["task"] for r in records) if belongs(t)]
        if tasks:
            found = [_table(task, [r for r in records if r["task"] == task]) for task in tasks]
            write_block(docs, mark, "\n".join(found))


def _table(task: str, own: list[dict[str, Any]]) -> str:
    """Return a row a model, repeats as mean and standard error, and what pairs of repeats say."""
    models = list(dict.fromkeys(r["model"] for r in own))
    shown = [k for k in NUMBERS if any(k in r for r in own)]
    rows = []
    for model in models:
        same = [r for r in own if r["model"] == model]
        rows.append((model, *(_mean(same, k) for k in shown), str(len(same))))
    head = (task, *(HEAD[NUMBERS.index(k)] for k in shown), "runs")
    by = {m: {r.get("repeat"): r["auc"] for r in own if r["model"] == m} for m in models}
    pairs = ""
    for m in models[1:]:
        shared = [k for k in by[models[0]] if k in by[m] and k is not None]
        if len(shared) > 1:
            gap = np.array([by[m][k] - by[models[0]][k] for k in shared])
            half = student.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap))
            pairs += (
                f"- {m} less {models[0]}, AUC: {gap.mean():+.4f} ± {half:.4f} "
                f"(95 %, {len(gap)} pairs)\n"
            )
    return markdown(head, rows) + ("\n" + pairs if pairs else "")


def _mean(rows: list[dict[str, Any]], name: str) -> str:
    values = np.array([r[name] for r in rows if name in r])
    if not len(values):
        return ""
    if len(values) > 1:
        return f"{values.mean():.4f} ± {values.std(ddof=1) / np.sqrt(len(values)):.4f}"
    if name == "auc" and "auc_low" in rows[0]:
        return f"{values[0]:.4f} ({rows[0]['auc_low']:.3f} to {rows[0]['auc_high']:.3f})"
    return f"{values[0]:.4f}"


def main() -> None:
    """Run what is not there yet, and show everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "task", choices=("wisconsin", "support2", "nhanes", "physionet", "few-labels", "show")
    )
    parser.add_argument("--data", type=Path, default=None, help="directory of the tables")
    parser.add_argument("--out", type=Path, required=True, help="results, a line a model")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--models", nargs="+", default=["logistic", "boosting", "blend"])
    parser.add_argument("--docs", type=Path, default=None, help="page that gets the tables")
    options = parser.parse_args()
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    records = [json.loads(text) for text in lines]
    needs = {"support2": "support2_dev.csv.gz", "physionet": "physionet2012_a.parquet"}.get(
        options.task
    )
    if needs and (options.data is None or not (options.data / needs).is_file()):
        raise SystemExit(f"--data: {needs} is not there; docs/records.md says where it comes from")
    done = {(r["task"], r["model"], r.get("repeat")) for r in records}
    models = [m for m in options.models if (options.task, m, None) not in done]
    found: Iterator[dict[str, Any]] = iter(())
    if options.task == "wisconsin":
        found = run_wisconsin(options.repeats, options.models, done)
    elif options.task == "support2":
        table = read_table(options.data / "support2_dev.csv.gz")
        found = folded("support2", table, "hospdead", SUPPORT2_DROP, models)
    elif options.task == "nhanes":
        table, drop = adults_of()
        found = folded("nhanes", table, "DoctorToldYouHaveDiabetes", drop, models)
    elif options.task == "physionet":
        found = run_physionet(options.data, models)
    elif options.task == "few-labels":
        found = run_few_labels(options.repeats, options.data, done)
    with options.out.open("a") as file:
        for record in found:
            records.append(record)
            file.write(json.dumps(record) + "\n")
            file.flush()
    show(records, options.docs)


if __name__ == "__main__":
    main()
