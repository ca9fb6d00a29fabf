"""From a table to a model on disk and back: the commands impute, train and predict.

A run's directory holds ``model.safetensors``: the arrays of the estimator and, in its header, the
record of its columns, of its classes and of where it came from. Levels of fewer than ten patients
are one level, "(other)", before anything is learned, so that none of them is ever saved.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.errors import PASS, InputError
from emulant.store import current, hash_file, new_directory, new_file, plain, write_json
from emulant_apps.records.codes import Audit
from emulant_apps.records.config import PredictConfig, TrainConfig
from emulant_apps.records.data import Table, read_like, read_table, require_columns
from emulant_apps.records.files import write_cells
from emulant_apps.records.metrics import auc
from emulant_apps.records.schema import OTHER, Column, read_schema
from emulant_apps.records.words import say

__all__ = [
    "Problem",
    "Saved",
    "classifier",
    "load_model",
    "problem",
    "require_free",
    "save_model",
    "settled",
]

Array = NDArray[np.float64]
FILE = "model.safetensors"
TELLS = 0.9995
"""AUC of a single column beyond which it is taken for the outcome itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Features and outcome of the rows whose outcome is known."""

    features: Table
    outcome: Column
    y: Array
    """(n,): 1 for the level whose risk is predicted."""
    positive: str
    rows: NDArray[np.intp]
    """Places of the rows in the table."""

    @property
    def nominal(self) -> list[int]:
        """Places of the nominal features."""
        return nominal_of(self.features.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A model as it was saved."""

    estimator: Any
    columns: tuple[Column, ...]
    record: Mapping[str, Any]
    content: str


def nominal_of(columns: Sequence[Column]) -> list[int]:
    """Return the places of the nominal columns."""
    return [k for k, c in enumerate(columns) if c.kind == "nominal"]


def settled(table: Table) -> Table:
    """Return ``table`` with its rare levels as one, and the columns as they may be saved."""
    columns, values, audit = [], table.values.copy(), list(table.audit)
    for k, column in enumerate(table.columns):
        code = values[:, k]
        seen = ~np.isnan(code)
        if column.kind != "nominal":
            columns.append(column.saved({}))
            continue
        number = np.bincount(code[seen].astype(int), minlength=len(column.levels))
        counts = dict(zip(column.levels, number.tolist(), strict=True))
        kept = column.saved(counts)
        place = {level: i for i, level in enumerate(kept.levels)}
        new = np.array([place.get(level, place.get(OTHER, 0)) for level in column.levels], float)
        pooled = int(sum(n for level, n in counts.items() if level not in place))
        audit.append(
            Audit(f"levels of fewer than 10 patients read as {OTHER}", column.name, pooled)
        )
        values[seen, k] = new[code[seen].astype(int)]
        columns.append(kept)
    return replace(
        table, columns=tuple(columns), values=values, audit=tuple(a for a in audit if a.count)
    )


def problem(
    table: Table,
    outcome: str,
    positive: str | None = None,
    drop: Sequence[str] = (),
    allow: Sequence[str] = (),
) -> Problem:
    """Return features and outcome of ``table``.

    Raises
    ------
    InputError
        The outcome is not there, has no two levels, or is among the features in disguise.
    """
    for name in (*drop, *allow):
        table.index(name)
    column, y = table.columns[table.index(outcome)], table[outcome]
    rows = np.flatnonzero(~np.isnan(y))
    levels = [column.levels[int(v)] if column.levels else f"{v:g}" for v in np.unique(y[rows])]
    if column.kind == "text" or len(levels) > 10:
        raise InputError(
            f"{table.name}: column '{outcome}': is no outcome of two levels; "
            f"it was read as {column.kind}"
        )
    if len(levels) < 2:
        raise InputError(
            f"{table.name}: column '{outcome}': has a single class among "
            f"{len(rows)} rows with an outcome"
        )
    if positive is None:
        if len(levels) > 2:
            raise InputError(
                f"{table.name}: column '{outcome}': has {len(levels)} levels; say which one's risk "
                "is predicted with --positive"
            )
        positive = levels[-1]
    if positive not in levels:
        raise InputError(f"--positive: column '{outcome}' has no such level")
    case = np.unique(y[rows])[levels.index(positive)]
    y = (y[rows] == case).astype(float)
    features = settled(table.rows(rows).features((*drop, outcome)))
    if not features.columns:
        raise InputError(f"{table.name}: has no column to predict from")
    require_columns(features)
    refuse_outcome(features, outcome, y, allow)
    return Problem(features, column, y, positive, rows)


def refuse_outcome(features: Table, outcome: str, y: Array, allow: Sequence[str]) -> None:
    """Raise where one column tells the outcome almost perfectly.

    Raises
    ------
    InputError
        Naming the column; --drop leaves it out, --allow keeps it.
    """
    for k, column in enumerate(features.columns):
        x = features.values[:, k]
        seen = ~np.isnan(x)
        if column.name in allow or seen.sum() < 20 or len(np.unique(y[seen])) < 2:
            continue
        scores = [x[seen]]
        if column.kind == "nominal":
            code = x[seen].astype(int)
            share = np.bincount(code, y[seen]) / np.maximum(np.bincount(code), 1)
            scores = [share[code]] if len(share) < seen.sum() / 4 else []
        for score in scores:
            area = auc(y[seen], score)
            if max(area, 1 - area) > TELLS:
                raise InputError(
                    f"{features.name}: column '{column.name}': tells the outcome '{outcome}' "
                    f"almost perfectly (AUC {max(area, 1 - area):.4f}); if it is the outcome in "
                    f"disguise or recorded after it, --drop {column.name}; "
                    f"else --allow {column.name}"
                )


