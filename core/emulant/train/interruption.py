"""Ctrl-C and SIGTERM: finish the step first, then stop with a checkpoint."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupted", "Interruption"]


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and did so after a whole step."""

    def __init__(self, step: int, checkpoint: Path | None) -> None:
        kept = "nothing was kept" if checkpoint is None else f"resume from {checkpoint}"
        super().__init__(f"interrupted after step {step}; {kept}")
        self.step = step
        self.checkpoint = checkpoint


class Interruption:
    """A context in which the first signal only sets ``requested``; a second one ends at once.

    Only the main thread can listen to signals; elsewhere nothing is ever requested.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's form
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
