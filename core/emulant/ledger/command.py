"""``emulant check``: expected, got, tolerance and CPU seconds of every known answer."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InputError(f"--seeds: must be at least 1, got {self.seeds}")
        if self.seed < 0:
            raise InputError(f"--seed: must be at least 0, got {self.seed}")


def run(config: CheckConfig) -> int:
    """Run the checks, print the table, write the page; FAIL where any seed of any fails."""
    from emulant.ledger.check import discover, select  # here: the help need not wait for torch
    from emulant.ledger.record import examine
    from emulant.progress import Progress
    from emulant.store import current, new_directory, plain, write_json

    chosen = [c for c in select(discover(), config.methods) if c.fast or not config.fast]
    if not chosen:
        raise InputError("no check is left: all that were named are slow; leave out --fast")
    for check in chosen:
        for package in check.needs:
            if importlib.util.find_spec(package) is None:
                raise InputError(f"check '{check.name}' needs {package}: pip install it")
    directory = None if config.out is None else new_directory(config.out)
    started = time.process_time()
    records: list[Record] = []
    sys.stdout.write(_line(COLUMNS))
    with Progress("check", len(chosen) * config.seeds) as progress:
        for check in chosen:
            seeds = range(config.seed, config.seed + config.seeds)
            records.append(examine(check, seeds, partial(progress.advance, note=check.name)))
            sys.stdout.writelines(_rows(records[-1]))
            sys.stdout.flush()
    failed = [record.check.name for record in records if not record.passed]
    verdict = f"{len(records) - len(failed)} of {len(records)} checks pass on every seed"
    verdict += f"; failed: {', '.join(failed)}" if failed else ""
    sys.stdout.write(f"{verdict}; {time.process_time() - started:.0f} CPU seconds\n")
    if directory is not None:
        from emulant.ledger.page import page

        provenance: dict[str, Any] = plain(current("check", config, config.seed))
        results = [record.to_json() for record in records]
        write_json(directory / "results.json", {"checks": results, "provenance": provenance})
        page(records, verdict, provenance).write(directory / "index.html")
        sys.stdout.write(f"page: {directory / 'index.html'}\n")
    return FAIL if failed else PASS


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
