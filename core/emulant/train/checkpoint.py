"""One file from which a run continues as if it had never stopped.

It holds the parameters, their running mean, the optimisers' memory, the step and the seconds
used; chance is derived from (seed, step) and needs no place. The record of the run that
wrote it goes along, and another run does not load it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from emulant.errors import InputError
from emulant.methods.game import Method
from emulant.store.tensors import load_tensors, save_tensors
from emulant.train.average import Average
from emulant.train.players import Player

__all__ = ["Point", "load", "save"]

KIND = "emulant.train checkpoint"


@dataclass(frozen=True, slots=True)
class Point:
    """How far a run has come."""

    step: int = 0
    """Number of steps done."""
    seconds: float = 0.0
    """Wall-clock seconds used."""


def save(
    path: Path,
    point: Point,
    record: Mapping[str, Any],
    method: Method,
    average: Average | None,
    players: Mapping[str, Player],
) -> None:
    """Write a checkpoint; the one before stays until this one is whole."""
    tensors = {f"method/{k}": v for k, v in method.state_dict().items()}
    if average is not None:
        tensors |= {f"average/{k}": v for k, v in average.state.items()}
    for name, player in players.items():
        tensors |= {f"adam/{name}/{k}": v for k, v in player.state().items()}
    metadata = {"kind": KIND, "step": point.step, "seconds": point.seconds, "run": record}
    save_tensors(path, tensors, metadata)


def load(
    path: Path,
    record: Mapping[str, Any],
    method: Method,
    average: Average | None,
    players: Mapping[str, Player],
) -> Point:
    """Put everything back where :func:`save` found it.

    Raises
    ------
    InputError
        There is no such file, it is no checkpoint, or another run wrote it.
    """
    if not path.exists():
        raise InputError(f"{path}: is not there; start the run without resuming it")
    stored = load_tensors(path)
    if stored.metadata.get("kind") != KIND:
        raise InputError(f"{path}: is no checkpoint of a training run")
    for field, before, now in differences(stored.metadata["run"], record):
        raise InputError(
            f"{path}: cannot resume, '{field}' was {before} and is now {now}; "
            "give it as it was, or start a new run"
        )

    def under(prefix: str) -> dict[str, Tensor]:
        return {
            k.removeprefix(prefix): v for k, v in stored.tensors.items() if k.startswith(prefix)
        }

    method.load_state_dict(under("method/"))
    if average is not None:
        for name, value in under("average/").items():
            average.state[name].copy_(value)
    for name, player in players.items():
        player.load_state(under(f"adam/{name}/"))
    return Point(int(stored.metadata["step"]), float(stored.metadata["seconds"]))


def differences(before: Any, now: Any, field: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (field, before, now) wherever two JSON records differ."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted(before.keys() | now.keys()):
            name = f"{field}.{key}" if field else str(key)
            yield from differences(before.get(key), now.get(key), name)
    elif before != now:
        yield field, before, now
