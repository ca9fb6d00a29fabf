"""Samples from anybody's files: ``.npy``, ``.npz``, ``.h5``, ``.csv`` and ``.parquet``.

The first axis is the sample; what a file of arrays holds beside its samples are arrays as long
as they: ``groups`` (independent unit of each sample) and ``log_weight`` (log importance weight).
A table's columns are numbers, or words: each word becomes a column of 0 and 1, so that every
sample is a row of numbers. A table of one column of texts (molecules, say) stays texts (n,), for
statistics that understand them.

Where samples were made under several conditions, an array or column names them. It has one entry
a sample, or it has one entry, all different, for each step of a first axis: samples are then
(C, n, *X), and groups and log_weight (C, n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.statistic import Array
from emulant.certify.tables import TABLES, read_table
from emulant.errors import InputError
from emulant.store.arrays import load_arrays

__all__ = ["Samples", "as_numbers", "has", "read_samples"]

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
    by: NDArray[Any] | None = None
    """Condition under which each sample was made, (n,)."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Units that the file states: of its columns, or of '' for its array."""


def read_samples(
    path: Path, array: str | None = None, groups: str | None = None, by: str | None = None
) -> Samples:
    """Return the samples of a file.

    Parameters
    ----------
    array
        Name of the array of samples; needed where a file holds several.
    groups
        Name of the array, or column, that says which samples belong to one independent unit.
    by
        Name of the array, or column, that says under which condition each sample was made.

    Raises
    ------
    InputError
        The file cannot be read, or is empty, or does not hold what was named.
    """
    if path.suffix.lower() in TABLES:
        return _from_table(path, groups, by)
    if path.suffix.lower() not in {".npy", ".npz", ".h5", ".hdf5"}:
        raise InputError(
            f"{path}: unknown extension '{path.suffix}'; use .npy, .npz, .h5, .csv or .parquet"
        )
    stored = load_arrays(path)
    arrays = stored.arrays
    name = array or _only(path, arrays, {groups or "groups", by, "log_weight"})
    values = _named(path, arrays, name)
    if values.ndim < 1 or values.dtype.kind not in "biuf":
        raise InputError(f"{path}: '{name}' must be an array of numbers, got {values.dtype}")
    if not values.size:
        raise InputError(f"{path}: '{name}' is empty, of shape {values.shape}")
    beside = {
        "groups": groups or ("groups" if "groups" in arrays else None),
        "log_weight": "log_weight" if "log_weight" in arrays else None,
        "by": by,
    }
    found = {
        role: _named(path, arrays, wanted) for role, wanted in beside.items() if wanted is not None
    }
    if by is not None and _is_axis(values, found["by"]):
        values, found = _flattened(path, values, found)
    for role, entry in found.items():
        if entry.shape != (len(values),):
            raise InputError(
                f"{path}: '{beside[role]}' must have shape ({len(values)},), got {entry.shape}"
            )
    weight = found.get("log_weight")
    return Samples(
        path,
        values,
        groups=found.get("groups"),
        log_weight=None if weight is None else weight.astype(np.float64),
        by=found.get("by"),
        units=_units(path, name, stored.attributes),
    )


def has(path: Path, name: str) -> bool:
    """Return whether a file of arrays holds one called ``name``."""
    return name in load_arrays(path).arrays


