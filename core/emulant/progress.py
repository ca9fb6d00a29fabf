"""Progress and the time left, on stderr: a bar for a person, plain lines for a log.

    with Progress("simulate", total=100) as progress:
        progress.advance(10)          # or progress.update(done, total)

The time left is elapsed · (total - done) / done, by a clock that never goes back.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import rich.progress

__all__ = ["Progress", "clock"]

INTERVAL = 5.0
"""Seconds between two plain lines."""


class Progress:
    """A context manager that shows how far a task has come.

    Parameters
    ----------
    task
        One or two words, such as ``"simulate"``.
    total
        Units of work; advance() counts them.
    """

    def __init__(self, task: str, total: float) -> None:
        self.task = task
        self.total = total
        self.done = 0.0
        self._bar: rich.progress.Progress | None = None
        self._started = 0.0
        self._said = 0.0

    def __enter__(self) -> Self:
        self._started = self._said = time.monotonic()
        if sys.stderr.isatty():
            from rich import progress as rp
            from rich.console import Console

            self._bar = rp.Progress(
                rp.TextColumn("{task.description}"),
                rp.BarColumn(),
                rp.TaskProgressColumn(),
                rp.TimeRemainingColumn(),
                rp.TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.add_task(self.task, total=self.total, note="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is None:
            self._write(f"{self.task}: done in {clock(time.monotonic() - self._started)}")

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count ``amount`` more units as done."""
        self.update(self.done + amount, self.total, note)

    def update(self, done: float, total: float, note: str = "") -> None:
        """State that ``done`` of ``total`` units are done; fits ``chunked_map(progress=...)``."""
        self.done, self.total = done, total
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=done, total=total, note=note)
            return
        now = time.monotonic()
        if now - self._said >= INTERVAL and 0 < done < total:
            left = (now - self._started) * (total - done) / done
            tail = f", {note}" if note else ""
            self._write(f"{self.task}: {100 * done / total:.0f} %, {clock(left)} left{tail}")
            self._said = now

    def _write(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def clock(seconds: float) -> str:
    """Return a duration as a person says it.

    >>> clock(4.2), clock(75), clock(7260)
    ('4 s', '1 min 15 s', '2 h 1 min')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
