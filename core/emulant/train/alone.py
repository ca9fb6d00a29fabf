"""One process at a time trains into a directory.

The lock is the kernel's (``flock``): it goes with the process, however that ends, so that a run
that was killed can be resumed at once.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from emulant.errors import InputError
from emulant.store.lock import locked

__all__ = ["alone"]

LOCK = ".lock"


class Trains(Protocol):
    """The config of a run."""

    @property
    def out(self) -> Path:
        """Its directory."""
        ...

    @property
    def resume(self) -> bool:
        """Whether to go on with what is there."""
        ...


C = TypeVar("C", bound=Trains)
R = TypeVar("R")


def alone(train: Callable[[C], R]) -> Callable[[C], R]:
    """Return ``train``, which refuses a directory that holds another run, or is another's at work.

    Under ``torchrun`` the first process, which alone writes, holds the lock for all.

    Raises
    ------
    InputError
        ``config.out`` holds files and is not to be resumed, or another process trains there, or
        it cannot be written.
    """

    @functools.wraps(train)
    def guarded(config: C) -> R:
        if os.environ.get("RANK", "0") != "0":
            return train(config)
        made = not config.out.exists()
        if not made and not config.resume and any(f.name != LOCK for f in config.out.iterdir()):
            raise InputError(
                f"{config.out}: holds files already; name another directory, or add --resume"
            )
        try:
            with locked(config.out, LOCK):
                return train(config)
        finally:
            if made and config.out.is_dir() and not any(config.out.iterdir()):
                config.out.rmdir()  # nothing came of it

    return guarded
