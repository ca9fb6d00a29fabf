"""Work over cores, in seeded chunks, so that the result knows no number of workers.

``count`` items are cut into chunks of ``chunk``; chunk ``k`` is computed from its own seed,
derive(seed, "chunk", k), by whichever process comes first, and the results are returned in
the order of the chunks. The processes are this machine's, or those of the Dask scheduler that
EMULANT_SCHEDULER names.
"""

from __future__ import annotations

import contextlib
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

from emulant.cluster import SCHEDULER, cluster_map
from emulant.errors import InputError
from emulant.rng import derive

__all__ = ["chunked_map", "worker_count"]

Result = TypeVar("Result")


def worker_count(workers: int | None = None) -> int:
    """Return how many processes to use: ``workers``, else EMULANT_WORKERS, else every core.

    Raises
    ------
    InputError
        The number is not a positive integer.
    """
    if workers is None:
        asked = os.environ.get("EMULANT_WORKERS", "")
        if not asked:
            return os.cpu_count() or 1
        if not asked.isdecimal() or int(asked) < 1:
            raise InputError(f"EMULANT_WORKERS must be a positive integer, got '{asked}'")
        return int(asked)
    if workers < 1:
        raise InputError(f"'workers' must be at least 1, got {workers}")
    return workers


def chunked_map(
    function: Callable[[int, int, int], Result],
    count: int,
    chunk: int,
    seed: int,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    first: int = 0,
) -> list[Result]:
    """Return [function(start, size, seed of the chunk), ...] for the chunks of range(count).

    Parameters
    ----------
    function
        Must be picklable where ``workers`` is more than 1: a function of a module, or a
        ``functools.partial`` of one.
    count, chunk
        Number of items, and of items in a chunk; the last chunk may be smaller.
    seed
        Parent of the chunks' seeds.
    workers
        Processes; see :func:`worker_count`. With 1 none is started. With None and a scheduler
        in EMULANT_SCHEDULER the chunks go there.
    progress
        Called as progress(items done, count) after each chunk.
    first
        Item to begin with, a multiple of ``chunk``: the chunks are those of
        range(first, first + count), and the same as if all before had been computed.

    Raises
    ------
    InputError
        ``function`` raised it: that of the first chunk that did, whichever worker was faster; a
        worker process was killed, most likely for want of memory; or the scheduler does not
        answer, see :func:`~emulant.cluster.cluster_map`.

    Examples
    --------
    >>> chunked_map(lambda start, size, seed: (start, size), count=5, chunk=2, seed=0, workers=1)
    [(0, 2), (2, 2), (4, 1)]
    """
    if count < 0:
        raise ValueError(f"'count' must not be negative, got {count}")
    if chunk < 1:
        raise ValueError(f"'chunk' must be at least 1, got {chunk}")
    if first % chunk:
        raise ValueError(f"'first' must be a multiple of {chunk}, got {first}")
    end = first + count
    jobs = [
        (start, min(chunk, end - start), derive(seed, "chunk", start // chunk))
        for start in range(first, end, chunk)
    ]
    scheduler = os.environ.get(SCHEDULER, "") if workers is None else ""
    processes = min(worker_count(workers), len(jobs))
    results: list[Result] = []
    if scheduler and len(jobs) > 1:
        source = cluster_map(function, jobs, scheduler)
    else:
        source = _spread(function, jobs, processes) if processes > 1 else _here(function, jobs)
    for (start, size, _), result in zip(jobs, source, strict=True):
        results.append(result)
        if progress is not None:
            progress(start + size - first, count)
    return results


def _here(
    function: Callable[[int, int, int], Result], jobs: list[tuple[int, int, int]]
) -> Iterator[Result]:
    return (function(*job) for job in jobs)


def _spread(
    function: Callable[[int, int, int], Result], jobs: list[tuple[int, int, int]], processes: int
) -> Iterator[Result]:
    """Yield the results in order; each process may start its share of the cores' threads."""
    import joblib  # here, so that one worker needs no process pool
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    threads = max(1, (os.cpu_count() or 1) // processes)
    finished = False
    try:
        with (
            warnings.catch_warnings(),
            joblib.parallel_config(
                "loky", inner_max_num_threads=threads, initializer=_leave_interrupts_to_the_parent
            ),
        ):
            warnings.filterwarnings(
                "ignore", r"\d+ tasks which were still"
            )  # of an interrupted map
            # max_nbytes: no memory maps, so that arguments are writable as they are with 1 worker
            pool = joblib.Parallel(processes, return_as="generator", max_nbytes=None)
            with _interrupts_later():  # the call starts the processes
                told = pool(joblib.delayed(_told)(function, *job) for job in jobs)
            with contextlib.closing(told):
                for result in told:
                    if isinstance(result, InputError):
                        raise result
                    yield result
        finished = True
    except TerminatedWorkerError as error:
        raise InputError(
            "a worker process was killed, most likely for want of memory; "
            "use fewer workers (EMULANT_WORKERS=1)"
        ) from error
    finally:
        if not finished:  # an error or Ctrl-C: nobody waits for the rest
            get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _told(
    function: Callable[[int, int, int], Result], start: int, size: int, seed: int
) -> Result | InputError:
    """Return what ``function`` returns, or the user's mistake that it found, to wait its turn."""
    try:
        return function(start, size, seed)
    except InputError as error:
        return error


@contextlib.contextmanager
def _interrupts_later() -> Iterator[None]:
    """Hold back Ctrl-C here, and for good in processes started meanwhile, which inherit the mask.

    A worker ignores it from :func:`_leave_interrupts_to_the_parent` on, but not while it starts.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker  # for POSIX alone

    resource_tracker.ensure_running()  # or the pool starts it, which unblocks Ctrl-C for good
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches the whole group of processes; only the parent answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
