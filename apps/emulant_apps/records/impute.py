"""``emulant records impute``: filled tables, intervals, the mask, the long format, the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.page import Page, Section
from emulant.errors import PASS, InputError
from emulant.memory import require_memory
from emulant.rng import derive
from emulant.store import current, hash_file, new_directory, plain, write_json
from emulant_apps.records.config import ImputeConfig
from emulant_apps.records.data import (
    Table,
    printable,
    read_like,
    read_table,
    require_columns,
    write_table,
)
from emulant_apps.records.files import write_cells
from emulant_apps.records.pictures import densities, missing_map
from emulant_apps.records.pipeline import (
    imputer,
    load_model,
    nominal_of,
    require_free,
    save_model,
    settled,
)
from emulant_apps.records.report import audit_section
from emulant_apps.records.schema import Column, read_schema
from emulant_apps.records.words import say, share

__all__ = ["run", "tidied"]

Array = NDArray[np.float64]


def run(config: ImputeConfig) -> int:
    """Run ``emulant records impute``."""
    require_free(config.out)
    table, columns, estimator, record = _prepared(config)
    modelled = table.take([c.name for c in columns])
    missing = modelled.missing
    require_memory(8.0 * missing.size * (3 * config.m + 20), f"--m {config.m}")
    best = tidied(columns, np.asarray(estimator.transform(modelled.values)), missing)
    drawn = []
    if config.m:
        seed = derive(config.seed, "records", "draws") % (1 << 31)
        drawn = [
            tidied(columns, np.asarray(d), missing)
            for d in estimator.draw(modelled.values, config.m, seed)
        ]
    has_intervals = config.method != "mean" or config.model is not None
    low, high = (
        estimator.intervals(modelled.values, config.coverage) if has_intervals else (best, best)
    )
    directory = new_directory(config.out)
    _write(directory, table, columns, missing, best, drawn, (low, high))
    (directory / "model").mkdir(exist_ok=True)
    content = save_model(directory / "model", estimator, columns, record)
    provenance = plain(
        current("records impute", config, config.seed, hash_file(config.table), content)
    )
    write_json(directory / "provenance.json", provenance)
    sections = [
        Section(
            "What was imputed",
            "How much was filled in, and how?",
            None,
            f"{missing.sum():,} cells, {missing.mean():.1%} of {missing.size:,}",
            f"{config.m} tables were drawn beside the one of best guesses. The intervals of single "
            f"cells have the level {config.coverage:.0%}. They hold where cells are missing at "
            "random; where a cell is missing because of what it holds, they are too short.",
            [missing_map(modelled.names, missing)] if missing.any() else [],
        ),
        Section(
            "Observed and imputed",
            "Do imputed values look like observed ones?",
            lead="They need not be alike: those who lack a value may differ. Bins of fewer than 10 "
            "patients are empty.",
            figures=densities(columns, modelled.values, drawn[0] if drawn else best, missing),
        ),
        audit_section(table),
    ]
    Page(f"{table.name}: imputed", sections, provenance).write(directory / "index.html")
    say(
        [
            f"{table.name}: {missing.sum():,} cells imputed "
            f"({share(int(missing.sum()), missing.size)})",
            f"tables: {directory / 'imputed.csv'}"
            + (f", imputed_1 to imputed_{config.m}, long.csv" if config.m else ""),
        ],
        directory / "index.html",
    )
    return PASS


def _prepared(config: ImputeConfig) -> tuple[Table, tuple[Column, ...], Any, dict[str, Any]]:
    """Return the table to fill, the modelled columns, the fitted imputer and its record."""
    if config.model is not None:
        saved = load_model(config.model)
        if saved.record.get("task") != "impute":
            raise InputError(f"{config.model}: holds a classifier; name a directory of impute")
        table = read_like(config.table, saved.columns, config.unseen)
        kept = {k: v for k, v in saved.record.items() if k not in ("kind", "columns", "estimator")}
        return table, saved.columns, saved.estimator, kept
    source = config.fit_on or config.table
    learned = read_table(source, read_schema(config.schema))
    for name in (*config.drop, *([config.outcome] if config.outcome else [])):
        learned.index(name)
    without = list(config.drop)
    if config.outcome and config.purpose == "prediction":
        without.append(config.outcome)
    features = settled(learned.features(without))
    if len(features.columns) < 2:
        raise InputError(f"{source}: has fewer than two columns that can be modelled; see --schema")
    require_columns(features, str(source))
    estimator = imputer(config.method, nominal_of(features.columns), config.seed)
    estimator.fit(features.values)
    made = current("records impute", config, config.seed, hash_file(source))
    record = {
        "task": "impute",
        "method": config.method,
        "rows": len(features),
        "outcome in the imputation model": bool(config.outcome) and config.outcome not in without,
        "provenance": plain(made),
    }
    if config.fit_on is not None:
        table = read_like(config.table, features.columns, config.unseen)
    else:
        names = {c.name: k for k, c in enumerate(features.columns)}
        values, columns = learned.values.copy(), list(learned.columns)
        for k, column in enumerate(columns):
            if column.name in names:
                values[:, k] = features.values[:, names[column.name]]
                columns[k] = features.columns[names[column.name]]
        table = replace(learned, columns=tuple(columns), values=values, audit=features.audit)
    return table, features.columns, estimator, record


def tidied(columns: tuple[Column, ...], values: Array, missing: NDArray[np.bool_]) -> Array:
    """Return imputed cells as the column's kind has them: whole, and within the plausible range."""
    out = values.copy()
    for k, column in enumerate(columns):
        cells = values[missing[:, k], k]
        if column.whole:
            cells = np.round(cells)
        if column.kind == "count":
            cells = np.maximum(cells, 0.0)
        if column.low is not None or column.high is not None:
            cells = np.clip(cells, column.low, column.high)
        out[missing[:, k], k] = cells
    return out


