"""``emulant records prepare``: a table with a row a patient."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from emulant.errors import PASS, InputError
from emulant.store import new_file
from emulant_apps.records.cohort import tabled
from emulant_apps.records.config import PrepareConfig
from emulant_apps.records.data import nhanes, wisconsin, write_table
from emulant_apps.records.fhir import read_fhir
from emulant_apps.records.files import write_cells
from emulant_apps.records.omop import is_omop, read_omop
from emulant_apps.records.series import read_events, summarised
from emulant_apps.records.words import say

__all__ = ["run"]


EXAMPLES = {"wisconsin": wisconsin, "nhanes": nhanes}


def run(config: PrepareConfig) -> int:
    """Run ``emulant records prepare``."""
    new_file(config.out, overwrite=True)
    kind = _kind(config.source) if config.format == "auto" else config.format
    if kind == "example":
        return _example(config)
    left_out = 0
    if kind == "series":
        names, columns = _series(config)
    else:
        cohort = read_omop(config.source) if kind == "omop" else read_fhir(config.source)
        names, columns, left_out = tabled(
            cohort, config.index_date, config.window_days, config.summaries, config.most
        )
    write_cells(config.out, names, columns)
    lines = [f"{len(columns[0]):,} patients, {len(names)} columns: {config.out}"]
    if left_out:
        lines.append(
            f"left out, for they had no record before the index date or had died: {left_out}"
        )
    say(lines)
    return PASS


def _kind(path: Path) -> str:
    """Return what a source is."""
    if not path.exists():
        if path.name in EXAMPLES:
            return "example"
        raise InputError(f"{path}: cannot read: No such file or directory")
    if path.is_dir() or zipfile.is_zipfile(path):
        return "omop" if is_omop(path) else "fhir"
    if path.suffix.lower() == ".json" or tarfile.is_tarfile(path):
        return "fhir"
    return "series"


def _example(config: PrepareConfig) -> int:
    """Write one of the tables that come with packages."""
    name = config.source.name
    if name not in EXAMPLES:
        raise InputError(f"{config.source}: is no example; there are {', '.join(EXAMPLES)}")
    table = EXAMPLES[name]()
    write_table(config.out, table)
    say([f"{len(table):,} patients, {len(table.columns)} columns: {config.out}"])
    return PASS


def _series(config: PrepareConfig) -> tuple[list[str], list[list[Any]]]:
    events = read_events(config.source, config.columns)
    start, end = config.hours
    inside = (events.time >= start) & (events.time <= end)
    if not inside.any():
        raise InputError(f"{config.source}: no row lies within --hours {start:g} {end:g}")
    ends = np.full(len(events.patients), end)
    names, columns = summarised(events.kept(inside), ends, config.summaries, config.most)
    cells: list[list[Any]] = [list(events.patients)]
    cells += [[None if np.isnan(v) else float(f"{v:.8g}") for v in c] for c in columns]
    return [config.columns[0], *names], cells
