"""Samples from anybody's files: ``.npy``, ``.npz``, ``.h5``, ``.csv`` and ``.parquet``.

The first axis is the sample; what a file of arrays holds beside its samples are arrays as long
as they: ``groups`` (independent unit of each sample) and ``log_weight`` (log importance weight).
A table's columns are numbers, or words: each word becomes a column of 0 and 1, so that every
sample is a row of numbers.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.statistic import Array
from emulant.errors import InputError
from emulant.store.arrays import load_arrays

__all__ = ["TABLES", "Samples", "as_numbers", "read_samples"]

TABLES = {".csv", ".parquet"}
PREFERRED = ("samples", "spins", "x", "data", "array")
MOST_WORDS = 50
"""Different words in a column of words."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What a file of samples holds."""

    path: Path
    values: NDArray[Any] | None = None
    """Samples (n, *X) of a file of arrays."""
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Columns (n,) of a table, numbers or words."""
    groups: NDArray[Any] | None = None
    log_weight: Array | None = None


def read_samples(path: Path, array: str | None = None, groups: str | None = None) -> Samples:
    """Return the samples of a file.

    Parameters
    ----------
    array
        Name of the array of samples; needed where a file holds several.
    groups
        Name of the array, or column, that says which samples belong to one independent unit.

    Raises
    ------
    InputError
        The file cannot be read, or is empty, or does not hold what was named.
    """
    if path.suffix.lower() in TABLES:
        return _read_table(path, groups)
    arrays = load_arrays(path).arrays
    name = array or _only(path, arrays)
    if name not in arrays:
        raise InputError(f"{path}: has no array '{name}'; it holds {', '.join(arrays)}")
    values = arrays[name]
    if values.ndim < 1 or values.dtype.kind not in "biuf":
        raise InputError(f"{path}: '{name}' must be an array of numbers, got {values.dtype}")
    if not len(values):
        raise InputError(f"{path}: '{name}' is empty")
    weight = arrays.get("log_weight")
    return Samples(
        path,
        values,
        groups=_beside(path, arrays, groups or "groups", len(values), required=groups is not None),
        log_weight=None if weight is None else _weights(path, weight, len(values)),
    )


def as_numbers(files: Sequence[Samples]) -> tuple[list[NDArray[Any]], tuple[str, ...]]:
    """Return the samples of files that belong together as arrays, and the names of columns.

    Raises
    ------
    InputError
        The files do not hold the same kind of samples.
    """
    first = files[0]
    for other in files[1:]:
        if (first.values is None) != (other.values is None):
            raise InputError(f"{first.path} and {other.path}: a table and an array do not compare")
        if list(first.columns) != list(other.columns):
            odd = sorted(set(first.columns) ^ set(other.columns)) or ["their order"]
            raise InputError(f"{first.path} and {other.path}: columns differ in {', '.join(odd)}")
    if first.values is not None:
        arrays = [f.values for f in files if f.values is not None]
        for f, a in zip(files, arrays, strict=True):
            if a.shape[1:] != arrays[0].shape[1:]:
                raise InputError(
                    f"{first.path} holds samples of shape {arrays[0].shape[1:]}, "
                    f"{f.path} of shape {a.shape[1:]}"
                )
        return arrays, ()
    names: list[str] = []
    parts: list[list[Array]] = [[] for _ in files]
    for name in first.columns:
        columns = [f.columns[name] for f in files]
        if all(c.dtype.kind == "f" for c in columns):
            names.append(name)
            for part, c in zip(parts, columns, strict=True):
                part.append(c)
            continue
        words = sorted({str(w) for c in columns for w in c})
        if len(words) > MOST_WORDS:
            raise InputError(
                f"{first.path}: column '{name}' holds {len(words)} different words; drop it, "
                "or mend its numbers"
            )
        for word in words:
            names.append(f"{name} = {word}")
            for part, c in zip(parts, columns, strict=True):
                part.append(np.array([str(w) == word for w in c], dtype=np.float64))
    return [np.stack(part, axis=1) for part in parts], tuple(names)


def _only(path: Path, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the name of the array of samples where there is no doubt."""
    named = [name for name in PREFERRED if name in arrays]
    if named:
        return named[0]
    large = [name for name, a in arrays.items() if a.ndim > 1]
    if len(large) == 1:
        return large[0]
    raise InputError(f"{path}: holds {', '.join(arrays) or 'nothing'}; say which with --array")


def _beside(
    path: Path, arrays: Mapping[str, NDArray[Any]], name: str, n: int, *, required: bool
) -> NDArray[Any] | None:
    if name not in arrays:
        if required:
            raise InputError(f"{path}: has no array '{name}'; it holds {', '.join(arrays)}")
        return None
    if arrays[name].shape != (n,):
        raise InputError(f"{path}: '{name}' must have shape ({n},), got {arrays[name].shape}")
    return arrays[name]


def _weights(path: Path, weight: NDArray[Any], n: int) -> Array:
    if weight.shape != (n,):
        raise InputError(f"{path}: 'log_weight' must have shape ({n},), got {weight.shape}")
    return weight.astype(np.float64)


def _read_table(path: Path, groups: str | None) -> Samples:
    columns = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    if not columns or not len(next(iter(columns.values()))):
        raise InputError(f"{path}: is empty")
    if groups is not None and groups not in columns:
        raise InputError(f"{path}: has no column '{groups}'; it holds {', '.join(columns)}")
    unit = None if groups is None else columns.pop(groups)
    if not columns:
        raise InputError(f"{path}: holds no column but '{groups}'")
    return Samples(path, columns=columns, groups=unit)


def _read_csv(path: Path) -> dict[str, NDArray[Any]]:
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
    if len(set(head)) < len(head):
        raise InputError(f"{path}: two columns bear the same name")
    return {name: _column([row[k] for row in body]) for k, name in enumerate(head)}


def _column(cells: list[str]) -> NDArray[Any]:
    """Return numbers where every cell is one, or is empty and so missing; else words."""
    try:
        return np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    except ValueError:
        return np.array(cells)


def _read_parquet(path: Path) -> dict[str, NDArray[Any]]:
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(f"{path}: reading .parquet needs pyarrow: pip install pyarrow")
    error_of_arrow = importlib.import_module("pyarrow").ArrowException
    try:
        table = importlib.import_module("pyarrow.parquet").read_table(path)
    except (OSError, error_of_arrow) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read as a .parquet table ({reason})") from error
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return {
        name: _column(["" if cell is None else str(_plain(cell)) for cell in cells])
        for name, cells in columns.items()
    }


def _plain(cell: Any) -> Any:
    return float(cell) if isinstance(cell, bool) else cell
