"""Tables as they stand in files: names and columns of text or numbers, nothing interpreted.

Text (CSV, TSV and their cousins) may be UTF-8, with or without a byte-order mark, UTF-16 or
Windows-1252, parted by comma, semicolon, tab or bar. Rows are numbered as a spreadsheet numbers
them: the names are row 1. No message repeats a cell.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.store.atomic import atomic_path, explain
from emulant_apps.records.codes import Audit

__all__ = ["TEXT", "Cells", "read_cells", "split_names", "write_cells"]

TEXT = (".csv", ".tsv", ".txt", ".data")
RawColumn: TypeAlias = NDArray[Any]
"""Float64 (n,) with NaN, datetime64 (n,), or objects (n,): texts and None."""

DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A table as it stands in its file."""

    names: tuple[str, ...]
    columns: tuple[RawColumn, ...]
    audit: tuple[Audit, ...] = ()
    delimiter: str = ""


def read_cells(path: Path, delimiter: str = "") -> Cells:
    """Return the cells of a .csv, .tsv, .txt, .data (also .gz), .parquet or .xlsx file.

    Raises
    ------
    InputError
        The file cannot be read, has ragged rows, or two columns of one name.
    """
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    suffix = plain.suffix.lower()
    try:
        if suffix in TEXT:
            cells = _read_text(path, suffix, delimiter)
        elif suffix == ".parquet":
            cells = _read_parquet(path)
        elif suffix == ".xlsx":
            cells = _read_excel(path)
        else:
            known = ", ".join((*TEXT, ".parquet", ".xlsx"))
            raise InputError(f"{path}: cannot tell the format from its name; known: {known}")
    except OSError as error:
        raise explain(path, error, "read") from None
    if not cells.names:
        raise InputError(f"{path}: holds no columns")
    if not len(cells.columns[0]):
        raise InputError(f"{path}: has names in row 1 and no rows below them")
    return cells


def split_names(path: Path, names: Sequence[Any]) -> tuple[str, ...]:
    """Return column names without blanks around them.

    Raises
    ------
    InputError
        A name is empty, two are the same, or the names are numbers.
    """
    clean = tuple("" if name is None else str(name).strip() for name in names)
    if not clean:
        raise InputError(f"{path}: row 1: is blank where the names of the columns should be")
    for k, name in enumerate(clean):
        if not name and k:
            raise InputError(f"{path}: row 1, column {k + 1}: has no name")
        if name in clean[:k]:
            first = clean.index(name) + 1
            raise InputError(
                f"{path}: row 1: columns {first} and {k + 1} have the same name "
                f"'{name}'; rename one"
            )
    numbers = sum(bool(re.fullmatch(r"[+-]?\d+([.,]\d+)?", name)) for name in clean)
    if len(clean) > 2 and numbers > len(clean) / 2:
        raise InputError(f"{path}: row 1: holds numbers where the names of the columns should be")
    return ("row", *clean[1:]) if not clean[0] else clean


def _read_text(path: Path, suffix: str, delimiter: str) -> Cells:
    data = path.read_bytes()
    audit: list[Audit] = []
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (EOFError, gzip.BadGzipFile):
            raise InputError(f"{path}: is no whole gzip file") from None
    text = _decoded(path, data, audit)
    delimiter = delimiter or ("\t" if suffix == ".tsv" else _delimiter(text))
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False)
    try:
        head = next(rows, None)
        body = [row for row in rows if row]
    except csv.Error:
        raise InputError(
            f"{path}: row {rows.line_num}: cannot be read as text in columns"
        ) from None
    if head is None:
        raise InputError(f"{path}: is empty")
    names = split_names(path, head)
    width, longer = len(names), 0
    for k, row in enumerate(body):
        if len(row) > width and not any(cell.strip() for cell in row[width:]):
            del row[width:]
            longer += 1
        if len(row) != width:
            raise InputError(
                f"{path}: row {k + 2}: has {len(row)} cells, the names in row 1 are {width}"
            )
    if longer:
        audit.append(Audit("empty cells after the last column dropped", "", longer))
    columns = tuple(np.array(column, dtype=object) for column in zip(*body, strict=True))
    return Cells(
        names, columns or tuple(np.empty(0, object) for _ in names), tuple(audit), delimiter
    )


def _decoded(path: Path, data: bytes, audit: list[Audit]) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        audit.append(Audit("read as UTF-16, by its byte-order mark", "", 1))
        return data.decode("utf-16", errors="replace")
    if data.startswith(codecs.BOM_UTF8):
        audit.append(Audit("byte-order mark of UTF-8 dropped", "", 1))
    if b"\0" in data[:4096]:
        raise InputError(f"{path}: is no text; name a table")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        audit.append(Audit("read as Windows-1252, for it is not UTF-8", "", 1))
        return data.decode("cp1252", errors="replace")


