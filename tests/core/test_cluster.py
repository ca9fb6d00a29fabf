"""A real Dask scheduler and its workers give what one process gives, whoever dies."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulant.cluster import SCHEDULER
from emulant.errors import InputError
from emulant.parallel import chunked_map
from emulant.rng import numpy_rng

distributed = pytest.importorskip("distributed")


# lambdas, because a worker can receive those of a test module, which it cannot import
draw = lambda start, size, seed: (os.getpid(), start + numpy_rng(seed, "draw").normal(size=size))  # noqa: E731


def dying(mark: Path) -> Any:
    """Return ``draw``, but that the first worker that comes to item 12 dies at work."""

    def work(start: int, size: int, seed: int) -> tuple[int, Any]:
        if start == 12 and not mark.exists():
            mark.touch()
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid(), start + numpy_rng(seed, "draw").normal(size=size)

    return work


def refusing(start: int, *_: int) -> int:
    raise InputError(f"row {start}: cannot be used")


def values(parts: list[tuple[int, Any]]) -> Any:
    return np.concatenate([part for _, part in parts])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:

    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def named(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCHEDULER, cluster.scheduler_address)


def test_one_two_and_four_workers_give_the_same(cluster: Any) -> None:
    here = values(chunked_map(draw, 50, 4, seed=5, workers=1))
    for workers in (2, 4, 1):
        cluster.scale(workers)
        with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
            client.wait_for_workers(workers)
        parts = chunked_map(draw, 50, 4, seed=5)
        assert os.getpid() not in {process for process, _ in parts}
        np.testing.assert_array_equal(values(parts), here)
    cluster.scale(2)


def test_a_worker_killed_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    here = values(chunked_map(draw, 50, 4, seed=5, workers=1))
    parts = chunked_map(dying(tmp_path / "died"), 50, 4, seed=5)
    assert (tmp_path / "died").exists()
    np.testing.assert_array_equal(values(parts), here)


def test_a_refusal_comes_back_as_it_was_said() -> None:
    with pytest.raises(InputError, match="row 0: cannot be used"):
        chunked_map(lambda *job: refusing(*job), 10, 2, seed=0)


def test_who_asks_for_one_process_gets_this_one() -> None:
    parts = chunked_map(draw, 10, 2, seed=0, workers=1)
    assert {process for process, _ in parts} == {os.getpid()}


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulant.cluster.PATIENCE", 1)
    monkeypatch.setenv(SCHEDULER, "tcp://127.0.0.1:9")
    with pytest.raises(InputError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        chunked_map(draw, 10, 2, seed=0)


def test_a_scheduler_without_workers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty:
        monkeypatch.setenv(SCHEDULER, empty.scheduler_address)
        with pytest.raises(InputError, match="has no workers"):
            chunked_map(draw, 10, 2, seed=0)
