"""How the benchmarks time: by the processor, so that other work changes little."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["seconds"]


def seconds(work: Callable[[], object]) -> float:
    """Return the processor's seconds of ``work``, user and system."""
    started = time.process_time()
    work()
    return time.process_time() - started
