"""Where a file comes from: the command, its settings, its inputs and its code.

There is no time, no machine name and no absolute path in it: the same inputs give the same
bytes. What says only *where* a result lies or *how* the work was shared out (``out``,
``resume``, ``overwrite``, ``workers``) is not recorded, and a path is recorded by its last
part: ``data`` and ``weights`` say by their hashes which file it was.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from emulant.errors import InputError

__all__ = ["Provenance", "current", "plain"]

UNRECORDED = frozenset({"out", "resume", "overwrite", "workers"})
SOURCES = ("emulant", "emulant_apps")
LIBRARIES = ("emulant", "numpy", "scipy", "numba", "torch")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who made a file, from what, and with what."""

    command: str
    """The command as a person would type it, without its flags: ``"ising simulate"``."""
    config: Mapping[str, Any]
    """Its settings, as plain JSON."""
    seed: int | None
    """The seed from which all chance was derived; None where there was no chance."""
    data: str | None = None
    """Hash of the data that went in."""
    weights: str | None = None
    """Hash of the weights that went in."""
    code: str = ""
    """Hash of the source code."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of Python and of the libraries that decide the numbers."""

    def to_json(self) -> str:
        """Return the record as one line of JSON with sorted keys."""
        return json.dumps(plain(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """Return the record that ``text`` holds.

        Raises
        ------
        InputError
            ``text`` is not such a record.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"provenance is not JSON: {error}") from error
        if not isinstance(record, dict) or set(record) != names:
            raise InputError(f"provenance must have exactly the fields {', '.join(sorted(names))}")
        if not (isinstance(record["config"], dict) and isinstance(record["versions"], dict)):
            raise InputError("provenance fields 'config' and 'versions' must be objects")
        return cls(**record)


def current(
    command: str,
    config: Any,
    seed: int | None,
    data: str | None = None,
    weights: str | None = None,
) -> Provenance:
    """Return the provenance of what ``command`` makes here and now.

    Parameters
    ----------
    command
        Application and verb, such as ``"ising simulate"``.
    config
        The command's frozen dataclass, or a mapping.
    seed, data, weights
        The seed, and the hashes of what went in.
    """
    settings = plain(config)
    if not isinstance(settings, dict):
        raise ValueError(f"'config' must be a dataclass or a mapping, got {type(config).__name__}")
    kept = {key: value for key, value in settings.items() if key not in UNRECORDED}
    return Provenance(command, kept, seed, data, weights, _code(), _versions())


def plain(value: Any) -> Any:
    """Return ``value`` as what JSON can hold.

    Dataclasses and mappings become objects, sequences and arrays lists, paths their last part.

    >>> plain({"sizes": (16, 32), "data": Path("/somewhere/truth.npz")})
    {'sizes': [16, 32], 'data': 'truth.npz'}
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, enum.Enum) else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, PurePath):
        return value.name.encode("utf-8", "replace").decode()  # names need not be UTF-8
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise ValueError(f"'{type(value).__name__}' cannot be recorded as JSON")


@functools.cache
def _code() -> str:
    """Hash the suite's own Python files: their paths inside the packages and their bytes."""
    digest = hashlib.sha256()
    for package in SOURCES:
        spec = importlib.util.find_spec(package)
        for root in sorted(spec.submodule_search_locations or []) if spec else []:
            for file in sorted(Path(root).rglob("*.py")):
                digest.update(f"{package}/{file.relative_to(root).as_posix()}\n".encode())
                digest.update(file.read_bytes())
    return f"sha256:{digest.hexdigest()}"


@functools.cache
def _versions() -> Mapping[str, str]:
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue  # not installed, so it decided no number
    return found
