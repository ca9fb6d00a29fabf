"""Missing codes: what stands in a cell where nothing was measured, and a line for each rule.

Three rules, in this order:

1. *words*: blanks and words that nobody measures ("?", "NA", "Und", ...), and the schema's own.
2. *sentinels*: numbers by which coders say "not known". A negative one (-9, -99, ...) counts where
   all other values are 0 or more. A large one (99, 999, 9999, 5555, ...) counts where it stands
   at least twice and beyond three times the largest other value.
3. *impossible values*: a zero where none can be (a blood pressure), and what lies outside the
   plausible range that the schema states.

A rule names its column and counts its cells; it never repeats a cell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["WORDS", "Audit", "impossible_zero", "sentinels", "shown"]

WORDS = frozenset(
    (
        "?", ".", "-", "--", "na", "n/a", "n.a.", "#n/a", "nan", "null", "none", "nil", "nat",
        "<na>", "missing", "unknown", "unk", "not known", "und", "undetermined", "nd", "not_done",
        "not-done", "not done", "not_available", "not available", "refused", "don't know",
        "dont know",
    )
)  # fmt: skip
"""Words that mean "not measured", in lower case."""

NEGATIVE = (-1.0, -7.0, -8.0, -9.0, -77.0, -88.0, -99.0, -777.0, -888.0, -999.0, -9999.0)
LARGE = (*(float(str(k) * n) for n in (2, 3, 4, 5) for k in (5, 6, 7, 8, 9)), 999.9, 9999.9)
BEYOND = 3.0
"""A large sentinel lies beyond so many times the largest other value."""

_NEVER_ZERO = re.compile(
    r"glucose|blood.?pressure|^(trestbps|sbp|dbp|meanbp|map|sysabp|diasabp|nisysabp)|bmi|"
    r"^(chol|cholesterol|weight|height|insulin|hr|heart.?rate|ph|hco3|sodium|potassium|temp)$|"
    r"skin.?thickness|resting.?bp|systolic|diastolic",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Audit:
    """A rule that changed a table, or a choice that a reader should know of."""

    rule: str
    """What was done, in words, without a cell's value."""
    column: str
    """Where; empty for the whole table."""
    count: int
    """How many cells."""


def shown(count: int, small: int = 10) -> str:
    """Return a count of patients or cells for a report; small ones are suppressed.

    >>> shown(12), shown(3), shown(0)
    ('12', '< 10', '0')
    """
    return f"< {small}" if 0 < count < small else f"{count:,}"


def sentinels(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of the distinct ``values``, with their ``counts``, are missing codes.

    >>> sentinels(np.array([-9.0, 1.2, 3.4, 5.0]), np.array([4, 1, 1, 1]))
    array([ True, False, False, False])
    """
    marked = np.zeros(len(values), bool)
    negative = np.isin(values, NEGATIVE)
    rest = values[~negative]
    if len(rest) >= 3 and (rest >= 0).all() and counts[negative].sum() >= 1:
        fits = negative & (counts >= 1)
        # -1 beside few whole numbers may be a level of its own
        marked |= fits if len(rest) > 5 else fits & (values < -1)
    large = np.isin(values, LARGE) & (counts >= 2)
    rest = values[~large & ~marked]
    if len(rest) >= 3 and large.any() and rest.max() > 0:
        marked |= large & (values > BEYOND * rest.max())
    return marked


def impossible_zero(name: str, values: NDArray[np.float64]) -> bool:
    """Return whether a zero in the column ``name`` with distinct ``values`` is no measurement."""
    return bool(_NEVER_ZERO.search(name)) and len(values) > 5 and bool((values >= 0).all())


def tidy(audits: Sequence[Audit]) -> list[dict[str, object]]:
    """Return the audit as JSON, with small counts suppressed."""
    return [
        {"rule": a.rule, "column": a.column, "cells": shown(a.count)} for a in audits if a.count
    ]
