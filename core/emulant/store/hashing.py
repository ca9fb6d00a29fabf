"""Content hashes: which bytes, arrays or records these are.

Every hash is the text ``"sha256:"`` and 64 hexadecimal digits.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emulant.store.atomic import explain

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["hash_arrays", "hash_file", "hash_json"]


def hash_file(path: str | os.PathLike[str]) -> str:
    """Return the hash of a file's bytes.

    Raises
    ------
    InputError
        The file is missing or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise explain(Path(path), error, "read") from error


def hash_json(record: Any) -> str:
    """Return the hash of a JSON record, whatever the order of its keys.

    >>> hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
    True
    """
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def hash_arrays(arrays: Mapping[str, NDArray[Any] | Tensor]) -> str:
    """Return the hash of named arrays or tensors: names, types, shapes and values.

    An array and the tensor of the same values have the same hash; so has any memory layout.

    >>> hash_arrays({"x": np.zeros(3)}) == hash_arrays({"x": np.zeros((3, 1))})
    False
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        kind, shape, values = _canonical(arrays[name])
        digest.update(f"{json.dumps(name)} {kind} {list(shape)}\n".encode())
        digest.update(values)
    return f"sha256:{digest.hexdigest()}"


def _canonical(array: NDArray[Any] | Tensor) -> tuple[str, tuple[int, ...], memoryview]:
    """Return the type's name, the shape and the little-endian bytes in C order."""
    if isinstance(array, np.ndarray | np.generic):
        values = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        return array.dtype.name, array.shape, values.reshape(-1).view(np.uint8).data
    import torch  # a tensor came in, so torch is there already

    flat = array.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    kind = str(array.dtype).removeprefix("torch.")
    return kind, tuple(array.shape), flat.numpy().data
