"""Arrays on disk: ``.npz``, ``.h5`` / ``.hdf5`` by extension, and bare ``.npy``.

Beside its arrays a file may hold two texts: ``provenance`` (who made it) and ``attributes``
(a JSON object of what else the reader must know). The same arrays give the same bytes. Every
read verifies the content hash (the comment of a ``.npz``, an attribute of a ``.h5``), never
unpickles, follows no link out of the file, and refuses arrays larger than the machine's
memory before allocating.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.memory import machine_memory
from emulant.store.atomic import atomic_path, explain
from emulant.store.hashing import hash_arrays
from emulant.store.provenance import Provenance, plain

__all__ = ["StoredArrays", "load_arrays", "save_arrays"]

Arrays = dict[str, NDArray[Any]]
Texts = dict[str, str]

PROVENANCE = "provenance"
ATTRIBUTES = "attributes"
CONTENT = "content"
BARE = "array"
"""Name of the only array of a ``.npy`` file, which holds no name."""


@dataclass(frozen=True, slots=True)
class StoredArrays:
    """What a file of arrays holds."""

    arrays: Mapping[str, NDArray[Any]]
    """Named arrays; the one of a ``.npy`` file is called ``array``."""
    provenance: Provenance | None = None
    """Who made the file; None in a user's own file."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """JSON values saved beside the arrays."""