def as_numbers(
    files: Sequence[Samples], texts: bool = False
) -> tuple[list[NDArray[Any]], tuple[str, ...]]:
    """Return the samples of files that belong together as arrays, and the names of columns.

    Parameters
    ----------
    texts
        Leave a table's only column as it is where it holds texts.

    Raises
    ------
    InputError
        The files do not hold the same kind of samples, or state different units.
    """
    first = files[0]
    for other in files[1:]:
        if (first.values is None) != (other.values is None):
            raise InputError(f"{first.path} and {other.path}: a table and an array do not compare")
        if list(first.columns) != list(other.columns):
            odd = sorted(set(first.columns) ^ set(other.columns)) or ["their order"]
            raise InputError(f"{first.path} and {other.path}: columns differ in {', '.join(odd)}")
        for name in sorted(set(first.units) & set(other.units)):
            if first.units[name] != other.units[name]:
                what = f"column '{name}'" if name else "samples"
                raise InputError(
                    f"{first.path} and {other.path}: {what} in {first.units[name]} and in "
                    f"{other.units[name]}; convert one"
                )
    if first.values is not None:
        arrays = [f.values for f in files if f.values is not None]
        for f, a in zip(files, arrays, strict=True):
            if a.shape[1:] != arrays[0].shape[1:]:
                raise InputError(
                    f"{first.path} holds samples of shape {arrays[0].shape[1:]}, "
                    f"{f.path} of shape {a.shape[1:]}"
                )
        return arrays, ()
    only = [next(iter(f.columns.values())) for f in files]
    if texts and len(first.columns) == 1 and all(c.dtype.kind == "U" for c in only):
        return only, tuple(first.columns)
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
                "or mend its numbers, or bring --statistics that read texts"
            )
        for word in words:
            names.append(f"{name} = {word}")
            for part, c in zip(parts, columns, strict=True):
                part.append(np.array([str(w) == word for w in c], dtype=np.float64))
    return [np.stack(part, axis=1) for part in parts], tuple(names)


def _only(path: Path, arrays: Mapping[str, NDArray[Any]], beside: set[str | None]) -> str:
    """Return the name of the array of samples where there is no doubt."""
    named = [name for name in PREFERRED if name in arrays]
    if named:
        return named[0]
    large = [name for name, a in arrays.items() if a.ndim > 1 and name not in beside]
    if len(large) == 1:
        return large[0]
    raise InputError(f"{path}: holds {', '.join(arrays) or 'nothing'}; say which with --array")


def _named(path: Path, arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in arrays:
        raise InputError(f"{path}: has no array '{name}'; it holds {', '.join(arrays)}")
    return arrays[name]


def _is_axis(values: NDArray[Any], by: NDArray[Any]) -> bool:
    """Return whether the conditions are those of a first axis: one each, all different."""
    one_each = by.shape == values.shape[:1] and len(np.unique(by)) == len(by)
    return one_each and values.ndim > 1


def _flattened(
    path: Path, values: NDArray[Any], found: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Return samples (C, n, *X) as (C n, *X), with what lies beside them."""
    conditions, n = values.shape[:2]
    flat = {"by": np.repeat(found["by"], n)}
    for role in set(found) - {"by"}:
        entry = found[role]
        if entry.shape not in ((conditions, n), (n,)):
            raise InputError(
                f"{path}: '{role}' must have shape ({conditions}, {n}), got {entry.shape}"
            )
        flat[role] = np.broadcast_to(entry, (conditions, n)).ravel()
    return values.reshape(conditions * n, *values.shape[2:]), flat


def _units(path: Path, name: str, attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the unit of the array, from the file's attributes or the HDF5 dataset's own."""
    stated: dict[str, Any] = dict(attributes)
    if path.suffix.lower() in {".h5", ".hdf5"}:
        import h5py  # here, so that other files do not wait for HDF5

        with h5py.File(path, "r", locking=False) as opened:
            stated |= dict(opened[name].attrs)
    for key in ("unit", "units"):
        if isinstance(stated.get(key), str):
            return {"": stated[key]}
    return {}


def _from_table(path: Path, groups: str | None, by: str | None) -> Samples:
    columns, units = read_table(path)
    taken = {}
    for role, name in (("groups", groups), ("by", by)):
        if name is None:
            continue
        if name not in columns:
            raise InputError(f"{path}: has no column '{name}'; it holds {', '.join(columns)}")
        taken[role] = columns[name]
    kept = {name: c for name, c in columns.items() if name not in (groups, by)}
    if not kept:
        raise InputError(f"{path}: holds no column but '{groups or by}'")
    return Samples(
        path, columns=kept, groups=taken.get("groups"), by=taken.get("by"), units=units
    )  # fmt: skip
