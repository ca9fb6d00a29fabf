"""Persons, measurements and conditions as a table at an index date: what OMOP and FHIR share.

Times are days since 1970-01-01. The index date of a person is the one that is asked for, or that of
the last measurement. Measured values count in the window before it, conditions ever before it.
``died_later`` says whether a death on or after the index date is recorded; persons who died before
it, or were born after it, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant_apps.records.series import Events, summarised

__all__ = ["Cohort", "Person", "day_of", "tabled"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Person:
    """One person."""

    sex: str | None
    birth: float
    """Day of birth; NaN where unknown."""
    death: float
    """Day of death; NaN where none is recorded."""


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Persons, in the order of the codes of both kinds of events."""

    persons: Sequence[Person]
    measured: Events
    conditions: Events
    """Values are 1."""


def day_of(text: str | None) -> float:
    """Return days since 1970-01-01 of an ISO date, NaN where there is none.

    >>> day_of("1970-01-03"), day_of("1970-01-01T12:00:00Z")
    (2.0, 0.5)
    """
    if not text:
        return float("nan")
    try:
        moment = datetime.fromisoformat(text if len(text) > 7 else f"{text}-01-01"[:10])
    except ValueError:
        return float("nan")
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds() / 86400


def tabled(
    cohort: Cohort, index_date: str | None, window: float, summaries: Sequence[str], most: int
) -> tuple[list[str], list[list[Any]], int]:
    """Return names, columns, and how many persons were left out.

    Raises
    ------
    InputError
        The index date is none, or nobody is left.
    """
    count = len(cohort.persons)
    index = np.full(count, np.nan)
    if index_date is None:
        np.fmax.at(index, cohort.measured.patient, cohort.measured.time)
        index = np.floor(index)
    else:
        index[:] = day_of(index_date)
        if np.isnan(index).any():
            raise InputError("--index-date: write a date such as 2018-01-01")
    birth = np.array([p.birth for p in cohort.persons])
    death = np.array([p.death for p in cohort.persons])
    with np.errstate(invalid="ignore"):
        kept = ~np.isnan(index) & ~(death < index) & ~(birth > index)
    if not kept.any():
        raise InputError(
            "--index-date: nobody has a record before it and lives; choose a later one"
        )
    events = cohort.measured
    at = index[events.patient]
    with np.errstate(invalid="ignore"):
        inside = (events.time < at + 1) & (events.time >= at - window)
    names, columns = summarised(events.kept(inside), index + 1, summaries, most)
    had = cohort.conditions
    with np.errstate(invalid="ignore"):
        had = had.kept(had.time < index[had.patient] + 1)
    things, flags = summarised(had, index + 1, ["last"], most)
    things = [f"had {t.removesuffix('_last')}" for t in things]
    day = [
        np.datetime64(int(d), "D").item().isoformat() if k else ""
        for d, k in zip(np.where(kept, index, 0), kept, strict=True)
    ]
    rows: list[int] = np.flatnonzero(kept).tolist()
    out: list[list[Any]] = [
        [cohort.measured.patients[k] for k in rows],
        [day[k] for k in rows],
        [_rounded((index[k] - birth[k]) / 365.25, 2) for k in rows],
        [cohort.persons[k].sex for k in rows],
    ]
    out += [[_rounded(c[k], 6) for k in rows] for c in columns]
    out += [[int(c[k] == 1) for k in rows] for c in flags]
    out += [[int(not np.isnan(death[k])) for k in rows]]
    return (
        ["person_id", "index_date", "age", "sex", *names, *things, "died_later"],
        out,
        count - len(rows),
    )


def _rounded(value: float, digits: int) -> float | None:
    return None if np.isnan(value) else round(float(value), digits)
