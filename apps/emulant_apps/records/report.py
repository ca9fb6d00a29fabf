"""The page that describes a table: what it holds, what it lacks, and in whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emulant.certify.page import Page, Section, Table
from emulant.errors import PASS, InputError
from emulant.store import current, hash_file, new_directory, plain, write_json
from emulant_apps.records import missingness as holes
from emulant_apps.records.codes import shown, tidy
from emulant_apps.records.config import DescribeConfig
from emulant_apps.records.data import Table as Records
from emulant_apps.records.data import read_table
from emulant_apps.records.pictures import missing_map, pattern_figure
from emulant_apps.records.schema import SMALL, Column, read_schema, write_schema
from emulant_apps.records.words import say, share

__all__ = ["audit_section", "columns_section", "describe", "run"]


def run(config: DescribeConfig) -> int:
    """Run ``emulant records describe``."""
    table = read_table(config.table, read_schema(config.schema))
    found = describe(table, config)
    directory = new_directory(config.out)
    provenance = plain(current("records describe", config, config.seed, hash_file(config.table)))
    page = Page(f"{table.name}: what it holds and what it lacks", found.sections, provenance)
    write_json(directory / "report.json", {**found.record, "provenance": provenance})
    write_schema(directory / "schema.toml", table.columns)
    page.write(directory / "index.html")
    say(found.lines, directory / "index.html")
    return PASS


class Described:
    """Sections of the page, the JSON record and the lines for stdout."""

    def __init__(self, sections: list[Section], record: dict[str, Any], lines: list[str]) -> None:
        self.sections, self.record, self.lines = sections, record, lines


def describe(table: Records, config: DescribeConfig) -> Described:
    """Return what is to be said of ``table``.

    Raises
    ------
    InputError
        There are fewer than ten rows, or a column that was named is not there.
    """
    if len(table) < SMALL:
        raise InputError(f"{table.name}: has fewer than {SMALL} rows; nothing can be said of it")
    for name in (*config.by, *config.drop, *([config.outcome] if config.outcome else [])):
        table.index(name)
    modelled = table.features(config.drop)
    if not modelled.columns:
        raise InputError(f"{table.name}: has no column that can be modelled; see --schema")
    by = list(dict.fromkeys([*config.by, *([config.outcome] if config.outcome else [])]))
    rates = holes.rates(modelled)
    patterns = holes.patterns(modelled)
    numeric = [k for k, c in enumerate(modelled.columns) if c.kind != "nominal"]
    little = holes.little_test(modelled.values[:, numeric], config.seed) if numeric else None
    who = holes.who_is_missing(modelled, config.seed)
    groups = {name: holes.subgroup_rates(modelled, name) for name in by if name in modelled.names}
    cells = modelled.missing
    whole = int((~cells.any(1)).sum())
    facts = {
        "rows": len(table),
        "columns": len(table.columns),
        "modelled": len(modelled.columns),
        "missing share": round(float(cells.mean()), 4),
        "complete rows": shown(whole),
        "monotone": holes.is_monotone(cells),
    }
    sections = [
        _overview(table, modelled, facts, little),
        columns_section(table.columns, table),
        audit_section(table),
        _patterns_section(modelled, patterns),
        _who_section(who),
        *(_group_section(name, found) for name, found in groups.items()),
    ]
    record = {
        "table": table.name,
        "facts": facts,
        "columns": [
            {**{k: v for k, v in plain(c).items() if k not in ("levels",)}, "levels": len(c.levels)}
            for c in table.columns
        ],
        "audit": tidy(table.audit),
        "missing": [
            {"column": r.column, "cells": shown(r.missing), "share": share(r.missing, r.rows)}
            for r in rates
        ],
        "patterns": [
            {"missing": p.missing, "rows": shown(p.rows)} for p in patterns if p.rows >= SMALL
        ],
        "little": plain(little),
        "who_is_missing": [plain(w) for w in who],
        "subgroups": {
            name: {g: {r.column: share(r.missing, r.rows) for r in rs} for g, rs in found.items()}
            for name, found in groups.items()
        },
    }
    lines = [
        f"{table.name}: {len(table):,} rows, {len(table.columns)} columns, "
        f"{len(modelled.columns)} modelled",
        f"missing: {cells.mean():.1%} of cells; complete rows: {shown(whole)}",
        *(
            [
                f"Little's test: chi2 = {little.statistic:.1f}, {little.degrees} degrees, "
                f"p = {little.p_value:.3g}"
            ]
            if little
            else []
        ),
        f"rules applied: {len(table.audit)} (report.json lists them)",
    ]
    return Described(sections, record, lines)


def _overview(
    table: Records, modelled: Records, facts: dict[str, Any], little: holes.Little | None
) -> Section:
    if little is None:
        test = "Little's test needs two numeric columns and some holes."
    else:
        test = (
            f'Little\'s test of "missing completely at random", {little.columns} numeric columns: '
            f"chi2 = {little.statistic:.1f} with {little.degrees} degrees of freedom, "
            f"p = {little.p_value:.2g}. A small p says that who lacks a value differs from who has "
            "it; a large p does not show that nothing depends on the missing values themselves."
        )
    return Section(
        "The table",
        "How much of it is missing?",
        None,
        f"{facts['missing share']:.1%} of the cells of {facts['modelled']} modelled columns",
        f"{len(table):,} rows, {len(table.columns)} columns; {facts['complete rows']} rows are "
        f"complete; the holes are {'' if facts['monotone'] else 'not '}monotone.\n\n{test}",
        [missing_map(modelled.names, modelled.missing)],
    )


def columns_section(columns: Sequence[Column], table: Records) -> Section:
    """Return the table of detected types."""
    rows = []
    for column in columns:
        k = table.index(column.name)
        missing = int(np.isnan(table.values[:, k]).sum())
        plausible = (
            "" if column.low is None and column.high is None else f"{column.low} to {column.high}"
        )
        rows.append(
            [
                column.name, column.kind, column.role, column.why, column.unit, plausible,
                ", ".join(column.missing), share(missing, len(table)),
            ]
        )  # fmt: skip
    head = ("column", "kind", "role", "detected by", "unit", "plausible", "codes", "missing")
    return Section(
        "Columns",
        "What was each column taken for?",
        lead="Correct what is wrong in schema.toml, beside this page, and pass it with --schema.",
        tables=(Table(head, rows, f"{len(rows)} columns", folded=len(rows) > 40),),
    )


def audit_section(table: Records) -> Section:
    """Return a line for each rule that changed cells."""
    rows = [[a.rule, a.column, shown(a.count)] for a in table.audit]
    return Section(
        "Missing codes",
        "Which rules were applied to the cells?",
        lead="One line a rule and column; counts below 10 are not shown.",
        tables=(
            Table(("rule", "column", "cells"), rows, f"{len(rows)} lines", folded=len(rows) > 30),
        ),
    )


def _patterns_section(table: Records, patterns: Sequence[holes.Pattern]) -> Section:
    counts = [(p.missing, p.rows) for p in patterns]
    return Section(
        "Patterns",
        "Which columns are missing together?",
        lead="Patterns of fewer than 10 patients are not shown.",
        figures=[pattern_figure(table.names, counts)] if table.missing.any() else [],
    )


def _who_section(who: Sequence[holes.Who]) -> Section:
    rows = [
        [w.column, f"{w.auc:.3f}", f"{w.low:.3f} to {w.high:.3f}", ", ".join(w.strongest)]
        for w in who
    ]
    return Section(
        "Who is missing",
        "Do the other columns tell whose cell is missing?",
        lead="AUC, out of fold, of a ridge logistic regression of each mask on the values and "
        "masks of all other columns. 0.5: they do not tell. Near 1: the cell is missing by design "
        "or by protocol.",
        tables=(Table(("column", "AUC", "95 % interval", "strongest"), rows),),
    )


def _group_section(name: str, groups: dict[str, list[holes.Rate]]) -> Section:
    columns = sorted(
        {r.column for rs in groups.values() for r in rs if r.missing},
        key=lambda c: (
            -max(r.missing / r.rows for rs in groups.values() for r in rs if r.column == c)
        ),
    )[:30]
    rows = [
        [
            column,
            *(
                next(share(r.missing, r.rows) for r in rs if r.column == column)
                for rs in groups.values()
            ),
        ]
        for column in columns
    ]
    return Section(
        f"Missing cells by {name}",
        f"Do the holes differ between subgroups of {name}?",
        lead="Subgroups of fewer than 10 patients are left out.",
        tables=(Table(("column", *groups), rows),),
    )
