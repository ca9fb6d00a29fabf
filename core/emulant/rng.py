"""Seeded generators, one per purpose; nothing in this suite seeds globally.

A *purpose* is a path of words and numbers, such as ``("train", "critic", 17)``. Two different
purposes give independent streams, and the same purpose gives the same stream on every
machine, so that a result does not depend on the number of workers nor on what ran before.

The child seed is the first 63 bits of BLAKE2b(seed / purpose).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["derive", "numpy_rng", "torch_rng"]


def derive(seed: int, *purpose: str | int) -> int:
    """Return the child seed, an integer in [0, 2**63), of ``seed`` for ``purpose``.

    >>> derive(0, "train", 1) == derive(0, "train", 1)
    True
    >>> derive(0, "train", 1) == derive(0, "train", 2)
    False
    """
    path = "/".join([str(int(seed)), *(f"{type(part).__name__}:{part}" for part in purpose)])
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "big") >> 1


def numpy_rng(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a NumPy generator for ``purpose``."""
    return np.random.default_rng(derive(seed, *purpose))


def torch_rng(seed: int, *purpose: str | int, device: str = "cpu") -> torch.Generator:
    """Return a torch generator on ``device`` for ``purpose``."""
    import torch  # here, so that numpy-only rooms start without torch

    return torch.Generator(device=device).manual_seed(derive(seed, *purpose))
