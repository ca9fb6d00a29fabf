"""``emulant check``: expected, got, tolerance and CPU seconds of every known answer."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from emulant.errors import FAIL, PASS, InputError

if TYPE_CHECKING:
    from emulant.ledger.record import Record

__all__ = ["CheckConfig", "run"]


COLUMNS = {
    "check": -24,
    "quantity": -46,
    "expected": 11,
    "got, worst": 11,
    "tolerance": 10,
    "passed": 7,
    "CPU s": 6,
}
"""Heads and widths of the table; a negative width aligns left."""


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """Run known-answer checks; the worst seed of each must pass."""

    methods: Positional[tuple[str, ...]] = ()
    """Methods or checks to run; all where none is named."""
    seeds: int = 5
    """Number of seeds that each check is run with."""
    seed: int = 0
    """The first of them."""
    fast: bool = False
    """Only the checks that take a few CPU seconds."""
    out: Path | None = None
    """Directory for index.html and results.json; it must not exist or must be empty."""
    resume: bool = False
    """Keep the trials in --out that the same code made, and run what is missing."""

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InputError(f"--seeds: must be at least 1, got {self.seeds}")
        if self.seed < 0:
            raise InputError(f"--seed: must be at least 0, got {self.seed}")
        if self.resume and self.out is None:
            raise InputError("--resume: name the directory to continue with --out")


def run(config: CheckConfig) -> int:
    """Run the checks, print the table, write the page; FAIL where any seed of any fails."""
    from emulant.ledger.budget import Budget  # here: the help need not wait for torch
    from emulant.ledger.check import discover, select
    from emulant.ledger.fingerprint import fingerprint
    from emulant.ledger.kept import Directory
    from emulant.ledger.record import examine
    from emulant.progress import Progress
    from emulant.store import current, plain

    everything = discover()
    chosen = [c for c in select(everything, config.methods) if c.fast or not config.fast]
    if not chosen:
        raise InputError("no check is left: all that were named are slow; leave out --fast")
    for check in chosen:
        for package in check.needs:
            if importlib.util.find_spec(package) is None:
                raise InputError(f"check '{check.name}' needs {package}: pip install it")
    directory = None
    if config.out is not None:
        directory = Directory(config.out, config.resume, everything)
        directory.provenance = plain(current("check", config, config.seed))
    seeds = range(config.seed, config.seed + config.seeds)
    known = {c.name: {} if directory is None else directory.trials(c) for c in chosen}
    # now, while the files are still those that were imported: a run can outlast an edit
    codes = {c.name: "" if directory is None else fingerprint(c) for c in chosen}
    budget = Budget(chosen, seeds, known)
    records: list[Record] = []
    sys.stdout.write(_line(COLUMNS))
    with Progress("check", budget.total) as progress:

        def done(record: Record) -> None:
            budget.pay(record)
            progress.update(budget.paid, budget.total, record.check.name)
            if directory is not None:
                directory.keep(record)

        for check in chosen:
            known_here, code = known[check.name], codes[check.name]
            records.append(examine(check, seeds, done, known_here, code))
            sys.stdout.writelines(_rows(records[-1]))
            sys.stdout.flush()
    sys.stdout.write(f"{_verdict(records)}; {budget.paid:.0f} CPU seconds\n")
    if directory is not None:
        from emulant.ledger.page import page

        directory.write()
        whole = page(directory.records, _verdict(directory.records), directory.provenance)
        whole.write(directory.path / "index.html")
        sys.stdout.write(f"page: {directory.path / 'index.html'}\n")
    return PASS if all(record.passed for record in records) else FAIL


def _verdict(records: Sequence[Record]) -> str:
    failed = [record.check.name for record in records if not record.passed]
    verdict = f"{len(records) - len(failed)} of {len(records)} checks pass on every seed"
    return verdict + (f"; failed: {', '.join(failed)}" if failed else "")


def _line(cells: Iterable[str]) -> str:
    aligned = (
        cell.ljust(-width) if width < 0 else cell.rjust(width)
        for cell, width in zip(cells, COLUMNS.values(), strict=True)
    )
    return " ".join(aligned).rstrip() + "\n"


def _rows(record: Record) -> Iterator[str]:
    """Yield one line a measure: its worst value over the seeds."""
    from emulant.ledger.page import allowed, number

    name, seconds = record.check.name, f"{record.seconds:.1f}"
    for measure, held in record.worst_measures():
        judged = measure.tolerance is not None
        cells = (
            name,
            measure.quantity,
            number(measure.expected),
            number(measure.got),
            allowed(measure),
            f"{held}/{len(record.trials)}" if judged else "",
            seconds,
        )
        yield _line(cells)
        name = seconds = ""
    for trial in record.trials:
        if trial.trouble:
            yield f"{record.check.name}, seed {trial.seed}: {trial.trouble}\n"
