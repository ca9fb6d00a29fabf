"""The app's part of ``emulant studio``: a table with holes, and what they would have held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emulant.rng import numpy_rng
from emulant.studio.panel import Choice, Panel, Slider, Upload
from emulant_apps.records.data import wisconsin, write_table

__all__ = ["PANEL"]

COLUMNS = 10
"""The means of the ten measured things, and the diagnosis, make the example."""


def _lines(values: Mapping[str, Any], directory: Path) -> list[list[str]]:
    file = values["table"]
    if file is None:
        file = directory / "example.csv"
        _write_example(file, float(values["hidden"]) / 100)
    if values["what"] == "show what is missing":
        return [["records", "describe", file.name, "--out", "report"]]
    numbers = ["--m", f"{values['m']:g}", "--seed", f"{values['seed']:g}"]
    return [["records", "impute", file.name, *numbers, "--out", "report"]]


def _write_example(file: Path, hidden: float) -> None:
    """Write the Wisconsin table with a share of its cells hidden at random."""
    table = wisconsin()
    table = table.take([*table.names[:COLUMNS], "diagnosis"])
    values = table.values.copy()
    values[numpy_rng(0, "records studio").random(values.shape) < hidden] = np.nan
    write_table(file, replace(table, values=values))


PANEL = Panel(
    "A table with a row a patient. Without one of yours, ten columns of the Wisconsin breast "
    "cancer table with some of their cells hidden. The table stays on this machine.",
    (
        Upload("table", "Table", (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".xlsx")),
        Choice("what", "What to do", ("fill what is missing", "show what is missing")),
        Slider("hidden", "Hidden cells of the example, %", 5, 60, 30, 5),
        Slider("m", "Tables to draw beside the best guess", 0, 20, 5, 1),
        Slider("seed", "Seed", 0, 999, 0, 1),
    ),
    _lines,
    button="Go on",
)
