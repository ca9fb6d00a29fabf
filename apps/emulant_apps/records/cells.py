"""From the texts of one column to numbers: codes, decimal marks, dates, kinds, levels.

All of it works on the distinct texts of a column. A refusal names row and column (row 1 holds the
names) and never the cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant_apps.records.codes import WORDS, Audit, impossible_zero, sentinels
from emulant_apps.records.schema import OTHER, Column, Hint, Kind, Schema

__all__ = ["Read", "interpret"]

Array = NDArray[np.float64]

POINT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
COMMA = re.compile(r"[+-]?(\d+,\d+|\d+)([eE][+-]?\d+)?")
FORMATS = (
    (
        "%Y-%m-%d",
        re.compile(
            r"\d{4}-\d{1,2}-\d{1,2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?"
        ),
    ),
    ("%Y/%m/%d", re.compile(r"\d{4}/\d{1,2}/\d{1,2}")),
    ("%d.%m.%Y", re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}")),
    ("%d/%m/%Y", re.compile(r"\d{1,2}/\d{1,2}/\d{4}")),
    ("%m/%d/%Y", re.compile(r"\d{1,2}/\d{1,2}/\d{4}")),
)
MOST_LEVELS = 30
"""Distinct texts beyond which a column is no nominal one."""
MOSTLY = 0.9
"""Share of numbers, or dates, above which the rest of a column is taken for mistakes."""
IDENTIFIER = re.compile(
    r"^(.*[_ ])?(id|ids|mrn|seqn|row|index)$|.*(recordid|patientid|person_id)$", re.I
)


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One column, read."""

    column: Column
    values: Array
    """(n,) with NaN for missing; codes of levels; days since 1970-01-01."""
    text: NDArray[Any] | None
    """(n,) of texts, of an identifier and of a column of texts."""
    audit: tuple[Audit, ...]


@dataclass(slots=True)
class _Distinct:
    """The distinct texts of a column, their counts, and where each row finds its own."""

    where: str
    tokens: list[str]
    code: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, where: str, raw: NDArray[Any]) -> _Distinct:
        seen: dict[str, int] = {}
        texts = ("" if cell is None else str(cell).strip() for cell in raw)
        code = np.fromiter((seen.setdefault(t, len(seen)) for t in texts), np.int64, len(raw))
        return cls(where, list(seen), code, np.bincount(code, minlength=len(seen)))

    def refuse(self, bad: NDArray[np.bool_], words: str) -> NoReturn:
        """Raise for the first row whose text is among ``bad`` (distinct,)."""
        row = int(np.flatnonzero(bad[self.code])[0]) + 2
        raise InputError(f"{self.where.format(row=f'row {row}, ')}: {words}")


def interpret(
    path: str, name: str, raw: NDArray[Any], schema: Schema, unseen: str = "refuse"
) -> Read:
    """Return the column ``name`` as numbers.

    Parameters
    ----------
    unseen
        What becomes of a level that the schema does not list: "refuse" or "missing".

    Raises
    ------
    InputError
        A cell cannot be read; the message names its row and column.
    """
    hint = schema.hint(name)
    where = f"{path}: {{row}}column '{name}'"
    audit: list[Audit] = []
    if raw.dtype.kind == "M":
        return _dates_already(name, raw, hint)
    if raw.dtype.kind == "f" and hint.kind not in ("nominal", "text") and not hint.levels:
        distinct, code = np.unique(raw, return_inverse=True)
        gone = np.isnan(distinct)
        counts = np.bincount(code, minlength=len(distinct))
        audit.append(Audit("empty cells", name, int(counts[gone].sum())))
        return _numbers(name, np.where(gone, np.nan, distinct), code, counts, schema, audit)
    if raw.dtype.kind == "f":
        raw = np.array([None if np.isnan(x) else f"{x:.15g}" for x in raw], dtype=object)
    texts = _Distinct.of(where, raw)
    gone = _codes(texts, name, schema, audit)
    kind = hint.kind or _kind_of_texts(texts, gone, name, schema)
    if kind in ("nominal", "ordinal") and (hint.levels or kind == "nominal"):
        return _levels(texts, gone, name, hint, kind, audit, unseen)
    if kind == "text":
        return _text(texts, gone, name, hint, audit)
    if kind == "date":
        return _date_column(texts, gone, name, hint, audit)
    distinct = _parsed(texts, gone, schema.decimal)
    return _numbers(name, distinct, texts.code, texts.counts, schema, audit)


