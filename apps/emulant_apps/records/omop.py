"""OMOP CDM tables, in a folder or a .zip, as a cohort.

Read are PERSON, MEASUREMENT, CONDITION_OCCURRENCE, DEATH and, for names, CONCEPT; capitals in file
names do not matter, .csv and .parquet do. https://ohdsi.github.io/CommonDataModel/
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from emulant.errors import InputError
from emulant_apps.records.cohort import Cohort, Person, day_of
from emulant_apps.records.files import read_cells
from emulant_apps.records.series import Events

__all__ = ["is_omop", "read_omop"]

Row = Mapping[str, str]
SEX = {"8507": "male", "8532": "female"}


def is_omop(path: Path) -> bool:
    """Return whether ``path`` holds a table PERSON."""
    return "person" in _files(path)


def _files(path: Path) -> dict[str, str]:
    """Return the tables by their lower-case names."""
    if path.is_dir():
        names = [str(p.name) for p in sorted(path.iterdir())]
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if "__MACOSX" not in n]
    else:
        return {}
    return {
        Path(n).stem.lower(): n for n in names if Path(n).suffix.lower() in (".csv", ".parquet")
    }


def read_omop(path: Path) -> Cohort:
    """Return persons, measurements with a number, and conditions.

    Raises
    ------
    InputError
        PERSON or a column is missing, or a table cannot be read.
    """
    files = _files(path)
    if "person" not in files:
        raise InputError(f"{path}: holds no table PERSON; name a folder or .zip of OMOP CDM")
    names = {r["concept_id"]: r["concept_name"] for r in _rows(path, files, "concept")}
    deaths = {r["person_id"]: day_of(r["death_date"]) for r in _rows(path, files, "death")}
    persons: list[Person] = []
    place: dict[str, int] = {}
    for row in _rows(path, files, "person", ("person_id", "gender_concept_id", "year_of_birth")):
        person = row["person_id"]
        place[person] = len(place)
        month, day = row.get("month_of_birth") or "7", row.get("day_of_birth") or "1"
        birth = day_of(
            f"{int(float(row['year_of_birth'])):04d}-{int(float(month)):02d}-{int(float(day)):02d}"
        )
        sex = SEX.get(row["gender_concept_id"], names.get(row["gender_concept_id"]))
        persons.append(Person(sex, birth, deaths.get(person, float("nan"))))
    measured = _events(
        path,
        files,
        "measurement",
        "measurement_concept_id",
        "measurement_date",
        place,
        names,
        "value_as_number",
    )
    conditions = _events(
        path,
        files,
        "condition_occurrence",
        "condition_concept_id",
        "condition_start_date",
        place,
        names,
        None,
    )
    return Cohort(persons, measured, conditions)


def _events(
    path: Path, files: Mapping[str, str], table: str, concept: str, date: str,
    place: Mapping[str, int], names: Mapping[str, str], value: str | None,
) -> Events:  # fmt: skip
    things: dict[str, int] = {}
    rows: list[tuple[int, int, float, float]] = []
    needed = ("person_id", concept, date, *([value] if value else []))
    for number, row in enumerate(_rows(path, files, table, needed), 2):
        text = row[value] if value else "1"
        if not text or row["person_id"] not in place:
            continue
        try:
            amount = float(text)
        except ValueError:
            raise InputError(
                f"{path}: {table}, row {number}, column '{value}': holds no number"
            ) from None
        thing = names.get(row[concept]) or f"concept {row[concept]}"
        day = day_of(row.get(date.replace("_date", "_datetime")) or row[date])
        if np.isnan(day):
            raise InputError(f"{path}: {table}, row {number}, column '{date}': holds no date")
        rows.append((place[row["person_id"]], things.setdefault(thing, len(things)), day, amount))
    table_of = np.array(rows, dtype=np.float64).reshape(-1, 4)
    patient, thing_of = table_of[:, 0].astype(np.int64), table_of[:, 1].astype(np.int64)
    return Events(tuple(place), tuple(things), patient, thing_of, table_of[:, 2], table_of[:, 3])


def _rows(
    path: Path, files: Mapping[str, str], table: str, needed: tuple[str, ...] = ()
) -> Iterator[Row]:
    """Yield the rows of a table as texts; none where an optional table is not there."""
    if table not in files:
        if needed and table == "person":
            raise InputError(f"{path}: holds no table {table.upper()}")
        return
    name = files[table]
    if name.lower().endswith(".parquet"):
        if not path.is_dir():
            raise InputError(f"{path}: unpack it first: {name} is Parquet inside a .zip")
        cells = read_cells(path / name)
        _require(path, table, cells.names, needed)
        texts = [
            ["" if c is None or c != c else _plain(c) for c in column] for column in cells.columns
        ]
        for cells_of_row in zip(*texts, strict=True):
            yield dict(zip((n.lower() for n in cells.names), cells_of_row, strict=True))
        return
    if path.is_dir():
        stream = io.StringIO(
            (path / name).read_text(encoding="utf-8-sig", errors="replace"), newline=""
        )
    else:
        with zipfile.ZipFile(path) as archive:
            stream = io.StringIO(
                archive.read(name).decode("utf-8-sig", errors="replace"), newline=""
            )
    first = stream.readline()
    stream.seek(0)
    reader = csv.DictReader(stream, delimiter="\t" if "\t" in first else ",")
    reader.fieldnames = [f.lower() for f in reader.fieldnames or []]
    _require(path, table, tuple(reader.fieldnames), needed)
    for row in reader:
        if None in row.values() or None in row:
            raise InputError(
                f"{path}: {table}, row {reader.line_num}: has not as many cells as names"
            )
        yield row


def _require(path: Path, table: str, names: tuple[str, ...], needed: tuple[str, ...]) -> None:
    lacking = [n for n in needed if n not in {name.lower() for name in names}]
    if lacking:
        raise InputError(f"{path}: {table}, row 1: has no column '{lacking[0]}'")


def _plain(cell: object) -> str:
    return f"{cell:.15g}" if isinstance(cell, float) else str(cell)
