"""Weights of an application's model: one directory, one file, a record that says its kind."""

from __future__ import annotations

from pathlib import Path

from emulant.errors import InputError
from emulant.store.tensors import Stored, load_tensors

__all__ = ["load_weights"]


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