def imputer(method: str, nominal: Sequence[int], seed: int) -> Any:
    """Return the imputer called ``method``, unfitted."""
    from emulant_apps.records.contracts import chained, hybrid, networks, simple

    kinds = {
        "hybrid": hybrid.HybridImputer,
        "chained": chained.ChainedEquationsImputer,
        "denoising": networks.StackedDenoisingImputer,
        "gain": networks.GAINImputer,
        "miwae": networks.MIWAEImputer,
        "mean": simple.MeanImputer,
    }
    return kinds[method](nominal=list(nominal), random_state=seed)


def classifier(name: str, nominal: Sequence[int], seed: int) -> Any:
    """Return the model called ``name``, unfitted; acgan and network follow the seed's imputer."""
    from emulant_apps.records.contracts import adversarial, baselines, networks, simple

    places = list(nominal)
    if name in ("acgan", "network"):
        return simple.ImputedClassifier(
            networks.StackedDenoisingImputer(nominal=places, steps=600, random_state=seed),
            adversarial.ACGANClassifier(
                nominal=places, adversary=name == "acgan", random_state=seed
            ),
        )
    kinds = {
        "logistic": baselines.IndicatorLogistic,
        "boosting": baselines.BoostedClassifier,
        "blend": baselines.BlendedClassifier,
        "lightgbm": baselines.LightGBMClassifier,
    }
    return kinds[name](nominal=places, random_state=seed)


def save_model(
    directory: Path, estimator: Any, columns: Sequence[Column], record: Mapping[str, Any]
) -> str:
    """Write ``model.safetensors``; return its content hash."""
    from emulant_apps.records.contracts.saving import dump
    from emulant_apps.records.model import write_model

    body, arrays = dump(estimator)
    metadata = {"kind": "records", "columns": list(columns), "estimator": body, **record}
    return write_model(directory / FILE, arrays, metadata)


def load_model(directory: Path) -> Saved:
    """Return the model of a run's directory.

    Raises
    ------
    InputError
        There is none, it is damaged, or it is another application's.
    """
    from emulant_apps.records.contracts.saving import load
    from emulant_apps.records.model import read_model

    file = directory / FILE
    if not file.is_file():
        raise InputError(f"{directory}: holds no {FILE}; name a directory of impute or train")
    arrays, record, content = read_model(file)
    if record.get("kind") != "records":
        raise InputError(f"{file}: is no model of emulant records")
    columns = tuple(
        Column(**{**c, "levels": tuple(c["levels"]), "missing": tuple(c["missing"])})
        for c in record["columns"]
    )
    return Saved(load(record["estimator"], arrays), columns, record, content)


def require_free(directory: Path) -> None:
    """Raise, before any work, where ``directory`` could not be made or holds something.

    Raises
    ------
    InputError
        Name a new directory.
    """
    if directory.is_dir():
        new_directory(directory)
    else:
        new_file(directory)


def train_command(config: TrainConfig) -> int:
    """Run ``emulant records train``."""
    table = read_table(config.table, read_schema(config.schema))
    task = problem(table, config.outcome, config.positive, config.drop, config.allow)
    require_free(config.out)
    estimator = classifier(config.classifier, task.nominal, config.seed)
    estimator.fit(task.features.values, task.y)
    provenance = current("records train", config, config.seed, hash_file(config.table))
    record = {
        "task": "predict",
        "outcome": config.outcome,
        "positive": task.positive,
        "rows": len(task.y),
        "prevalence": round(float(task.y.mean()), 4),
        "classifier": config.classifier,
        "provenance": plain(provenance),
    }
    directory = new_directory(config.out)
    content = save_model(directory, estimator, task.features.columns, record)
    write_json(
        directory / "card.json", {**record, "content": content, "columns": task.features.names}
    )
    say(
        [
            f"{config.classifier}: fitted to {len(task.y):,} rows, "
            f"{len(task.features.columns)} columns",
            f"model: {directory}",
            "judge it with: emulant records evaluate",
        ]
    )
    return PASS


def predict_command(config: PredictConfig) -> int:
    """Run ``emulant records predict``."""
    new_file(config.out, overwrite=True)
    saved = load_model(config.model)
    if saved.record.get("task") != "predict":
        raise InputError(f"{config.model}: holds an imputer; name a directory of train")
    table = read_like(config.table, saved.columns, config.unseen)
    features = table.take([c.name for c in saved.columns])
    risk = saved.estimator.predict_proba(features.values)[:, 1]
    names = [c.name for c in table.columns if c.role == "identifier" and c.name in table.texts][:1]
    columns: list[list[Any]] = [list(table.texts[n]) for n in names]
    columns += [list(range(2, len(risk) + 2)), [round(float(r), 6) for r in risk]]
    columns += [np.isnan(features.values).sum(1).tolist()]
    write_cells(config.out, [*names, "row", "risk", "missing cells"], columns)
    sys.stdout.write(f"risks of {len(risk):,} patients: {config.out}\n")
    return PASS
