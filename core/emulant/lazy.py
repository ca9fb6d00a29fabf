"""Public names of a package that are imported when they are first asked for.

So that ``import emulant_apps.ising`` waits neither for torch nor for numba.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["lazy"]


def lazy(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of ``package``.

    Arguments
    ---------
    homes : name -> room of the package that defines it, such as ``{"Emulator": "sample"}``; a
        room under its own name is meant itself.

    Examples
    --------
    >>> get, names = lazy("emulant", {"derive": "rng"})
    >>> get("derive").__module__
    'emulant.rng'
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        room = import_module(f"{package}.{homes[name]}")
        return room if homes[name] == name else getattr(room, name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names
