"""What a directory keeps of ``emulant check``: every trial, and the pictures of the worst.

``results.json`` is written whole after every trial, so that whatever ends a run costs the trial
at work and no other. A later run with ``--resume`` takes the trials that the same code made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulant.certify.page import Figure
from emulant.errors import InputError
from emulant.ledger.check import Check, Outcome
from emulant.ledger.fingerprint import fingerprint
from emulant.ledger.record import Record, Trial
from emulant.store import new_directory, read_json, write_json

__all__ = ["Directory"]

RESULTS = "results.json"


class Directory:
    """A directory of results.

    Arguments
    ---------
    path : where.
    resume : whether it may hold earlier results.
    checks : all that there are; trials of other checks, or of other code, are dropped.

    Raises
    ------
    InputError
        The directory holds something, and either ``resume`` is false or no results are in it.
    """

    def __init__(self, path: Path, resume: bool, checks: Iterable[Check]) -> None:
        earlier = resume and (path / RESULTS).is_file()
        self.path = new_directory(path, overwrite=earlier)
        self.provenance: Mapping[str, Any] = {}
        self._records: dict[str, Record] = {}
        if earlier:
            by_name = {check.name: check for check in checks}
            for row in _rows(path / RESULTS):
                check = by_name.get(row["check"])
                if check is not None and row["trials"] and row["code"] == fingerprint(check):
                    trials = [self._trial(check, trial) for trial in row["trials"]]
                    self._records[check.name] = Record(check, tuple(trials), row["code"])

    @property
    def records(self) -> Sequence[Record]:
        """All that it holds."""
        return tuple(self._records.values())

    def trials(self, check: Check) -> Mapping[int, Trial]:
        """Return the trials that there are of ``check``, by seed."""
        record = self._records.get(check.name)
        return {} if record is None else {trial.seed: trial for trial in record.trials}

    def keep(self, record: Record) -> None:
        """Take in the trials of ``record`` beside those of other seeds, and write all to disk."""
        trials = {**self.trials(record.check), **{t.seed: t for t in record.trials}}
        ordered = tuple(trials[seed] for seed in sorted(trials))
        self._records[record.check.name] = Record(record.check, ordered, record.code)
        worst = self._records[record.check.name].worst
        if worst is record.trials[-1] and not worst.trouble:
            drawn = [dataclasses.asdict(f) for f in worst.outcome.pictures()]
            write_json(self._drawings(record.check), {"seed": worst.seed, "figures": drawn})
        self.write()

    def write(self) -> None:
        """Write ``results.json``."""
        rows = [record.to_json() for record in self.records]
        write_json(self.path / RESULTS, {"checks": rows, "provenance": self.provenance})

    def _drawings(self, check: Check) -> Path:
        return self.path / "pictures" / f"{check.name}.json"

    def _trial(self, check: Check, row: Mapping[str, Any]) -> Trial:
        """Return a trial of ``results.json``; its pictures are those on disk, if they are its."""
        trial = Trial.from_json(row)

        def pictures() -> Sequence[Figure]:
            file = self._drawings(check)
            stored: dict[str, Any] = read_json(file) if file.is_file() else {}
            mine = stored.get("seed") == trial.seed
            return [Figure(**drawn) for drawn in stored["figures"]] if mine else ()

        return dataclasses.replace(trial, outcome=Outcome(trial.outcome.measures, pictures))


def _rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows of an earlier ``results.json``."""
    record = read_json(file)
    keys = {"check", "code", "trials"}
    try:
        rows = list(record["checks"])
        if not all(keys <= set(row) for row in rows):
            raise KeyError(keys)
    except (KeyError, TypeError) as error:
        raise InputError(f"{file}: holds no checks to resume; name a new directory") from error
    return rows