def _codes(texts: _Distinct, name: str, schema: Schema, audit: list[Audit]) -> NDArray[np.bool_]:
    """Return which distinct texts are missing codes, and write a line for each rule."""
    own = set(schema.missing) | set(schema.hint(name).missing)
    blank = np.array([not t for t in texts.tokens], bool)
    listed = np.array([t in own for t in texts.tokens], bool)
    levels = {level.lower() for level in schema.hint(name).levels}
    words = np.array([t.lower() in WORDS and t.lower() not in levels for t in texts.tokens], bool)
    audit.append(Audit("empty cells", name, int(texts.counts[blank].sum())))
    audit.append(Audit("missing codes of the schema", name, int(texts.counts[listed].sum())))
    for word in sorted(
        {t.lower() for t, w in zip(texts.tokens, words & ~listed, strict=True) if w}
    ):
        same = np.array([t.lower() == word for t in texts.tokens], bool)
        audit.append(Audit(f"missing code '{word}'", name, int(texts.counts[same].sum())))
    gone: NDArray[np.bool_] = blank | listed | words
    return gone


def _kind_of_texts(
    texts: _Distinct, gone: NDArray[np.bool_], name: str, schema: Schema
) -> Kind | None:
    """Return "date", "nominal" or "text", or None where the column holds numbers."""
    left = [t for t, g in zip(texts.tokens, gone, strict=True) if not g]
    counts = texts.counts[~gone]
    if not left:
        return None
    total = int(counts.sum())
    number = np.array([bool(POINT.fullmatch(t) or COMMA.fullmatch(t)) for t in left])
    if counts[number].sum() == total:
        return None
    dated = np.array([any(r.fullmatch(t) for _, r in FORMATS) for t in left])
    few = len(left) <= MOST_LEVELS and (total >= 2 * len(left) or len(left) <= 2)
    for fits, what in ((number, "number"), (dated, "date")):
        if few and fits.sum() <= 10 and not fits.all():
            continue  # levels, some of which are numbers
        if counts[fits].sum() > MOSTLY * total and schema.hint(name).role is None:
            if what == "date" and fits.all():
                return "date"
            bad = ~gone
            bad[np.flatnonzero(~gone)[fits]] = False
            texts.refuse(
                bad,
                f"holds no {what}, as {100 * counts[fits].sum() / total:.0f} % of the column do; "
                "correct it, or list its text under 'missing' in a schema, or set the 'kind'",
            )
    return "nominal" if few and not IDENTIFIER.match(name) else "text"


def _parsed(texts: _Distinct, gone: NDArray[np.bool_], decimal: str) -> Array:
    """Return the distinct texts as numbers, NaN where ``gone``."""
    commas = np.array(["," in t and bool(COMMA.fullmatch(t)) for t in texts.tokens]) & ~gone
    points = np.array(["." in t and bool(POINT.fullmatch(t)) for t in texts.tokens]) & ~gone
    if not decimal:
        decimal = "," if commas.any() else "."
        if commas.any() and points.any():
            rarer = commas if texts.counts[commas].sum() <= texts.counts[points].sum() else points
            texts.refuse(rarer, "decimal comma and decimal point in one column; set 'decimal'")
    pattern = COMMA if decimal == "," else POINT
    good = np.array([bool(pattern.fullmatch(t)) for t in texts.tokens])
    if (bad := ~good & ~gone).any():
        texts.refuse(bad, "holds no number")
    values = np.array(
        [
            float(t.replace(",", ".")) if g else np.nan
            for t, g in zip(texts.tokens, good & ~gone, strict=True)
        ]
    )
    if np.isinf(values).any():
        texts.refuse(np.isinf(values), "holds a number beyond all bounds")
    return values


