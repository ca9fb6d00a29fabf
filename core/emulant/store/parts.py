"""Results in parts: a directory of files written one by one, so that memory holds one at a time.

    maps/part-00000.h5  maps/part-00001.h5  ...  maps/_parts.json

``_parts.json`` comes last: it names the parts, with their counts and the hashes of their bytes, and
says who made them. Until it is there ``_begun.npz`` says how far the work is, and the same command
goes on from there; given once more, it has nothing to do. Readers of Parquet directories pass over
names that begin with an underscore.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.store.arrays import load_arrays, save_arrays
from emulant.store.atomic import new_directory
from emulant.store.hashing import hash_file
from emulant.store.lock import locked
from emulant.store.provenance import Provenance, plain
from emulant.store.text import read_json, write_json

__all__ = ["Parts", "each_part", "hash_parts", "is_parts", "list_of_parts"]

PARTS = "_parts.json"
BEGUN = "_begun.npz"
LOCK = "_begun.lock"
SCHEMA = "emulant parts 1"
OF_FILES = {".csv", ".fits", ".h5", ".hdf5", ".npy", ".npz", ".parquet", ".sdf", ".smi", ".tsv"}
"""Endings that a person gives to files, so that a directory of such a name is a slip."""


class Parts:
    """A directory of parts that is being written; use it as a context.

    Arguments
    ---------
    out : directory, new or with the beginning of the same work.
    suffix : of the parts, such as ``".h5"``.
    made : who makes them; what the same command left behind is gone on with.

    Raises
    ------
    InputError
        The directory holds something else, is named as a file, or another process is at work
        there.
    """

    def __init__(self, out: Path, suffix: str, made: Provenance) -> None:
        self.out, self.suffix, self.made = out, suffix, made
        self.listed: list[dict[str, Any]] = []
        self.state: Mapping[str, NDArray[Any]] = {}
        """What the last :meth:`add` was given, to go on from."""

    @property
    def count(self) -> int:
        """Items that are written."""
        return sum(part["count"] for part in self.listed)

    def __enter__(self) -> Parts:
        if self.out.suffix.lower() in OF_FILES:
            raise InputError(
                f"{self.out}: parts go to a directory; name one without '{self.out.suffix}'"
            )
        begun, done = self.out / BEGUN, self.out / PARTS
        if not begun.exists() and not done.exists():
            new_directory(self.out, overwrite=not _foreign(self.out))
        with contextlib.ExitStack() as held:
            held.enter_context(locked(self.out, LOCK))
            if done.exists():  # then there is nothing left to do
                record = list_of_parts(self.out)
                self._require_own(record["provenance"])
                self.listed = record["parts"]
            elif begun.exists():
                found = load_arrays(begun)
                self._require_own(plain(found.provenance))
                self.listed, self.state = list(found.attributes["parts"]), found.arrays
            else:
                self._note()
            self.held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()

    def add(
        self,
        write: Callable[[Path], None],
        count: int,
        state: Mapping[str, NDArray[Any]] | None = None,
        **notes: Any,
    ) -> None:
        """Let ``write`` write the next part, of ``count`` items, and note that it is there.

        ``state`` is kept until the next part, ``notes`` (JSON values) with the part for good.
        """
        place = self.out / f"part-{len(self.listed):05d}{self.suffix}"
        place.unlink(missing_ok=True)  # of a work that ended between its part and its note
        write(place)
        self.listed.append({"name": place.name, "count": count, "hash": hash_file(place), **notes})
        self.state = dict(state or {})
        self._note()

    def finish(self, **notes: Any) -> None:
        """Write the list of the parts, with what else is to be known of them."""
        record = {"schema": SCHEMA, "count": self.count, "parts": self.listed, **notes}
        write_json(self.out / PARTS, record | {"provenance": self.made})
        (self.out / BEGUN).unlink(missing_ok=True)

    def _require_own(self, made: object) -> None:
        if made != plain(self.made):
            raise InputError(
                f"{self.out}: holds another result, or the beginning of one; repeat the very "
                "command that began it, or name a new directory"
            )

    def _note(self) -> None:
        save_arrays(self.out / BEGUN, self.state, self.made, {"parts": self.listed})


def _foreign(directory: Path) -> bool:
    """Return whether a directory holds more than what a kill at the very start leaves."""
    if not directory.is_dir():
        return False
    return any(f.name != LOCK and not f.name.startswith(f".{BEGUN}.") for f in directory.iterdir())


def is_parts(path: str | os.PathLike[str]) -> bool:
    """Return whether ``path`` is a directory of parts, complete or begun."""
    return any((Path(path) / name).is_file() for name in (PARTS, BEGUN))


def hash_parts(path: str | os.PathLike[str]) -> str:
    """Return the hash of a file, or of the list of a directory's parts and their hashes."""
    return hash_file(Path(path) / PARTS if is_parts(path) else path)


def list_of_parts(directory: Path) -> dict[str, Any]:
    """Return the list of a complete directory: its ``parts``, ``count`` and ``provenance``.

    Raises
    ------
    InputError
        The work is not at its end, or the list is damaged.
    """
    if not (directory / PARTS).is_file():
        raise InputError(
            f"{directory}: is not complete; repeat the command that began it, which goes on"
            if is_parts(directory)
            else f"{directory}: is no directory of parts: it has no {PARTS}"
        )
    record = read_json(directory / PARTS)
    if not _is_list(record):
        raise InputError(
            f"{directory / PARTS}: is damaged, or no list of parts; take an intact copy"
        )
    found: dict[str, Any] = record
    return found


def each_part(directory: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the parts of a directory in their order, each verified when its turn comes.

    Raises
    ------
    InputError
        The work is not at its end, a part is missing or changed, or the list is damaged.
    """
    place = Path(directory)
    for entry in list_of_parts(place)["parts"]:
        part = place / entry["name"]
        if hash_file(part) != entry["hash"]:
            raise InputError(f"{part}: is damaged: its hash is not that of {PARTS}")
        yield part


def _is_list(record: Any) -> bool:
    named = isinstance(record, dict) and {"parts", "count", "provenance"} <= set(record)
    return named and isinstance(record["parts"], list) and all(map(_is_entry, record["parts"]))


def _is_entry(entry: Any) -> bool:
    """Return whether an entry names a file of this directory, and no other."""
    names = isinstance(entry, dict) and {"name", "hash", "count"} <= set(entry)
    return names and isinstance(entry["name"], str) and Path(entry["name"]).name == entry["name"]
