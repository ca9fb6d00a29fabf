"""The outside of files: compression, encodings, line ends."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emulant.errors import InputError
from emulant.store.atomic import explain

__all__ = ["Entry", "File", "decoded", "lines_of", "open_bytes"]

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a file before it is a molecule."""

    row: int
    text: str
    """A SMILES, or the name of a record."""
    name: str = ""
    block: str | None = None
    """The record of an SD file."""


@dataclass(frozen=True, slots=True)
class File:
    """The bytes of a file, unpacked, and the extension below ``.gz``."""

    path: Path
    suffix: str
    data: bytes


def open_bytes(path: Path) -> File:
    """Return what a file holds; a ``.gz`` that is cut short gives what could be unpacked.

    Raises
    ------
    InputError
        The file is missing, or cannot be read or unpacked.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise explain(path, error, "read") from error
    if path.suffix.lower() != ".gz":
        return File(path, path.suffix.lower(), data)
    unpacking = zlib.decompressobj(wbits=31)
    try:
        data = gzip.decompress(data) if data.count(b"\x1f\x8b") > 1 else unpacking.decompress(data)
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); take an intact copy") from error
    return File(path, Path(path.stem).suffix.lower(), data)


def decoded(file: File) -> str:
    """Return the text of a file, in UTF-8, UTF-16 with its mark, or Latin-1; line ends as one.

    Raises
    ------
    InputError
        It holds bytes of zero and is therefore no text.
    """
    encoding = next((name for mark, name in MARKS if file.data.startswith(mark)), None)
    if encoding is None:
        sample = file.data[:2000]
        odd, even = sample[1::2].count(0), sample[::2].count(0)
        if odd > len(sample) // 4:
            encoding = "utf-16-le"
        elif even > len(sample) // 4:
            encoding = "utf-16-be"
        elif odd + even > len(sample) // 20:
            raise InputError(f"{file.path}: is no text; give SMILES, a table or an SD file")
    if encoding is None:
        try:
            text = file.data.decode("utf-8")
        except UnicodeDecodeError:
            text = file.data.decode("latin-1")
    else:
        text = file.data.decode(encoding, errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its number; 1 is the first."""
    yield from enumerate(text.split("\n"), 1)