def _numbers(
    name: str,
    distinct: Array,
    code: NDArray[np.int64],
    counts: NDArray[np.int64],
    schema: Schema,
    audit: list[Audit],
) -> Read:
    """Return a column of numbers: rules, then its kind."""
    hint = schema.hint(name)
    gone = np.isnan(distinct)
    own = {float(w) for w in (*hint.missing, *schema.missing) if POINT.fullmatch(w)}
    missing = list(hint.missing)
    rules = [("missing codes of the schema", np.isin(distinct, list(own)))]
    if schema.sentinels and hint.kind is None:
        index = np.flatnonzero(~gone & ~rules[0][1])
        order = index[np.argsort(distinct[index])]
        marked = np.zeros(len(distinct), bool)
        marked[order] = sentinels(distinct[order], counts[order])
        rules += [(f"sentinel {v:g} read as missing", distinct == v) for v in distinct[marked]]
        zero = distinct == 0
        if zero.any() and impossible_zero(name, distinct[~gone & ~marked]):
            rules.append(("impossible zero read as missing", zero))
    for rule, where in rules:
        hit = where & ~gone
        audit.append(Audit(rule, name, int(counts[hit].sum())))
        if rule.startswith(("sentinel", "impossible")) and hit.any():
            missing.append(f"{distinct[hit][0]:g}")
        gone = gone | hit
    outside = np.zeros(len(distinct), bool)
    with np.errstate(invalid="ignore"):
        if hint.low is not None:
            outside |= distinct < hint.low
        if hint.high is not None:
            outside |= distinct > hint.high
    outside &= ~gone
    audit.append(
        Audit("outside the plausible range, read as missing", name, int(counts[outside].sum()))
    )
    gone = gone | outside
    column = _kind_of_numbers(name, distinct[~gone], hint)
    if hint.kind is None and hint.role is None and len(code) > 2 and _running(distinct, len(code)):
        column = Column(name, "text", role="identifier", why="a running number")
    column = replace(column, missing=tuple(missing))
    values = np.where(gone, np.nan, distinct)
    if column.role == "identifier":
        text = np.array(["" if np.isnan(v) else f"{v:.15g}" for v in values[code]], dtype=object)
        return Read(column, values[code], text, tuple(audit))
    if column.kind == "nominal":
        levels = np.unique(values[~gone])
        names = tuple(f"{v:.15g}" for v in levels)
        values = np.where(gone, np.nan, np.searchsorted(levels, np.where(gone, 0, values)))
        column = replace(column, levels=names)
    return Read(column, values[code], None, tuple(audit))


def _running(distinct: Array, rows: int) -> bool:
    """Return whether every row has a whole number of its own, without gaps."""
    return (
        len(distinct) == rows
        and bool(np.ptp(distinct) == rows - 1)
        and bool((distinct == np.round(distinct)).all())
    )


def _kind_of_numbers(name: str, values: Array, hint: Hint) -> Column:
    whole = bool(len(values)) and bool((values == np.round(values)).all())
    kind: Kind
    low, high = hint.low, hint.high
    role = hint.role or "feature"
    if (
        hint.role is None
        and hint.kind is None
        and whole
        and IDENTIFIER.match(name)
        and len(values) > 2
    ):
        return Column(name, "text", role="identifier", why="by its name")
    if not len(values):
        kind, why = "numeric", "all cells are missing"
    elif len(values) <= 2 and whole and hint.kind is None:
        kind, why = "nominal", f"{len(values)} distinct numbers"
    elif whole and len(values) <= 5 and np.ptp(values) >= len(values) and hint.kind is None:
        kind, why = "nominal", f"{len(values)} whole numbers with gaps"
    elif whole and len(values) <= 10 and np.ptp(values) <= 10:
        kind, why = "ordinal", f"{len(values)} whole numbers"
    elif whole and values.min() >= 0:
        kind, why = "count", "whole numbers, none negative"
    elif not whole and values.min() >= 0 and values.max() <= 1:
        kind, why = "bounded", "fractions"
        low, high = 0.0 if low is None else low, 1.0 if high is None else high
    else:
        kind, why = "numeric", "whole numbers" if whole else "numbers with fractions"
    if hint.kind is not None and hint.kind != "text":
        kind, why = hint.kind, "by the schema"
    return Column(name, kind, hint.unit, low, high, role=role, why=why)


