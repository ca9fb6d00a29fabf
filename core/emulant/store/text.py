"""Text and JSON files: atomic, sorted, the same bytes for the same record."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

from emulant.errors import InputError
from emulant.store.atomic import atomic_path, explain
from emulant.store.provenance import plain

__all__ = ["read_json", "read_text", "write_json", "write_text"]


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a UTF-8 file.

    Raises
    ------
    InputError
        The file is missing, cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise explain(Path(path), error, "read") from error


def write_json(path: str | os.PathLike[str], record: Any) -> None:
    """Write ``record`` (JSON values, dataclasses, mappings, arrays) with sorted keys.

    Raises
    ------
    ValueError
        A number is not finite: JSON has no word for it; write None.
    """
    text = json.dumps(plain(record), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return the JSON record of ``path``.

    Raises
    ------
    InputError
        The file is missing or is not strict JSON; the message names the line.
    """
    try:
        return json.loads(read_text(path), parse_constant=_refuse)
    except InputError:
        raise
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{path}: is not JSON: {error.msg} at {where}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON: {error}") from error


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")
