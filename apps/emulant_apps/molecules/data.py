"""Read a user's molecules: text, tables and SD files; standardise; say what was dropped and why.

A molecule never stops a reading: what cannot be used is named, with its row, in ``dropped``. Only
what concerns the whole file is an :class:`~emulant.errors.InputError`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emulant.errors import InputError
from emulant.parallel import chunked_map
from emulant.store import atomic_path, each_part, is_parts
from emulant_apps.molecules.chemistry.entries import (
    RefusedError,
    Standard,
    looks_like_molecule,
    standard_of_block,
    standard_of_text,
)
from emulant_apps.molecules.formats import Entry, File, decoded, lines_of, open_bytes

__all__ = [
    "Dropped",
    "Molecules",
    "read_molecules",
    "read_smiles",
    "read_strings",
    "standardised",
    "write_dropped",
]

CHUNK = 256
SMILES_NAMES = ("smiles", "canonical_smiles", "isomeric_smiles", "smi", "structure", "molecule")
NAME_NAMES = ("name", "id", "title", "compound", "molecule_name", "chembl_id", "identifier", "cid")
SD = {".sdf", ".sd", ".mol"}
TABLES = {".csv", ".tsv"}
TEXTS = {".smi", ".smiles", ".txt", ".ism"}
END_OF_RECORD = re.compile(r"^\$\$\$\$[^\n]*\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that gave no molecule."""

    row: int
    """Line of a text, record of an SD file; 1 is the first."""
    text: str
    """What stood there, at most 200 signs."""
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Molecules:
    """Standardised molecules, each once, and what became of the other rows."""

    smiles: tuple[str, ...]
    """Canonical SMILES."""
    names: tuple[str, ...]
    rows: tuple[int, ...]
    """Where each came from."""
    changes: tuple[str, ...]
    """What standardising did to each, in words; empty for most."""
    dropped: tuple[Dropped, ...]
    source: str
    """What was read: the file, and the column of a table."""

    def summary(self) -> str:
        """Return one line: how many were read, and why the rest were not."""
        reasons: dict[str, int] = {}
        for item in self.dropped:
            kind = item.reason.split(":")[0].split(" of row")[0]
            reasons[kind] = reasons.get(kind, 0) + 1
        told = "".join(f"; {n:,} {kind}" for kind, n in sorted(reasons.items()))
        changed = sum(bool(change) for change in self.changes)
        return f"{self.source}: {len(self.smiles):,} molecules, {changed:,} changed{told}"


def read_molecules(
    path: Path, column: str | None = None, keep_stereo: bool = True, workers: int | None = None
) -> Molecules:
    """Return the molecules of a file: .smi, .csv, .tsv, .sdf (V2000, V3000), each also .gz.

    Parameters
    ----------
    column
        Column of SMILES in a table; detected where it is not given.
    keep_stereo
        Whether stereochemistry is kept.

    Raises
    ------
    InputError
        The file cannot be read, its format or column is not known, or no molecule is in it.
    """
    file = open_bytes(path)
    if file.suffix in SD:
        entries, source = _records(file), path.name
    elif file.suffix in TABLES:
        entries, source = _table(file, column)
    elif file.suffix in TEXTS:
        entries, source = _text(file), path.name
    else:
        known = ", ".join(sorted(SD | TABLES | TEXTS))
        raise InputError(f"{path}: unknown extension '{file.suffix}'; use {known}, or one with .gz")
    if not entries:
        raise InputError(f"{path}: is empty; give a file with at least one molecule")
    found = standardised(entries, source, keep_stereo, workers)
    if not found.smiles:
        first = found.dropped[0]
        raise InputError(
            f"{path}: none of {len(entries):,} rows is a molecule that can be used; "
            f"row {first.row}: {first.reason}"
        )
    return found


def read_smiles(path: Path, column: str | None = None, workers: int | None = None) -> list[str]:
    """Return the canonical SMILES of a file's molecules; see :func:`read_molecules`."""
    return list(read_molecules(path, column, workers=workers).smiles)


def read_strings(path: Path) -> list[str]:
    """Return the strings of a file as they stand, molecules or not: what a generator said.

    Raises
    ------
    InputError
        The file cannot be read, or has no column ``smiles``; or a directory, which ``sample
        --per-file`` writes, is not complete.
    """
    if is_parts(path):
        import pandas as pd  # here: only for directories of parts

        frames = (pd.read_parquet(part, columns=["smiles"]) for part in each_part(path))
        return [text for frame in frames for text in frame["smiles"]]
    file = open_bytes(path)
    if file.suffix in TABLES:
        entries, _ = _table(file, "smiles")
    elif file.suffix in TEXTS:
        entries = [Entry(n, line.strip()) for n, line in lines_of(decoded(file)) if line.strip()]
    else:
        raise InputError(f"{path}: strings come as .csv with a column smiles, or as .smi")
    if not entries:
        raise InputError(f"{path}: is empty; give the strings that a generator drew")
    return [entry.text for entry in entries]


