r"""Long time series as a table with a row a patient.

Events (patient, time, what, value), times within [from, to]. For each patient and thing:

    first last min max mean count      of its values in the order of time
    slope                              least squares, value per unit of time; needs two times
    since                              to - time of the last value

A thing that has at most one value in every patient is a column of its own, without a summary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant_apps.records.files import read_cells

__all__ = ["Events", "read_events", "summarised"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Measured values, one a row; patients and things by their codes."""

    patients: tuple[str, ...]
    things: tuple[str, ...]
    patient: NDArray[np.int64]
    thing: NDArray[np.int64]
    time: Array
    value: Array

    def kept(self, rows: NDArray[np.bool_]) -> Events:
        """Return some events; patients and things stay."""
        return Events(
            self.patients, self.things, self.patient[rows], self.thing[rows], self.time[rows],
            self.value[rows],
        )  # fmt: skip


def summarised(
    events: Events, end: Array, summaries: Sequence[str], most: int
) -> tuple[list[str], list[Array]]:
    """Return names and columns (patients,) of the ``most`` commonest things.

    Arguments
    ---------
    end : for each patient the end of the window, in the unit of time, for *since*.
    """
    count = len(events.patients)
    reach = np.zeros(len(events.things), np.int64)
    pairs = (
        np.unique(events.thing * count + events.patient)
        if len(events.thing)
        else np.zeros(0, np.int64)
    )
    np.add.at(reach, pairs // max(count, 1), 1)
    chosen = [int(k) for k in np.argsort(-reach, kind="stable")[:most] if reach[k]]
    names: list[str] = []
    columns: list[Array] = []
    for k in sorted(chosen, key=lambda k: events.things[k]):
        own = events.kept(events.thing == k)
        order = np.lexsort((own.time, own.patient))
        patient, time, value = own.patient[order], own.time[order], own.value[order]
        starts = np.flatnonzero(np.r_[True, patient[1:] != patient[:-1]])
        who = patient[starts]
        sizes = np.diff(np.r_[starts, len(patient)])
        wanted = summaries if sizes.max() > 1 else ["last"]
        for summary in wanted:
            column = np.full(count, np.nan)
            column[who] = _summary(summary, starts, sizes, time, value, end[who])
            names.append(f"{events.things[k]}_{summary}" if sizes.max() > 1 else events.things[k])
            columns.append(column)
    return names, columns


def _summary(
    name: str,
    starts: NDArray[np.intp],
    sizes: NDArray[np.intp],
    time: Array,
    value: Array,
    end: Array,
) -> Array:
    last = starts + sizes - 1
    if name in ("first", "last"):
        picked: Array = value[starts if name == "first" else last]
        return picked
    if name == "min":
        return np.asarray(np.minimum.reduceat(value, starts))
    if name == "max":
        return np.asarray(np.maximum.reduceat(value, starts))
    if name == "count":
        return sizes.astype(np.float64)
    if name == "since":
        left: Array = end - time[last]
        return left
    mean = np.add.reduceat(value, starts) / sizes
    if name == "mean":
        return np.asarray(mean)
    centre = np.add.reduceat(time, starts) / sizes
    t, v = time - np.repeat(centre, sizes), value - np.repeat(mean, sizes)
    square = np.add.reduceat(t * t, starts)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.add.reduceat(t * v, starts) / square
    return np.where(square > 1e-12, slope, np.nan)


def read_events(path: Path, columns: tuple[str, str, str, str]) -> Events:
    """Return the events of a long table; times are numbers, in hours, or texts "hh:mm".

    Raises
    ------
    InputError
        A column is missing, or a time or value cannot be read; the row is named.
    """
    cells = read_cells(path)
    lacking = [name for name in columns if name not in cells.names]
    if lacking:
        raise InputError(
            f"{path}: row 1: has no column '{lacking[0]}'; name the four columns with --columns"
        )
    raw = [cells.columns[cells.names.index(name)] for name in columns]
    patients, patient = _coded(raw[0])
    things, thing = _coded(raw[2])
    time = _hours(path, columns[1], raw[1])
    value = _numbers(path, columns[3], raw[3])
    keep = ~np.isnan(value) & np.array([bool(t) for t in things])[thing]
    events = Events(patients, things, patient, thing, time, value)
    return events.kept(keep)


def _coded(raw: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    if raw.dtype.kind == "f":
        distinct, code = np.unique(raw, return_inverse=True)
        return tuple(f"{v:.15g}" for v in distinct), code.astype(np.int64)
    seen: dict[str, int] = {}
    code = np.fromiter(
        (seen.setdefault("" if t is None else str(t).strip(), len(seen)) for t in raw),
        np.int64,
        len(raw),
    )
    return tuple(seen), code


def _hours(path: Path, name: str, raw: NDArray[Any]) -> Array:
    if raw.dtype.kind == "f":
        out: Array = raw
    elif raw.dtype.kind == "M":
        out = raw.astype("datetime64[s]").astype(np.float64) / 3600
    else:
        texts, code = _coded(raw)
        out = np.array([_hour(t) for t in texts])[code]
    if np.isnan(out).any():
        row = int(np.flatnonzero(np.isnan(out))[0]) + 2
        raise InputError(f"{path}: row {row}, column '{name}': holds no time; write hours or hh:mm")
    return out


def _hour(text: str) -> float:
    parts = text.split(":")
    try:
        numbers = [float(p) for p in parts]
    except ValueError:
        return float("nan")
    if len(numbers) > 3:
        return float("nan")
    return float(sum(n / 60.0**k for k, n in enumerate(numbers)))


def _numbers(path: Path, name: str, raw: NDArray[Any]) -> Array:
    if raw.dtype.kind == "f":
        out: Array = raw
        return out
    texts, code = _coded(raw)
    values = []
    for k, text in enumerate(texts):
        try:
            values.append(float(text) if text else float("nan"))
        except ValueError:
            row = int(np.flatnonzero(code == k)[0]) + 2
            raise InputError(f"{path}: row {row}, column '{name}': holds no number") from None
    return np.array(values)[code]
