"""A training run: what it moves, and the files by which it survives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor

from emulant.errors import InputError
from emulant.methods.game import Method
from emulant.store.provenance import plain
from emulant.store.text import write_json
from emulant.train.average import Average
from emulant.train.checkpoint import Point, load, save
from emulant.train.plan import Plan
from emulant.train.players import Player

__all__ = ["Run", "begun", "record_of"]

CHECKPOINT = "checkpoint.safetensors"


def begun(out: Path) -> bool:
    """Return whether ``out`` holds a run that can be resumed."""
    return (out / CHECKPOINT).exists()


@dataclass(slots=True)
class Run:
    """Everything that a checkpoint holds, and where; only the first process writes."""

    method: Method
    players: Mapping[str, Player]
    average: Average | None
    record: Mapping[str, Any]
    """What makes this run this run: its plan, its data, its method's parameters."""
    out: Path | None
    fabric: Fabric
    kept: int | None = None
    """Step of the last checkpoint."""

    @property
    def checkpoint(self) -> Path | None:
        """Return the path of the checkpoint, if any is kept."""
        return None if self.out is None else self.out / CHECKPOINT

    @property
    def log(self) -> Path | None:
        """Return the path of the log, if this process writes one."""
        writes = self.out is not None and self.fabric.is_global_zero
        return self.out / "log.csv" if self.out is not None and writes else None

    def start(self, resume: bool) -> Point:
        """Go back to the checkpoint, or write a first one, from which a killed run starts again.

        Raises
        ------
        InputError
            There is nothing to resume, or another run; there is a run and it is not resumed.
        """
        if self.out is None or self.checkpoint is None:
            if resume:
                raise ValueError("'out' must name the run to resume, got None")
            return Point()
        if resume:
            point = load(self.checkpoint, self.record, self.method, self.average, self.players)
            self.kept = point.step
            return point
        if begun(self.out):
            raise InputError(f"{self.out}: holds a run already; resume it, or name a new directory")
        self.fabric.barrier()
        if self.fabric.is_global_zero:
            (self.out / "log.csv").unlink(missing_ok=True)
            if not (self.out / "config.json").exists():  # the caller may have said more
                write_json(self.out / "config.json", self.record)
        self.keep(Point())
        return Point()

    def keep(self, point: Point) -> None:
        """Write the checkpoint; no process goes on before it is there."""
        if self.checkpoint is None:
            return
        if self.fabric.is_global_zero:
            save(self.checkpoint, point, self.record, self.method, self.average, self.players)
        self.fabric.barrier()
        self.kept = point.step

    def averaged(self) -> dict[str, Tensor]:
        """Return the running mean's state dict, or the parameters' own without one."""
        return self.method.state_dict() if self.average is None else self.average.state

    def last_good(self) -> str:
        """Return where to go back to, in words."""
        if self.kept is None:
            return "no checkpoint was kept"
        return f"last good checkpoint: {self.checkpoint} (step {self.kept})"


def record_of(method: Method, plan: Plan, fingerprint: str) -> dict[str, Any]:
    """Return the JSON record by which a run is known."""
    tensors = {k: f"{v.dtype} {list(v.shape)}" for k, v in method.state_dict().items()}
    method_record = {"name": type(method).__name__, "tensors": tensors}
    record: dict[str, Any] = plain({"plan": plan, "data": fingerprint, "method": method_record})
    return record