def standardised(
    entries: Sequence[Entry],
    source: str,
    keep_stereo: bool = True,
    workers: int | None = 1,
) -> Molecules:
    """Return the standard forms of ``entries``, each molecule once, in order."""
    work = _Standardise(tuple(entries), keep_stereo)
    chunks = chunked_map(work, len(entries), CHUNK, 0, workers)
    seen: dict[str, int] = {}
    kept: list[tuple[Entry, Standard]] = []
    dropped = []
    for entry, found in zip(entries, (x for chunk in chunks for x in chunk), strict=True):
        if isinstance(found, str):
            dropped.append(Dropped(entry.row, entry.text[:200], entry.name, found))
        elif found.smiles in seen:
            reason = f"duplicate of row {seen[found.smiles]}"
            dropped.append(Dropped(entry.row, entry.text[:200], entry.name, reason))
        else:
            seen[found.smiles] = entry.row
            kept.append((entry, found))
    return Molecules(
        tuple(found.smiles for _, found in kept),
        tuple(entry.name for entry, _ in kept),
        tuple(entry.row for entry, _ in kept),
        tuple("; ".join(found.changes) for _, found in kept),
        tuple(dropped),
        source,
    )


def write_dropped(path: Path, dropped: Sequence[Dropped]) -> None:
    """Write the table of dropped rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "text", "name", "reason"])
    writer.writerows([item.row, item.text, item.name, item.reason] for item in dropped)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


@dataclass(frozen=True)
class _Standardise:
    """The work of one chunk; picklable."""

    entries: tuple[Entry, ...]
    keep_stereo: bool

    def __call__(self, start: int, size: int, seed: int) -> list[Standard | str]:
        del seed
        return [self._one(entry) for entry in self.entries[start : start + size]]

    def _one(self, entry: Entry) -> Standard | str:
        try:
            if entry.block is not None:
                return standard_of_block(entry.block, self.keep_stereo)
            return standard_of_text(entry.text, self.keep_stereo)
        except RefusedError as error:
            return str(error)


def _text(file: File) -> list[Entry]:
    """Return the rows of SMILES, then a name; a heading is skipped."""
    entries = []
    for number, line in lines_of(decoded(file)):
        words = line.split(maxsplit=1)
        if not words or (number == 1 and words[0].lower().strip(",") in SMILES_NAMES):
            continue
        entries.append(Entry(number, words[0], words[1].strip() if len(words) > 1 else ""))
    return entries


def _table(file: File, column: str | None) -> tuple[list[Entry], str]:
    text = decoded(file)
    delimiter = "\t" if file.suffix == ".tsv" else _delimiter(text)
    try:
        rows = [
            (number, row)
            for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter), 1)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise InputError(f"{file.path}: is not a table of text: {error}") from error
    if not rows:
        return [], file.path.name
    head = [cell.strip() for cell in rows[0][1]]
    at, headed = _column(file.path, head, rows, column)
    body = rows[1:] if headed else rows
    name = next((k for k, cell in enumerate(head) if headed and cell.lower() in NAME_NAMES), None)
    entries = []
    for number, row in body:
        cell = row[at].strip() if at < len(row) else ""
        called = row[name].strip() if name is not None and name < len(row) else ""
        entries.append(Entry(number, cell, called))
    label = head[at] if headed else f"{at + 1}"
    return entries, f"{file.path.name}, column {label}"


def _shown(names: Sequence[str]) -> str:
    """Return names for a message of one line, whatever is in them."""
    return ", ".join("".join(c if c.isprintable() else " " for c in name) for name in names)


def _column(
    path: Path, head: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]], column: str | None
) -> tuple[int, bool]:
    """Return the column of SMILES, and whether the first row is a heading."""
    if column is not None:
        if column not in head:
            raise InputError(f"{path}: has no column '{column}'; the columns are {_shown(head)}")
        return head.index(column), True
    lowered = [cell.lower() for cell in head]
    for known in SMILES_NAMES:
        if known in lowered:
            return lowered.index(known), True
    for at, cell in enumerate(head):
        if len(cell) > 4 and looks_like_molecule(cell):
            return at, False
    shares = [
        sum(looks_like_molecule(row[at]) for _, row in rows[1:51] if at < len(row))
        for at in range(len(head))
    ]
    best = max(range(len(head)), key=shares.__getitem__)
    if 2 * shares[best] <= len(rows[1:51]):
        raise InputError(
            f"{path}: no column holds SMILES; the columns are {_shown(head)}; "
            "name one with --column"
        )
    return best, True


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max(",;\t|", key=first.count)


def _records(file: File) -> list[Entry]:
    """Return the records of an SD file; one that is cut short is kept to be named."""
    entries = []
    for number, text in enumerate(END_OF_RECORD.split(decoded(file)), 1):
        if text.strip():  # its first line, the title, may be empty
            name = text.split("\n", 1)[0].strip()
            entries.append(Entry(number, name, name, text))
    return entries
