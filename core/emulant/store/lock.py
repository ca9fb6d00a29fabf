"""One process at a time in a directory: a lock of the kernel's, which dies with its holder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from emulant.errors import InputError
from emulant.store.atomic import explain

__all__ = ["locked"]


@contextlib.contextmanager
def locked(directory: Path, name: str) -> Iterator[None]:
    """Hold the lock ``name`` of a directory, which is made if it is not there.

    Raises
    ------
    InputError
        Another process holds it, or the directory cannot be written.
    """
    import filelock  # here: the help of commands need not wait

    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(directory / name, blocking=False)
        lock.acquire()
    except filelock.Timeout as error:
        raise InputError(
            f"{directory}: another process is at work there; wait for its end, or name "
            "another directory"
        ) from error
    except OSError as error:
        raise explain(directory, error) from error
    try:
        yield
    finally:
        lock.release()
        (directory / name).unlink(missing_ok=True)
