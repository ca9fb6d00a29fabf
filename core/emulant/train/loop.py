"""The one training loop: players take their turns until the budget is spent.

The chance of a turn is derived from (seed, step, turn, process), never from a stream that
runs on; a run that was stopped therefore continues bit for bit on one device from its
parameters, its optimisers' memory and its step alone (layers that draw from torch's global
stream, such as ``nn.Dropout``, break that). Under a budget in minutes the learning rate
follows the clock, and two runs differ as their clocks do.

Under ``torchrun`` each process draws its own batches and the players move by the mean of
their gradients.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from emulant.methods.game import Method, evaluating
from emulant.progress import Progress
from emulant.rng import torch_rng
from emulant.train.average import Average, loaded
from emulant.train.checkpoint import Point
from emulant.train.devices import gather
from emulant.train.interruption import Interrupted, Interruption
from emulant.train.journal import Journal, Means, Row
from emulant.train.plan import Plan
from emulant.train.players import DivergenceError, only, seat
from emulant.train.run import Run, record_of
from emulant.train.source import Source
from emulant.types import Batch

__all__ = ["Fitted", "fit"]

Report = Callable[[float, float, str], None]
"""Called after each step as ``report(done, total, note)``, in shares of the budget."""
Validate = Callable[[Method], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What training leaves."""

    method: Method
    """The method with its last parameters."""
    ema_state: Mapping[str, Tensor]
    """State dict with the running mean of the parameters, or the last ones where ema = 0."""
    step: int
    """Number of steps done."""
    log: tuple[Row, ...]
    """Rows of the log: step, seconds, and the means of what each player paid."""

    def averaged(self) -> Method:
        """Return a copy of the method that holds ``ema_state``."""
        method = copy.deepcopy(self.method)
        method.load_state_dict(dict(self.ema_state))
        return method.eval()


def fit(
    method: Method,
    source: Source,
    plan: Plan,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    validate: Validate | None = None,
    device: str = "auto",
    progress: Report | None = None,
) -> Fitted:
    """Train ``method`` in place until the budget of ``plan`` is spent.

    Arguments
    ---------
    out : run directory for ``config.json``, ``log.csv`` and ``checkpoint.safetensors``.
    resume : continue the run of ``out``, which must have the same plan, data and method.
    validate : called at every checkpoint with the method in evaluation mode and its averaged
        parameters; what it returns goes into the log.
    device : "auto", "cpu", "cuda", "cuda:1", "mps".
    progress : replaces the bar, or the plain lines, on stderr.

    Raises
    ------
    InputError
        ``out`` holds a run already, or cannot be resumed; no such device.
    Interrupted
        Ctrl-C or SIGTERM came; the checkpoint of the last whole step is written.
    DivergenceError
        A loss or gradient was not finite.
    ValueError
        The source gave events that are not finite.
    """
    fabric = gather(device, plan.precision)
    fabric.to_device(method).train()
    if fabric.world_size > 1:
        method.load_state_dict(fabric.broadcast(method.state_dict()))
    players = seat(method, plan.optimisers)
    average = Average(method, plan.ema) if plan.ema > 0 else None
    record = record_of(method, plan, source.fingerprint)
    run = Run(method, players, average, record, None if out is None else Path(out), fabric)
    point = run.start(resume)
    journal, means = Journal(run.log, point.step), Means()
    started, step = time.monotonic() - point.seconds, point.step
    spent = plan.spent(step, point.seconds)

    with Interruption() as interruption, _reporting(progress, spent, fabric) as report:
        while spent < 1:
            for turn, name in enumerate(method.turns):
                if step < plan.optimisers[name].start_after:
                    continue
                purpose = ("train", step, turn, fabric.global_rank)
                batch = source.batch(step, torch_rng(plan.seed, *purpose, "batch"))
                _require_finite(batch.x, f"of the batch of step {step}; {run.last_good()}")
                rng = torch_rng(plan.seed, *purpose, "loss", device=str(fabric.device))
                with only(players[name], players):
                    with fabric.autocast():
                        bill = method.loss(name, _on(fabric.device, batch), rng)
                    rate = plan.learning_rate(name, step, spent)
                    try:
                        norm = players[name].move(fabric, bill.total, rate)
                    except DivergenceError as error:
                        raise DivergenceError(f"step {step}: {error}; {run.last_good()}") from error
                means.add(name, {"total": bill.total, **bill.parts, "gradient": norm})
            step += 1
            if average is not None:
                average.update(method, step)

            seconds, stop = _agree(fabric, time.monotonic() - started, interruption.requested)
            spent = plan.spent(step, seconds)
            keep = stop or spent >= 1 or step % plan.checkpoint_every == 0
            row = means.take() if keep or step % plan.log_every == 0 else {}
            report(step, spent, row)
            if keep and validate is not None and fabric.is_global_zero and not stop:
                row |= _validated(validate, run)
            if row:
                journal.write({"step": step, "seconds": round(seconds, 3), **row})
            if keep:
                run.keep(Point(step, seconds))
            if stop and spent < 1:
                raise Interrupted(step, run.checkpoint)
    state = {name: value.clone() for name, value in run.averaged().items()}
    return Fitted(method, state, step, tuple(journal.rows))


def _require_finite(x: Tensor, where: str) -> None:
    """Raise where an event holds a NaN: it would be found only after it spread."""
    bad = (~torch.isfinite(x)).flatten(1).any(1).nonzero()
    if len(bad):
        rule = "'batch.x' must be finite, got a NaN or infinity"
        raise ValueError(f"{rule} in row {int(bad[0])} {where}")


def _on(device: torch.device, batch: Batch) -> Batch:
    """Return ``batch`` on ``device``."""
    c = None if batch.c is None else batch.c.to(device)
    weight = None if batch.weight is None else batch.weight.to(device)
    return Batch(batch.x.to(device), c, weight)


def _agree(fabric: Fabric, seconds: float, stop: bool) -> tuple[float, bool]:
    """Return the seconds and the wish to stop that all processes share."""
    if fabric.world_size == 1:
        return seconds, stop
    ours = torch.tensor([seconds, float(stop)], dtype=torch.float64, device=fabric.device)
    shared = cast(Tensor, fabric.all_reduce(ours, reduce_op="max"))
    return float(shared[0]), bool(shared[1])


def _validated(validate: Validate, run: Run) -> Row:
    with loaded(run.method, run.averaged()), evaluating(run.method):
        return {f"validate.{name}": float(v) for name, v in validate(run.method).items()}


@contextmanager
def _reporting(
    progress: Report | None, before: float, fabric: Fabric
) -> Iterator[Callable[[int, float, Row], None]]:
    """Yield what turns (step, share spent, row of the log) into progress on stderr."""
    note = ""

    def tell(report: Report, step: int, spent: float, row: Row) -> None:
        nonlocal note
        if row:
            totals = {k.removesuffix(".total"): v for k, v in row.items() if k.endswith(".total")}
            note = ", ".join([f"step {step}", *(f"{k} {v:.4g}" for k, v in totals.items())])
        report(min(1.0, spent) - before, 1 - before, note)

    if progress is not None:
        yield partial(tell, progress)
    elif not fabric.is_global_zero or before >= 1:
        yield lambda *_: None
    else:
        with Progress("train", total=1 - before) as shown:
            yield partial(tell, shown.update)
