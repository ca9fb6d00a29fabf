"""The one door to numba: functions compiled to machine code on first use and kept on disk.

``nogil`` lets threads run kernels side by side, ``cache`` spares the next process the
compilation. Nothing is compiled at import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

__all__ = ["kernel"]

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` with numba, keeping its signature in the eyes of a type checker."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))
