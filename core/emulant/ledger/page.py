"""The page of ``emulant check``: one section a check, with its pictures at its worst seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from emulant.certify.page import Badge, Page, Section, Table
from emulant.ledger.check import Measure
from emulant.ledger.record import Record

__all__ = ["allowed", "number", "page"]


def number(value: float) -> str:
    """Return ``value`` with four digits; nothing for a NaN, which stands for "not known".

    >>> number(8.0), number(-1.386294), number(math.nan)
    ('8', '-1.386', '')
    """
    return "" if math.isnan(value) else f"{value:.4g}"


def allowed(measure: Measure) -> str:
    """Return the tolerance with the side on which it lies; nothing where none is set.

    >>> allowed(Measure("area under the curve", 0.5, 0.51, 0.05, "<="))
    '+ 0.05'
    """
    if measure.tolerance is None:
        return ""
    return {"=": "± ", "<=": "+ ", ">=": "- "}[measure.sense] + number(measure.tolerance)


def page(records: Sequence[Record], verdict: str, provenance: Mapping[str, Any]) -> Page:
    """Return the page of ``records``, failed checks first."""
    sections = [_section(record) for record in sorted(records, key=lambda r: r.passed)]
    lead = f"{verdict}. Each number is the worst of its seeds; none was chosen."
    return Page("Emulant: methods with known answers", sections, provenance, lead)


def _section(record: Record) -> Section:
    worst = record.worst
    rows: list[list[str | Badge]] = [
        [
            measure.quantity,
            number(measure.expected),
            number(measure.got),
            allowed(measure),
            _badge(measure.tolerance is not None, held, len(record.trials)),
        ]
        for measure, held in record.worst_measures()
    ]
    head = ("quantity", "expected", "got, worst seed", "tolerance", "seeds")
    trouble = [f"Seed {t.seed}: {t.trouble}." for t in record.trials if t.trouble]
    return Section(
        f"{record.check.method}: {record.check.name}",
        record.check.claim,
        "pass" if record.passed else "fail",
        f"{record.held} of {len(record.trials)} seeds pass; {record.seconds:.1f} CPU seconds each",
        "\n\n".join([f"Tolerance: {record.check.why_tolerance}", *trouble]),
        () if worst.trouble else tuple(worst.outcome.pictures()),
        (Table(head, rows, f"Pictures: seed {worst.seed}, the worst."),),
        f"emulant check {record.check.name}",
    )


def _badge(judged: bool, held: int, seeds: int) -> Badge:
    if not judged:
        return Badge("reported")
    return Badge("pass" if held == seeds else "fail", f"{held}/{seeds}")
