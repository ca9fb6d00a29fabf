"""The result of a chunked map knows no number of workers."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from emulant.errors import InputError
from emulant.parallel import chunked_map, worker_count
from emulant.progress import Progress
from emulant.rng import derive, numpy_rng

# lambdas, because a worker can receive those of a test module, which it cannot import
draw = lambda start, size, seed: start + numpy_rng(seed, "draw").normal(size=size)  # noqa: E731


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    one, two, three = (
        np.concatenate(chunked_map(draw, count=23, chunk=4, seed=5, workers=workers))
        for workers in (1, 2, 3)
    )
    assert one.shape == (23,)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)


def test_chunks_cover_the_range_with_their_own_seeds_in_order() -> None:
    jobs = chunked_map(lambda *job: job, count=10, chunk=4, seed=3, workers=1)
    seeds = [derive(3, "chunk", k) for k in range(3)]
    assert jobs == [(0, 4, seeds[0]), (4, 4, seeds[1]), (8, 2, seeds[2])]
    assert chunked_map(draw, count=0, chunk=4, seed=3) == []


def test_one_worker_is_this_process() -> None:
    assert set(chunked_map(lambda *_: os.getpid(), count=3, chunk=1, seed=0, workers=1)) == {
        os.getpid()
    }
    assert os.getpid() not in chunked_map(
        lambda *_: os.getpid(), count=3, chunk=1, seed=0, workers=2
    )


def test_workers_share_the_cores_threads() -> None:
    cores = os.cpu_count() or 1
    given = chunked_map(
        lambda *_: os.environ["OMP_NUM_THREADS"], count=4, chunk=1, seed=0, workers=cores + 1
    )
    assert set(given) == {"1"}


def test_progress_counts_items() -> None:
    seen: list[tuple[int, int]] = []
    chunked_map(draw, 5, 2, seed=0, workers=2, progress=lambda *at: seen.append(at))
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_a_users_mistake_in_a_worker_stays_one() -> None:
    def fail(start: int, *_: int) -> None:
        if start == 1:  # the worker that is to be named is the slower one
            time.sleep(0.5)
        if start:
            raise InputError(f"states.npz: row {start} is not ±1")

    for workers in (1, 2):
        with pytest.raises(InputError, match="row 1 is not"):
            chunked_map(fail, count=3, chunk=1, seed=0, workers=workers)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_worker_is_named_and_the_next_map_works() -> None:
    with pytest.raises(InputError, match="worker process was killed"):
        chunked_map(
            lambda *_: os.kill(os.getpid(), signal.SIGKILL), count=4, chunk=1, seed=0, workers=2
        )
    assert len(chunked_map(draw, count=4, chunk=1, seed=0, workers=2)) == 4


def test_worker_count_reads_argument_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULANT_WORKERS", "3")
    assert worker_count() == 3
    assert worker_count(2) == 2
    monkeypatch.delenv("EMULANT_WORKERS")
    assert worker_count() == os.cpu_count()
    for bad in ("0", "many", "-1", "1.5"):
        monkeypatch.setenv("EMULANT_WORKERS", bad)
        with pytest.raises(InputError, match="EMULANT_WORKERS must be a positive integer"):
            worker_count()
    with pytest.raises(InputError, match="'workers' must be at least 1, got 0"):
        worker_count(0)


@pytest.mark.parametrize(("count", "chunk"), [(-1, 1), (1, 0)])
def test_impossible_chunks_are_refused(count: int, chunk: int) -> None:
    with pytest.raises(ValueError, match="must"):
        chunked_map(draw, count, chunk, seed=0)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_the_map_and_its_workers() -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from emulant.parallel import chunked_map
        def slow(start, size, seed):
            time.sleep(0.2)
        def say(done, total):
            print("going", flush=True)
        try:
            chunked_map(slow, 10_000, 1, seed=0, workers=2, progress=say)
        except KeyboardInterrupt:
            sys.exit(130)
        """
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "going\n"
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert errors == ""
    deadline = time.monotonic() + 60
    while group_lives(run.pid) and time.monotonic() < deadline:
        time.sleep(0.05)  # until init has buried them
    assert not group_lives(run.pid)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_progress_speaks_plainly_to_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("simulate", 10) as progress:
        progress.advance(4)
        progress.update(10, 10)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "simulate: done in 0 s\n"


def test_progress_says_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("emulant.progress.time.monotonic", lambda: now[0])
    with Progress("sample", 4) as progress:
        now[0] += 60
        progress.advance(1, note="T = 2.3")
    assert capsys.readouterr().err.splitlines()[0] == "sample: 25 %, 3 min 0 s left, T = 2.3"


def test_chunks_from_the_middle_are_those_of_the_whole() -> None:
    whole = chunked_map(draw, count=10, chunk=4, seed=3, workers=1)
    seen: list[tuple[int, int]] = []
    rest = chunked_map(
        draw, count=6, chunk=4, seed=3, workers=1, first=4, progress=lambda *at: seen.append(at)
    )
    np.testing.assert_array_equal(np.concatenate(rest), np.concatenate(whole[1:]))
    assert seen == [(4, 6), (6, 6)]
    with pytest.raises(ValueError, match="multiple of 4, got 2"):
        chunked_map(draw, count=2, chunk=4, seed=3, first=2)
