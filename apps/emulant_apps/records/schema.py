"""What a column of a table is: its kind, unit and plausible range, and the file that says so.

Kinds: *numeric* (any number), *bounded* (numbers between two ends), *count* (whole numbers from 0),
*ordinal* (few whole numbers, or named levels in an order), *nominal* (named levels), *date* (days
since 1 January 1970) and *text* (carried along, never modelled).

The schema is a TOML file; every line of it is optional:

    decimal = ","
    missing = ["?", "-9"]          # codes of every column

    [columns.chol]
    kind = "numeric"
    unit = "mg/dl"
    low = 40                       # what lies outside is no measurement, and becomes missing
    high = 800
    missing = ["999"]              # codes of this column
    role = "feature"               # or "identifier", "ignored"
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from emulant.errors import InputError
from emulant.store import read_text, write_text

__all__ = ["OTHER", "SMALL", "Column", "Hint", "Kind", "Schema", "read_schema", "write_schema"]

Kind = Literal["numeric", "bounded", "count", "ordinal", "nominal", "date", "text"]
Role = Literal["feature", "identifier", "ignored"]

SMALL = 10
"""Counts of patients below this are not shown, and levels rarer than this are not saved."""

OTHER = "(other)"
"""The level that stands for all levels too rare to be saved."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column, as it is read and modelled."""

    name: str
    kind: Kind
    unit: str = ""
    low: float | None = None
    """Lowest plausible value, in ``unit``; for a nominal column None."""
    high: float | None = None
    levels: tuple[str, ...] = ()
    """Names of the codes 0, 1, ... of a nominal column, or of a named ordinal one."""
    role: Role = "feature"
    why: str = ""
    """What the kind was detected by, for the report."""
    date_format: str = ""
    missing: tuple[str, ...] = ()
    """Missing codes that were found or stated, to be applied to new tables too."""

    @property
    def whole(self) -> bool:
        """Whether values are whole numbers."""
        return self.kind in ("count", "ordinal", "nominal", "date")

    @property
    def modelled(self) -> bool:
        """Whether the column can be a feature or an outcome."""
        return self.role == "feature" and self.kind != "text"

    def saved(self, counts: Mapping[str, int]) -> Column:
        """Return the column as it may be saved: levels of fewer than 10 patients become one."""
        if self.kind != "nominal":
            return replace(self, why="")
        kept = tuple(level for level in self.levels if counts.get(level, 0) >= SMALL)
        rare = len(kept) < len(self.levels)
        return replace(self, levels=(*kept, OTHER) if rare else kept, why="")


@dataclass(frozen=True, slots=True)
class Hint:
    """What a schema says of one column; None where it leaves the detection to itself."""

    kind: Kind | None = None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    missing: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    role: Role | None = None
    format: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a person knows of a table before it is read."""

    columns: Mapping[str, Hint] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    """Missing codes of every column, beside the usual words."""
    decimal: str = ""
    """"," or "."; empty to detect it."""
    sentinels: bool = True
    """Whether numbers such as -9 and 999 are taken for missing codes where they stand apart."""

    def hint(self, name: str) -> Hint:
        """Return what is said of the column ``name``."""
        return self.columns.get(name, Hint())


def read_schema(path: Path | None) -> Schema:
    """Return the schema of a TOML file; an empty one where ``path`` is None.

    Raises
    ------
    InputError
        The file is missing, is not TOML, or says what no schema can say.
    """
    if path is None:
        return Schema()
    try:
        record = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(")[2].rstrip(")")
        raise InputError(f"{path}: is not TOML ({place}); see docs/records.md") from None
    known = {"missing", "decimal", "sentinels", "columns"}
    _refuse_unknown(path, "", record, known)
    columns = record.get("columns", {})
    if not isinstance(columns, dict):
        raise InputError(f"{path}: 'columns' must be a table such as [columns.age]")
    hints = {name: _hint(path, name, entry) for name, entry in columns.items()}
    decimal = record.get("decimal", "")
    if decimal not in ("", ",", "."):
        raise InputError(f'{path}: \'decimal\' must be "," or "."')
    sentinels = record.get("sentinels", True)
    if not isinstance(sentinels, bool):
        raise InputError(f"{path}: 'sentinels' must be true or false")
    return Schema(hints, _words(path, "missing", record), decimal, sentinels)


def _hint(path: Path, name: str, entry: Any) -> Hint:
    where = f"columns.{name}"
    if not isinstance(entry, dict):
        raise InputError(f"{path}: {where} must be a table")
    _refuse_unknown(path, where + ".", entry, set(Hint.__dataclass_fields__))
    kind, role = entry.get("kind"), entry.get("role")
    if kind is not None and kind not in get_args(Kind):
        raise InputError(f"{path}: {where}.kind must be one of {', '.join(get_args(Kind))}")
    if role is not None and role not in get_args(Role):
        raise InputError(f"{path}: {where}.role must be one of {', '.join(get_args(Role))}")
    ends = {}
    for end in ("low", "high"):
        value = entry.get(end)
        if value is not None and (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise InputError(f"{path}: {where}.{end} must be a number")
        ends[end] = None if value is None else float(value)
    low, high = ends["low"], ends["high"]
    if low is not None and high is not None and low >= high:
        raise InputError(f"{path}: {where}.low must be below {where}.high")
    for text in ("unit", "format"):
        if not isinstance(entry.get(text, ""), str):
            raise InputError(f"{path}: {where}.{text} must be a text")
    return Hint(
        cast("Kind | None", kind),
        entry.get("unit", ""),
        low,
        high,
        _words(path, "missing", entry, where + "."),
        _words(path, "levels", entry, where + "."),
        cast("Role | None", role),
        entry.get("format", ""),
    )


def _words(path: Path, name: str, entry: Mapping[str, Any], where: str = "") -> tuple[str, ...]:
    words = entry.get(name, [])
    if not isinstance(words, list) or not all(isinstance(w, str | int | float) for w in words):
        raise InputError(f'{path}: {where}{name} must be a list such as ["?", -9]')
    return tuple(str(word) for word in words)


def _refuse_unknown(path: Path, where: str, record: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(record) - known)
    if unknown:
        raise InputError(
            f"{path}: {where}{unknown[0]} is no word of a schema; known: {', '.join(sorted(known))}"
        )


def write_schema(path: Path, columns: tuple[Column, ...]) -> None:
    """Write what was detected, ready to be corrected by hand."""
    lines = ["# Kinds: numeric, bounded, count, ordinal, nominal, date, text.", ""]
    for column in columns:
        lines += [f"[columns.{json.dumps(column.name, ensure_ascii=False)}]"]
        if column.why:
            lines[-1] += f"  # {column.why}"
        lines += [f'kind = "{column.kind}"']
        if column.unit:
            lines += [f"unit = {json.dumps(column.unit, ensure_ascii=False)}"]
        for end, value in (("low", column.low), ("high", column.high)):
            if value is not None:
                lines += [f"{end} = {value!r}"]
        if column.missing:
            lines += [f"missing = {json.dumps(list(column.missing))}"]
        if column.date_format:
            lines += [f"format = {json.dumps(column.date_format)}"]
        if column.role != "feature":
            lines += [f'role = "{column.role}"']
        lines += [""]
    write_text(path, "\n".join(lines))
