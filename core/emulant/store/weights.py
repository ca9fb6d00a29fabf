"""Weights of an application's model: one directory, one file, a record that says its kind."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from emulant.errors import InputError
from emulant.store.tensors import Stored, load_tensors

__all__ = ["load_weights", "sizes_of"]

Sizes = TypeVar("Sizes")


def load_weights(directory: str | Path, app: str, kind: str, name: str) -> Stored:
    """Return the weights of ``app`` in ``directory``, verified.

    Arguments
    ---------
    kind : how the record's ``kind`` begins.
    name : of the file.

    Raises
    ------
    InputError
        There is no such directory, or no weights in it, or they are damaged or of another kind.
    """
    place = Path(directory)
    if not place.is_dir():
        raise InputError(
            f"{place}: there is no such directory of weights; make one with 'emulant {app} "
            "train', or leave out --model for the shipped weights"
        )
    file = place / name
    if not file.exists():
        raise InputError(f"{file}: no weights there; has the training finished?")
    stored = load_tensors(file)
    if not str(stored.metadata.get("kind", "")).startswith(kind):
        raise InputError(f"{file}: these are not the weights of a model of {app}")
    return stored


def sizes_of(kind: type[Sizes], stored: Stored, file: Path) -> Sizes:
    """Return the ``sizes`` of the record of ``file`` as the dataclass ``kind``, lists as tuples.

    What the record does not name has its default.

    Raises
    ------
    InputError
        The record names something that this version does not know, or lacks what it must know.
    """
    found: dict[str, Any] = dict(stored.metadata.get("sizes", {}))
    unknown = sorted(set(found) - {field.name for field in fields(kind)})  # type: ignore[arg-type] # a dataclass
    if unknown:
        raise InputError(
            f"{file}: its record holds {', '.join(unknown)}, which this version does not know; "
            "install the version that made it, or train anew"
        )
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()})
    except TypeError as error:
        raise InputError(f"{file}: its record lacks sizes of the network ({error})") from error