def _levels(
    texts: _Distinct,
    gone: NDArray[np.bool_],
    name: str,
    hint: Hint,
    kind: Kind,
    audit: list[Audit],
    unseen: str,
) -> Read:
    """Return a column of named levels."""
    present = [t for t, g in zip(texts.tokens, gone, strict=True) if not g]
    levels = hint.levels or tuple(sorted(present, key=_natural))
    codes = {level: float(k) for k, level in enumerate(levels)}
    new = np.array([t not in codes for t in texts.tokens], bool) & ~gone
    if new.any() and OTHER not in codes:
        if unseen == "refuse":
            texts.refuse(
                new, "holds a level that was never seen; add it to 'levels', or --unseen missing"
            )
        audit.append(Audit("unseen level read as missing", name, int(texts.counts[new].sum())))
        gone = gone | new
    elif new.any():
        audit.append(Audit(f"rare level read as {OTHER}", name, int(texts.counts[new].sum())))
    rest = codes.get(OTHER, np.nan)
    values = np.array(
        [np.nan if g else codes.get(t, rest) for t, g in zip(texts.tokens, gone, strict=True)]
    )
    why = "by the schema" if hint.kind or hint.levels else f"{len(present)} distinct texts"
    column = Column(
        name, kind, hint.unit, None, None, levels, hint.role or "feature", why, "", hint.missing
    )
    return Read(column, values[texts.code], None, tuple(audit))


def _natural(text: str) -> tuple[int, float, str]:
    return (0, float(text), "") if POINT.fullmatch(text) else (1, 0.0, text)


def _text(
    texts: _Distinct, gone: NDArray[np.bool_], name: str, hint: Hint, audit: list[Audit]
) -> Read:
    whole = len(texts.tokens) == len(texts.code)
    role = hint.role or ("identifier" if whole or IDENTIFIER.match(name) else "ignored")
    if role == "ignored":
        audit.append(Audit("free text is carried along and not modelled", name, len(texts.code)))
    tokens = np.array(["" if g else t for t, g in zip(texts.tokens, gone, strict=True)], object)
    values = np.where(gone, np.nan, 0.0)[texts.code]
    column = Column(name, "text", role=role, why="texts", missing=hint.missing)
    return Read(column, values, tokens[texts.code], tuple(audit))


def _dates_already(name: str, raw: NDArray[Any], hint: Hint) -> Read:
    days = raw.astype("datetime64[s]").astype(np.float64) / 86400.0
    days[np.isnat(raw)] = np.nan
    column = Column(name, "date", "days since 1970-01-01", role=hint.role or "feature", why="dates")
    column = replace(column, date_format="%Y-%m-%d")
    return Read(column, days, None, (Audit("empty cells", name, int(np.isnan(days).sum())),))


def _date_column(
    texts: _Distinct, gone: NDArray[np.bool_], name: str, hint: Hint, audit: list[Audit]
) -> Read:
    """Return days since 1970-01-01, all by one format."""
    formats = (hint.format,) if hint.format else tuple(f for f, _ in FORMATS)
    tried: list[tuple[str, Array]] = []
    best: tuple[int, str, NDArray[np.bool_]] | None = None
    for form in formats:
        days = np.array(
            [np.nan if g else _day(t, form) for t, g in zip(texts.tokens, gone, strict=True)]
        )
        bad = np.isnan(days) & ~gone
        if not bad.any():
            tried.append((form, days))
        if best is None or texts.counts[bad].sum() < best[0]:
            best = (int(texts.counts[bad].sum()), form, bad)
    if not tried:
        assert best is not None
        texts.refuse(best[2], f"is no date by the format {best[1]} of the others; write one format")
    form, days = tried[0]
    if len(tried) > 1 and not np.array_equal(days, tried[1][1], equal_nan=True):
        raise InputError(
            f"{texts.where.format(row='')}: day and month cannot be told apart; "
            f'set format = "{tried[0][0]}" or "{tried[1][0]}" in a schema'
        )
    column = Column(
        name, "date", "days since 1970-01-01", hint.low, hint.high, role=hint.role or "feature",
        why=f"dates, {form}", date_format=form, missing=hint.missing,
    )  # fmt: skip
    return Read(column, days[texts.code], None, tuple(audit))


def _day(text: str, form: str) -> float:
    """Return days since 1970-01-01, or NaN."""
    try:
        if form == "%Y-%m-%d":
            moment = datetime.fromisoformat(text.replace(" ", "T"))
        else:
            moment = datetime.strptime(text, form)
    except ValueError:
        return float("nan")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() / 86400.0