def _write(
    directory: Path,
    table: Table,
    columns: tuple[Column, ...],
    missing: NDArray[np.bool_],
    best: Array,
    drawn: list[Array],
    ends: tuple[Array, Array],
) -> None:
    """Write all tables of a run."""
    place = [table.index(c.name) for c in columns]
    whole = np.zeros(table.values.shape, bool)
    whole[:, place] = missing

    def filled(values: Array) -> Array:
        out = table.values.copy()
        out[:, place] = values
        return out

    write_table(directory / "imputed.csv", table, filled(best))
    for k, one in enumerate(drawn):
        write_table(directory / f"imputed_{k + 1}.csv", table, filled(one))
    mask: list[list[int]] = whole.T.astype(int).tolist()
    write_cells(directory / "mask.csv", table.names, mask)
    if drawn:
        stacked = np.concatenate([table.values, *(filled(one) for one in drawn)])
        count = len(drawn) + 1
        texts = {n: np.tile(t, count) for n, t in table.texts.items()}
        every = {
            ".imp": np.repeat(np.arange(count), len(table)).tolist(),
            ".id": np.tile(np.arange(1, len(table) + 1), count).tolist(),
        }
        long = replace(table, values=stacked, texts=texts)
        write_table(directory / "long.csv", long, extra=every)
    rows, cells = np.nonzero(missing)
    low, high = ends
    numbers = [
        [
            None if np.isnan(e[i, j]) else float(f"{e[i, j]:.6g}")
            for i, j in zip(rows, cells, strict=True)
        ]
        for e in (low, high)
    ]
    said = [printable(columns[j], best[i : i + 1, j])[0] for i, j in zip(rows, cells, strict=True)]
    write_cells(
        directory / "intervals.csv",
        ("row", "column", "imputed", "low", "high"),
        ((rows + 2).tolist(), [columns[j].name for j in cells], [str(v) for v in said], *numbers),
    )
