"""Files that are either whole or absent.

A file is written under a temporary name in its own directory, flushed to the disk, and then
renamed over its target: ``rename(2)`` is atomic within one file system. A reader therefore
sees the old file or the new one and never a half, two writers never mix, and a kill at any
moment costs at most the file that was being written. The temporary name carries the
machine and the process, so that the next writer of the same target sweeps up after the dead.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from emulant.errors import InputError

__all__ = ["atomic_path", "explain", "new_directory", "new_file"]


def explain(path: Path, error: OSError, doing: str = "write") -> InputError:
    """Return the one-line :class:`InputError` that says why ``path`` could not be used."""
    reason = error.strerror or str(error).splitlines()[0]
    return InputError(f"{path}: cannot {doing}: {reason}")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it becomes ``path``, else it is removed.

    The temporary path has the suffix of ``path`` and exists as an empty file. Missing parent
    directories are made.

    Raises
    ------
    InputError
        The disk is full, the directory read-only, or ``path`` a directory.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{target}: is a directory; name a file")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        temporary = target.with_name(_temporary_name(target))
        # O_EXCL: ours alone; mode 666 less the umask, as any file that the user makes
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise explain(target, error) from error
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, target)
        _flush(target.parent)
    except OSError as error:
        raise explain(target, error) from error
    finally:
        with contextlib.suppress(OSError):  # gone after the rename; else we did what we could
            temporary.unlink(missing_ok=True)


def new_directory(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Make the directory ``path`` and return it.

    Raises
    ------
    InputError
        ``path`` is a file, or it holds something and ``overwrite`` is false, or cannot be made.
    """
    directory = Path(path)
    try:
        if directory.exists() and not directory.is_dir():
            raise InputError(f"{directory}: is a file; name a new directory")
        if directory.is_dir() and not overwrite and any(directory.iterdir()):
            raise InputError(f"{directory}: exists and is not empty; name a new directory")
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(directory, error) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise InputError(f"{directory}: cannot write: Permission denied")
    return directory


def new_file(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Return ``path`` after checking, before any work, that a file can be written there.

    Raises
    ------
    InputError
        ``path`` is a directory, or exists and ``overwrite`` is false, or its directory is
        read-only.
    """
    file = Path(path)
    try:
        if file.is_dir():
            raise InputError(f"{file}: is a directory; name a new file")
        if os.path.lexists(file) and not overwrite:
            raise InputError(f"{file}: exists already; name a new file")
    except OSError as error:
        raise explain(file, error) from error
    parent = file.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise InputError(f"{file}: cannot write: {parent} is a file")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{file}: cannot write: {parent} is read-only")
    return file


def _temporary_name(target: Path) -> str:
    return f"{_prefix(target)}{os.getpid()}-{secrets.token_hex(4)}{target.suffix}"


def _prefix(target: Path) -> str:
    return f".{target.name}.partial-{socket.gethostname()}-"


def _sweep(target: Path) -> None:
    """Remove what processes of this machine left of ``target`` when they were killed."""
    if os.name != "posix":
        return  # elsewhere signal 0 is not a question
    prefix = _prefix(target)
    for name in os.listdir(target.parent):
        owner = name.removeprefix(prefix).split("-")[0]
        if name.startswith(prefix) and owner.isdecimal() and not _alive(int(owner)):
            with contextlib.suppress(FileNotFoundError):  # another sweeper was first
                os.unlink(target.parent / name)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _flush(path: Path) -> None:
    """Wait until ``path``, a file or a directory, is on the disk."""
    if path.is_dir() and os.name != "posix":
        return  # directories cannot be opened there
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
