"""Weights and states in one safetensors file that knows whether it is intact.

The header's single metadata entry ``emulant`` is a JSON record

    {"schema": 1, "content": hash(tensors, metadata), "metadata": ...}

One entry, because safetensors writes several in no fixed order. Nothing in such a file is
ever executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulant.errors import InputError
from emulant.store.atomic import atomic_path, explain
from emulant.store.hashing import hash_arrays, hash_json
from emulant.store.provenance import plain

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Stored", "load_tensors", "save_tensors"]

SCHEMA = 1
ENTRY = "emulant"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a file of tensors holds."""

    tensors: Mapping[str, Tensor]
    """Named tensors, on the CPU."""
    metadata: Mapping[str, Any]
    """The JSON record that was saved with them."""
    content: str
    """Hash of tensors and metadata: the name of these weights in a provenance."""


def save_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> str:
    """Write named tensors and a JSON record to ``path``; return the content hash.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    from safetensors.torch import save  # here, because it imports torch

    record = plain(metadata)
    # clones, because safetensors refuses tensors that share their storage
    own = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    content = _content(own, record)
    header = {"schema": SCHEMA, "content": content, "metadata": record}
    entry = {ENTRY: json.dumps(header, sort_keys=True, allow_nan=False)}
    with atomic_path(path) as temporary:
        # not save_file: that makes a temporary file of its own, which a kill would leave behind
        temporary.write_bytes(save(own, metadata=entry))
    return content


def load_tensors(path: str | os.PathLike[str]) -> Stored:
    """Return the tensors and the record of ``path`` after verifying its hash.

    Raises
    ------
    InputError
        The file is missing, truncated, damaged, or was not written by :func:`save_tensors`.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if file.is_dir():
        raise InputError(f"{file}: is a directory; name a .safetensors file")
    try:
        with safe_open(file, framework="pt") as opened:
            entry = (opened.metadata() or {}).get(ENTRY)
            header = _header(file, entry)
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    except OSError as error:
        raise explain(file, error, "read") from error
    except SafetensorError as error:
        raise InputError(
            f"{file}: is truncated, damaged, or no safetensors file ({_first_line(error)}); "
            "take an intact copy"
        ) from error
    if _content(tensors, header["metadata"]) != header["content"]:
        raise InputError(f"{file}: is damaged (content hash mismatch); take an intact copy")
    return Stored(tensors, header["metadata"], header["content"])


def _header(file: Path, entry: str | None) -> dict[str, Any]:
    foreign = InputError(
        f"{file}: holds tensors but no Emulant record, or a damaged one; "
        "name a file that an emulant command wrote"
    )
    if entry is None:
        raise foreign
    try:
        header = json.loads(entry)
    except (ValueError, RecursionError) as error:
        raise foreign from error
    if not isinstance(header, dict) or "schema" not in header:
        raise foreign
    if header["schema"] != SCHEMA:
        raise InputError(
            f"{file}: has schema {header.get('schema')!r}, this version reads {SCHEMA}; "
            "install the version of emulant that wrote it"
        )
    if not isinstance(header.get("metadata"), dict) or "content" not in header:
        raise foreign
    return header


def _content(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    return hash_json([hash_arrays(tensors), metadata])


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
