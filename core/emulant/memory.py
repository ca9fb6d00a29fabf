"""What the machine's memory can hold, asked before the work and not after it."""

from __future__ import annotations

import os

from emulant.errors import InputError

__all__ = ["machine_memory", "require_memory"]

SHARE = 0.8
"""Of the machine's memory that a command may ask for."""


def machine_memory() -> int:
    """Return the bytes of this machine's memory, 0 where nobody says."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if os.name == "posix" else 0


def require_memory(needed: float, what: str, instead: str = "ask for less") -> None:
    """Raise InputError if the machine has less memory than ``needed`` bytes.

    Arguments
    ---------
    what : the flag that asks for so much, with its value.
    instead : what to do.

    Examples
    --------
    >>> require_memory(1e15, "--count 1000000000000")
    Traceback (most recent call last):
        ...
    emulant.errors.InputError: --count 1000000000000: needs about 1e+06 GB...
    """
    there = machine_memory()
    if there and needed > SHARE * there:
        raise InputError(
            f"{what}: needs about {needed / 1e9:.3g} GB, the machine has {there / 1e9:.3g} GB; "
            f"{instead}"
        )