def save_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    provenance: Provenance | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write named arrays to ``path``, compressed, atomically, the same bytes every time.

    Raises
    ------
    InputError
        The extension is unknown, or the file cannot be written.
    ValueError
        An array holds Python objects or bears a reserved name, or a ``.npy`` file was asked
        to hold more than one bare array.
    """
    file = Path(path)
    kind = _kind(file)
    own = {name: np.ascontiguousarray(a).reshape(np.shape(a)) for name, a in arrays.items()}
    for name, array in own.items():
        if array.dtype.hasobject:
            raise ValueError(f"'{name}' must hold numbers, got dtype {array.dtype}")
        if name in (PROVENANCE, ATTRIBUTES, CONTENT) or not name or "/" in name:
            raise ValueError(f"'{name}' cannot be the name of an array")
    texts: Texts = {}
    if provenance is not None:
        texts[PROVENANCE] = provenance.to_json()
    if attributes:
        texts[ATTRIBUTES] = json.dumps(plain(attributes), sort_keys=True, allow_nan=False)
    with atomic_path(file) as temporary:
        if kind == "npz":
            _write_npz(temporary, own, texts)
        elif kind == "h5":
            _write_h5(temporary, file, own, texts)
        else:
            if len(own) != 1 or texts:
                raise ValueError("a .npy file holds one bare array; use .npz or .h5")
            with temporary.open("wb") as opened:
                np.lib.format.write_array(opened, next(iter(own.values())), allow_pickle=False)


def load_arrays(path: str | os.PathLike[str]) -> StoredArrays:
    """Return what ``path`` holds, verified.

    Raises
    ------
    InputError
        The file is missing, truncated, damaged, foreign, larger than the memory, or its
        extension unknown.
    """
    file = Path(path)
    kind = _kind(file)
    try:
        if file.is_dir():
            raise InputError(f"{file}: is a directory; name a file")
        if kind == "npz":
            arrays, texts = _read_npz(file)
        elif kind == "h5":
            arrays, texts = _read_h5(file)
        else:
            with file.open("rb") as opened:
                arrays, texts = {BARE: _read_npy(opened, file.stat().st_size)}, {}
    except InputError as error:
        raise error if str(error).startswith(str(file)) else _damaged(file, kind, error) from error
    except (ValueError, KeyError, RuntimeError, NotImplementedError, TypeError) as error:
        raise _damaged(file, kind, error) from error  # what the readers raise on foreign bytes
    except (EOFError, zipfile.BadZipFile, zlib.error, SyntaxError, OverflowError) as error:
        raise _damaged(file, kind, error) from error
    except MemoryError as error:
        raise InputError(f"{file}: does not fit into the memory") from error
    except OSError as error:
        if error.errno is None:  # h5py on bytes that are not HDF5
            raise _damaged(file, kind, error) from error
        raise explain(file, error, "read") from error
    return StoredArrays(arrays, *_records(file, texts))


def _kind(file: Path) -> str:
    kinds = {".npz": "npz", ".npy": "npy", ".h5": "h5", ".hdf5": "h5"}
    kind = kinds.get(file.suffix.lower())
    if kind is None:
        raise InputError(f"{file}: unknown extension '{file.suffix}'; use .npz, .h5 or .npy")
    return kind


def _records(file: Path, texts: Texts) -> tuple[Provenance | None, dict[str, Any]]:
    try:
        provenance = Provenance.from_json(texts[PROVENANCE]) if PROVENANCE in texts else None
        attributes = json.loads(texts.get(ATTRIBUTES, "{}"))
    except InputError as error:
        raise InputError(f"{file}: {error}; rename that field if it is your own") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: field 'attributes' is not JSON: {error}") from error
    if not isinstance(attributes, dict):
        raise InputError(f"{file}: field 'attributes' must be a JSON object")
    return provenance, attributes


def _damaged(file: Path, kind: str, error: BaseException) -> InputError:
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    return InputError(
        f"{file}: is truncated, damaged, or no .{kind} file of numbers ({reason}); "
        "take an intact copy"
    )


def _check_size(name: str, size: int) -> None:
    memory = machine_memory()
    if memory and size > memory:
        raise MemoryError(f"'{name}' claims {size} bytes, the machine has {memory}")


def _write_npz(temporary: Path, arrays: Arrays, texts: Texts) -> None:
    members = arrays | {name: np.array(text) for name, text in texts.items()}
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in members.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, whatever the clock says
            info.compress_type = zipfile.ZIP_DEFLATED
            info._compresslevel = 1  # type: ignore[attr-defined]  # public only from Python 3.13
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.comment = _content(arrays, texts).encode()


def _read_npz(file: Path) -> tuple[Arrays, Texts]:
    arrays: Arrays = {}
    texts: Texts = {}
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _check_size(file.name, sum(info.file_size for info in members))
        for info in members:
            name = info.filename.removesuffix(".npy")
            if name == info.filename or name in arrays or name in texts:
                raise ValueError(f"unexpected member '{info.filename}'")
            with archive.open(info) as member:
                array = _read_npy(member, info.file_size)
            if name in (PROVENANCE, ATTRIBUTES):
                if array.dtype.kind != "U" or array.ndim:
                    raise ValueError(f"member '{name}' must be one text")
                texts[name] = str(array)
            else:
                arrays[name] = array
        if archive.comment and archive.comment != _content(arrays, texts).encode():
            raise ValueError("content hash mismatch")
    return arrays, texts


def _read_npy(opened: IO[bytes], size: int) -> NDArray[Any]:
    """Read one array from ``size`` bytes, all of them, so that their CRC is verified."""
    version = np.lib.format.read_magic(opened)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(opened)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(opened)
    else:
        raise ValueError(f"format version {version[0]}.{version[1]} of .npy")
    if dtype.hasobject:
        raise ValueError("Python objects are not read")
    count = 1
    for length in shape:  # Python integers cannot overflow
        count *= length
    if min(shape, default=0) < 0 or opened.tell() + count * dtype.itemsize != size:
        raise ValueError(f"{size} bytes cannot hold shape {shape} of {dtype}")
    data = bytearray(opened.read())
    if len(data) != count * dtype.itemsize:
        raise ValueError("shorter than it says")
    flat = np.frombuffer(data, dtype) if count else np.empty(0, dtype)
    array = flat.reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array).reshape(shape)


def _write_h5(temporary: Path, file: Path, arrays: Arrays, texts: Texts) -> None:
    import h5py  # here, so that .npz files do not wait for HDF5

    try:
        with h5py.File(temporary, "w", track_order=True) as opened:
            for name, array in arrays.items():
                packing: dict[str, Any] = {}
                if array.size:
                    packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
                opened.create_dataset(name, data=array, **(packing if array.ndim else {}))
            for name, text in texts.items():
                opened.create_dataset(name, data=text, dtype=h5py.string_dtype("utf-8"))
            opened.attrs[CONTENT] = _content(arrays, texts)
    except (OSError, RuntimeError) as error:  # a full disk is either, by the moment
        raise InputError(f"{file}: cannot write: {str(error).splitlines()[0]}") from error


def _read_h5(file: Path) -> tuple[Arrays, Texts]:
    import h5py

    arrays: Arrays = {}
    texts: Texts = {}
    file.open("rb").close()  # says why not more clearly than HDF5
    with h5py.File(file, "r", locking=False) as opened:
        for name in opened:
            if not isinstance(opened.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"'{name}' is a link")
            item = opened[name]
            if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external:
                raise ValueError(f"'{name}' is not a plain array")
            _check_size(name, item.nbytes)
            if name in (PROVENANCE, ATTRIBUTES):
                if h5py.check_string_dtype(item.dtype) is None or item.shape != ():
                    raise ValueError(f"'{name}' must be one text")
                texts[name] = item.asstr()[()]
            elif item.dtype.hasobject or item.shape is None:
                raise ValueError(f"'{name}' does not hold numbers")
            else:
                arrays[name] = np.asarray(item[()])
        content = opened.attrs.get(CONTENT)
    if content is not None and content != _content(arrays, texts):
        raise ValueError("content hash mismatch")
    return arrays, texts


def _content(arrays: Arrays, texts: Texts) -> str:
    return hash_arrays(arrays | {name: np.array(text) for name, text in texts.items()})
