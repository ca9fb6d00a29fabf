"""Tables on disk: ``.csv`` and ``.parquet``, as columns of numbers or of words.

A cell that is empty is missing: NaN in a column of numbers. Nothing is unpickled.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.store.atomic import atomic_path

__all__ = ["TABLES", "read_table", "write_table"]

TABLES = {".csv", ".parquet"}

Columns = dict[str, NDArray[Any]]


def read_table(path: Path) -> tuple[Columns, dict[str, str]]:
    """Return the columns (n,) of a table by name, and the units of those that state one.

    Units are the metadata ``unit`` or ``units`` of the fields of a ``.parquet``; a ``.csv`` has
    none but in its columns' names.

    Raises
    ------
    InputError
        The file cannot be read, is empty, or its rows are uneven.
    """
    if path.suffix.lower() == ".parquet":
        columns, units = _read_parquet(path)
    else:
        columns, units = _read_csv(path), {}
    if not columns or not len(next(iter(columns.values()))):
        raise InputError(f"{path}: is empty")
    return columns, units


def write_table(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write columns (n,) as ``.csv`` or ``.parquet``, whole or not at all."""
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".parquet":
            arrow = _arrow(path, "")
            table = arrow.table({name: values.tolist() for name, values in columns.items()})
            importlib.import_module("pyarrow.parquet").write_table(table, temporary)
            return
        with temporary.open("w", newline="", encoding="utf-8") as opened:
            writer = csv.writer(opened)
            writer.writerow(columns)
            writer.writerows(zip(*(v.tolist() for v in columns.values()), strict=True))


def _read_csv(path: Path) -> Columns:
    try:
        with path.open(newline="", encoding="utf-8-sig") as opened:
            rows = [row for row in csv.reader(opened) if row]
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is not a table of comma-separated text: {error}") from error
    if len(rows) < 2:
        raise InputError(f"{path}: is empty; the first line names the columns")
    head, body = rows[0], rows[1:]
    for number, row in enumerate(body, start=2):
        if len(row) != len(head):
            raise InputError(f"{path}: row {number} has {len(row)} fields, expected {len(head)}")
    _require_names(path, head)
    return {name: _column([row[k] for row in body]) for k, name in enumerate(head)}


def _require_names(path: Path, head: list[str]) -> None:
    if len(set(head)) < len(head):
        raise InputError(f"{path}: two columns bear the same name")


def _column(cells: list[str]) -> NDArray[Any]:
    """Return numbers where every cell is one, or is empty and so missing; else words."""
    try:
        return np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    except ValueError:
        return np.array(cells)


def _read_parquet(path: Path) -> tuple[Columns, dict[str, str]]:
    arrow = _arrow(path, "reading ")
    try:
        table = importlib.import_module("pyarrow.parquet").read_table(path)
    except (OSError, arrow.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: cannot be read as a .parquet table ({reason})") from error
    _require_names(path, table.column_names)
    columns, units = {}, {}
    for field in table.schema:
        if arrow.types.is_nested(field.type):
            raise InputError(f"{path}: column '{field.name}' holds {field.type}, not one a row")
        cells = table[field.name].to_pylist()
        columns[field.name] = _column([_text(cell) for cell in cells])
        metadata = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
        for key in ("unit", "units"):
            if key in metadata:
                units[field.name] = metadata[key]
    return columns, units


def _text(cell: Any) -> str:
    """Return a cell as the text that a .csv would hold; nothing is empty, a flag 0 or 1."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(int(cell))
    return str(cell)


def _arrow(path: Path, doing: str) -> Any:
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(f"{path}: {doing}.parquet needs pyarrow: pip install pyarrow")
    return importlib.import_module("pyarrow")
