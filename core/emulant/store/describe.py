"""What is this file, who made it, and with what: the answer of ``emulant info``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulant.errors import InputError
from emulant.store.arrays import load_arrays
from emulant.store.hashing import hash_file
from emulant.store.parts import each_part, is_parts, list_of_parts
from emulant.store.provenance import Provenance, plain
from emulant.store.tensors import load_tensors
from emulant.store.text import read_json

__all__ = ["describe"]

TEXTS = {
    ".html": "page", ".md": "text", ".txt": "text", ".csv": "table", ".tsv": "table",
    ".toml": "settings", ".smi": "SMILES", ".sdf": "structures with properties", ".svg": "drawing",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sign:
    """By which bytes a whole file of a kind that others read is known."""

    kind: str
    start: bytes
    end: bytes = b""
    block: int = 1
    """Its length is a multiple of so many bytes."""


SIGNS = {
    ".fits": Sign("FITS images", b"SIMPLE  =", block=2880),
    ".parquet": Sign("table", b"PAR1", b"PAR1"),
    ".png": Sign("picture", b"\x89PNG\r\n", b"IEND\xaeB`\x82"),
    ".xlsx": Sign("table", b"PK\x03\x04"),
}


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a JSON record of what ``path`` is, having verified that it is intact.

    Raises
    ------
    InputError
        The file is missing, damaged, or of no kind that Emulant writes.
    """
    file = Path(path)
    if is_parts(file):
        return _describe_parts(file)
    if file.is_dir():
        return _describe_directory(file)
    if not file.exists():
        raise InputError(f"{file}: No such file or directory")
    suffix = file.suffix.lower()
    if suffix == ".safetensors":
        body = _describe_tensors(file)
    elif suffix == ".json":
        body = _describe_json(file)
    elif suffix in TEXTS:
        body = {"kind": TEXTS[suffix]}
    elif suffix in SIGNS:
        body = _describe_signed(file, SIGNS[suffix])
    else:
        body = _describe_arrays(file)
    beside = file.with_name(f"{file.name}.manifest.json")
    if "provenance" not in body and beside.is_file():
        manifest = read_json(beside)
        if isinstance(manifest, dict):
            body["provenance"] = manifest.get("provenance", manifest)
    return {"file": file.name, "bytes": file.stat().st_size, "hash": hash_file(file)} | body


def _describe_arrays(file: Path) -> dict[str, Any]:
    stored = load_arrays(file)
    return {
        "kind": "arrays",
        "arrays": {name: f"{a.dtype} {_shape(a.shape)}" for name, a in stored.arrays.items()},
        "attributes": stored.attributes,
        "provenance": _provenance(stored.provenance),
    }


def _describe_tensors(file: Path) -> dict[str, Any]:
    stored = load_tensors(file)
    types = {name: str(t.dtype).removeprefix("torch.") for name, t in stored.tensors.items()}
    return {
        "kind": "tensors",
        "content": stored.content,
        "tensors": {n: f"{types[n]} {_shape(t.shape)}" for n, t in stored.tensors.items()},
        "numbers": sum(t.numel() for t in stored.tensors.values()),
        "metadata": stored.metadata,
    }


def _describe_signed(file: Path, sign: Sign) -> dict[str, Any]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(len(sign.start))
        opened.seek(max(0, size - len(sign.end)))
        end = opened.read(len(sign.end))
    if start != sign.start or end != sign.end or size % sign.block:
        raise InputError(f"{file}: is truncated, damaged, or no {file.suffix}; take an intact copy")
    return {"kind": sign.kind}


def _describe_json(file: Path) -> dict[str, Any]:
    record = read_json(file)
    fields = sorted(record) if isinstance(record, Mapping) else []
    kind = record.get("schema", "JSON record") if isinstance(record, Mapping) else "JSON list"
    shown = ("status", "verdict", "provenance")
    return {
        "kind": kind,
        "fields": fields,
        **{name: record[name] for name in shown if name in fields},
    }


def _describe_parts(directory: Path) -> dict[str, Any]:
    record = list_of_parts(directory)
    return {
        "directory": directory.name,
        "kind": "results in parts",
        "parts": sum(1 for _ in each_part(directory)),
        "count": record["count"],
        "provenance": record["provenance"],
    }


def _describe_directory(directory: Path) -> dict[str, Any]:
    known = (".safetensors", ".json", ".npz", ".h5", ".hdf5", ".npy", *TEXTS, *SIGNS)
    files = [
        file
        for file in sorted(directory.iterdir())
        if file.is_file() and file.suffix.lower() in known and not file.name.startswith(".")
    ]
    if not files:
        raise InputError(f"{directory}: holds no file that emulant wrote")
    return {
        "directory": directory.name,
        "kind": "directory of a run",
        "files": {file.name: describe(file) for file in files},
    }


def _provenance(provenance: Provenance | None) -> Any:
    return "none: not written by an emulant command" if provenance is None else plain(provenance)


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(length) for length in shape) + ")"
