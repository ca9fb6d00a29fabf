"""The log of a run: means over the last steps, as rows of a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from emulant.errors import InputError
from emulant.store.atomic import atomic_path

__all__ = ["Journal", "Means"]

Row = dict[str, float]


class Means:
    """Means of named scalars over the turns in which they appeared."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor | float, int]] = {}

    def add(self, prefix: str, scalars: Mapping[str, Tensor | float]) -> None:
        """Count each scalar once, under the name ``prefix.name``."""
        for name, scalar in scalars.items():
            value = scalar.detach() if isinstance(scalar, Tensor) else scalar
            total, count = self._sums.get(f"{prefix}.{name}", (0.0, 0))
            self._sums[f"{prefix}.{name}"] = (total + value, count + 1)

    def take(self) -> Row:
        """Return the means and start afresh."""
        row = {name: float(total) / count for name, (total, count) in self._sums.items()}
        self._sums = {}
        return row


class Journal:
    """Rows in memory and, where a path is given, in a CSV file beside it.

    A resumed journal keeps the rows up to ``step`` and drops the later ones, which will be
    written again.
    """

    def __init__(self, path: Path | None, step: int = 0) -> None:
        self.path = path
        self.rows: list[Row] = []
        if path is not None and path.exists():
            self.rows = [row for row in _read(path) if row["step"] <= step]
            self._rewrite()

    def write(self, row: Row) -> None:
        """Append a row; a column that is new makes the file be written again."""
        known = dict.fromkeys(name for earlier in self.rows for name in earlier)
        self.rows.append(row)
        if self.path is None:
            return
        if known and set(row) <= set(known):
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, list(known)).writerow(row)
        else:
            self._rewrite()

    def _rewrite(self) -> None:
        if self.path is None or not self.rows:
            return
        columns = dict.fromkeys(name for row in self.rows for name in row)
        with (
            atomic_path(self.path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, list(columns))
            writer.writeheader()
            writer.writerows(self.rows)


def _read(path: Path) -> list[Row]:
    """Return the whole rows of a log; a row that a kill cut short is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in file if line.endswith("\n")]
    rows: list[Row] = []
    for line in csv.DictReader(lines):
        try:
            row = {k: float(v) for k, v in line.items() if k is not None and v}
        except ValueError as error:
            raise InputError(f"{path}: is no log of a run ({error}); move it away") from error
        if "step" in row:
            rows.append(row | {"step": int(row["step"])})
    return rows
