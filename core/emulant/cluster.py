"""Work over the workers of a Dask scheduler, in the chunks of :mod:`emulant.parallel`.

    dask scheduler &  dask worker tcp://127.0.0.1:8786 --nworkers 2 --nthreads 1 &
    EMULANT_SCHEDULER=tcp://127.0.0.1:8786 emulant lensing simulate ...

The function travels once; each chunk is a task with its own seed, so that the result knows
neither how many workers there are nor which of them died: a lost chunk is computed again. A few
chunks a worker are under way at a time, and a result leaves the cluster as soon as it is read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from emulant.errors import InputError

__all__ = ["SCHEDULER", "cluster_map"]

SCHEDULER = "EMULANT_SCHEDULER"
"""Environment variable that names the scheduler."""
PATIENCE = 20
"""Seconds that a scheduler may take to answer."""
AHEAD = 4
"""Chunks under way for each thread of the cluster."""
RETRIES = 3
"""Times that a chunk is computed again after its worker died."""

Job = tuple[int, int, int]
Result = TypeVar("Result")


def cluster_map(
    function: Callable[[int, int, int], Result], jobs: Sequence[Job], address: str
) -> Iterator[Result]:
    """Yield ``function(*job)`` for each of ``jobs``, in order.

    Raises
    ------
    InputError
        The package ``distributed`` is missing, no scheduler answers at ``address``, it has no
        worker, or a chunk has ended several workers.
    """
    try:
        from cloudpickle import dumps, loads
        from distributed import Client, KilledWorker
    except ModuleNotFoundError as error:
        raise InputError(f"{SCHEDULER}: needs 'distributed'; pip install distributed") from error
    try:
        connect: Any = Client
        client = connect(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{SCHEDULER}: no Dask scheduler answers at '{address}'; start one with "
            "'dask scheduler', or unset the variable"
        ) from error
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise InputError(
                f"{SCHEDULER}: the scheduler at '{address}' has no workers; start some with "
                f"'dask worker {address}'"
            )
        # a task, so that it is made again where the only worker that held it died
        shared = client.submit(loads, dumps(function), pure=False, retries=RETRIES)
        waiting: deque[Any] = deque()
        try:
            for job in jobs:
                waiting.append(client.submit(_call, shared, job, pure=False, retries=RETRIES))
                if len(waiting) >= AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except KilledWorker as error:
            raise InputError(
                f"{SCHEDULER}: workers died over one chunk, most likely for want of memory; "
                "give them more, or fewer threads each"
            ) from error
        finally:
            client.cancel(list(waiting))


def _call(function: Callable[[int, int, int], Result], job: Job) -> Result:
    return function(*job)