def _delimiter(text: str) -> str:
    """Return the delimiter that parts the first rows into the same, largest number of cells."""
    lines = text[:65536].splitlines()[:50]
    best, score = ",", (0.0, 0)
    for mark in DELIMITERS:
        widths = [len(row) for row in csv.reader(lines, delimiter=mark) if row]
        if not widths or widths[0] < 2:
            continue
        same = sum(w == widths[0] for w in widths) / len(widths)
        if (round(same, 1), widths[0]) > score:
            best, score = mark, (round(same, 1), widths[0])
    return best


def _read_parquet(path: Path) -> Cells:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # not read_table(path): that would look for data sets in the directory's name
        with path.open("rb") as file:
            table = pq.read_table(file)
    except pa.ArrowException:
        raise InputError(f"{path}: is truncated, damaged, or no Parquet file") from None
    names = split_names(path, table.column_names)
    return Cells(names, tuple(_arrow_column(path, table, k, name) for k, name in enumerate(names)))


def _arrow_column(path: Path, table: Any, k: int, name: str) -> RawColumn:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column(k)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_boolean(kind):
        column, kind = column.cast(pa.int8()), pa.int8()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = pc.cast(column, pa.float64(), safe=False)
        return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind) and not pa.types.is_time(kind):
        return np.asarray(pc.cast(column, pa.timestamp("s"), safe=False)).astype("datetime64[s]")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return np.array(column.to_pylist(), dtype=object)
    raise InputError(
        f"{path}: column '{name}' holds {kind}; only numbers, texts and dates are read"
    )


def _read_excel(path: Path) -> Cells:
    import openpyxl  # type: ignore[import-untyped]  # it ships no types
    from openpyxl.utils.exceptions import (  # type: ignore[import-untyped]  # it ships no types
        InvalidFileException,
    )

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
        book.close()
    except (InvalidFileException, zipfile.BadZipFile, KeyError, IndexError):
        raise InputError(f"{path}: is truncated, damaged, or no Excel workbook (.xlsx)") from None
    while rows and all(cell is None for cell in rows[-1]):
        rows.pop()
    if not rows:
        raise InputError(f"{path}: its first sheet is empty")
    width = max((k + 1 for k, cell in enumerate(rows[0]) if cell is not None), default=0)
    names = split_names(path, rows[0][:width])
    for k, row in enumerate(rows[1:]):
        if any(cell is not None for cell in row[width:]):
            raise InputError(f"{path}: row {k + 2}: has cells beyond the {width} names of row 1")
        row += [None] * (width - len(row))
    columns = [[row[j] for row in rows[1:]] for j in range(width)]
    return Cells(names, tuple(_excel_column(column) for column in columns))


def _excel_column(cells: list[Any]) -> RawColumn:
    """Return numbers where all cells are numbers, dates where all are dates, else texts."""
    import datetime

    filled = [cell for cell in cells if cell is not None]
    if filled and all(isinstance(cell, bool | int | float) for cell in filled):
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    if filled and all(isinstance(cell, datetime.date) for cell in filled):
        return np.array(
            ["NaT" if c is None else c.isoformat()[:19] for c in cells], "datetime64[s]"
        )
    texts = [
        None
        if cell is None
        else cell.isoformat()[:10]
        if isinstance(cell, datetime.date)
        else f"{cell:.15g}"
        if isinstance(cell, float)
        else str(cell)
        for cell in cells
    ]
    return np.array(texts, dtype=object)


def write_cells(path: Path, names: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
    """Write columns of texts, numbers and None to .csv, .tsv, .parquet or .xlsx, atomically.

    Raises
    ------
    InputError
        The name tells no such format, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    with atomic_path(path) as temporary:
        if suffix in (".csv", ".tsv", ".txt"):
            with temporary.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(
                    file, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n"
                )
                writer.writerow(names)
                writer.writerows(
                    ["" if cell is None else cell for cell in row]
                    for row in zip(*columns, strict=True)
                )
        elif suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(
                pa.table([pa.array(list(c)) for c in columns], names=list(names)), temporary
            )
        elif suffix == ".xlsx":
            _write_excel(temporary, names, columns)
        else:
            raise InputError(f"{path}: write a .csv, .tsv, .parquet or .xlsx file")


def _write_excel(path: Path, names: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
    import datetime

    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    book.properties.created = book.properties.modified = datetime.datetime(2000, 1, 1)
    sheet = book.create_sheet("table")
    sheet.append(list(names))
    for row in zip(*columns, strict=True):
        sheet.append(list(row))
    book.save(path)
