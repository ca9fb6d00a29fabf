"""Jobs of the studio: command lines in a process and a directory of their own.

A server process that has imported the engine and the applications forks each job, so that a job
starts at once, cannot harm the next, and is ended with everything that it started. Jobs wait for
each other; beyond ``waiting`` of them, a new one is refused.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

from emulant.errors import BAD_INPUT, FAIL, INTERRUPTED, PASS, UNDERPOWERED, InputError

__all__ = ["Job", "Jobs", "State"]

State = Literal["waiting", "running", "done", "refused", "broken", "stopped"]

LOG = ".log"
KEPT = 20
"""Ended jobs whose files are kept."""
GRACE = 5.0
"""Seconds between asking a job to stop and killing it."""


@dataclass(eq=False)
class Job:
    """One press of the button."""

    key: str
    """Its name, which nobody can guess."""
    app: str
    lines: Sequence[Sequence[str]]
    """Words of each command line, after ``emulant``."""
    directory: Path
    page: str
    said: Mapping[str, str] = field(default_factory=dict)
    """What its form said, to be said again."""
    state: State = "waiting"
    process: BaseProcess | None = field(default=None, repr=False)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state not in ("waiting", "running")

    @property
    def log(self) -> str:
        """What its commands have said, the last few lines."""
        try:
            text = (self.directory / LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-30:])

    @property
    def files(self) -> tuple[str, ...]:
        """Files that can be fetched, as paths below its directory."""
        if not self.ended:
            return ()
        paths = (path for path in self.directory.rglob("*") if path.is_file())
        names = sorted(path.relative_to(self.directory).as_posix() for path in paths)
        return tuple(name for name in names if not name.startswith("."))

    def file(self, name: str) -> Path:
        """Return one of :attr:`files`.

        Raises
        ------
        InputError
            It is none of them, whatever else it may name.
        """
        if name not in self.files:
            raise InputError("this job has no such file")
        return self.directory / name


class Jobs:
    """All jobs of a studio, in a directory that ends with it.

    Arguments
    ---------
    preload : modules that the server process imports before it forks.
    waiting : most jobs that wait at a time.
    seconds : longest time of a job.
    """

    def __init__(self, preload: Sequence[str] = (), waiting: int = 8, seconds: float = 900) -> None:
        self.waiting, self.seconds = waiting, seconds
        self._root = Path(tempfile.mkdtemp(prefix="emulant-studio-"))
        self._jobs: dict[str, Job] = {}
        self._turn = threading.Lock()
        self._processes = _context(preload)

    def new(self, app: str, page: str, said: Mapping[str, str] | None = None) -> Job:
        """Return a job with an empty directory, which has not been started.

        Raises
        ------
        InputError
            Too many are waiting.
        """
        if sum(not job.ended for job in self._jobs.values()) >= self.waiting:
            raise InputError("too many jobs are waiting; stop one, or come back later")
        key = secrets.token_urlsafe(16)
        directory = self._root / key
        directory.mkdir()
        job = self._jobs[key] = Job(key, app, (), directory, page, said or {})
        self._forget()
        return job

    def get(self, key: str) -> Job:
        """Return the job called ``key``.

        Raises
        ------
        InputError
            There is none, or it has been forgotten.
        """
        if key not in self._jobs:
            raise InputError("there is no such job, or it has been forgotten; start it again")
        return self._jobs[key]

    def start(self, job: Job) -> None:
        """Run ``job`` when those before it have ended."""
        threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def drop(self, job: Job) -> None:
        """Forget a job that was never started, or has ended, with its files."""
        self._jobs.pop(job.key, None)
        shutil.rmtree(job.directory, ignore_errors=True)

    def stop(self, job: Job) -> None:
        """End ``job`` and everything that it started."""
        if not job.ended:
            job.state = "stopped"
            _end(job.process)

    def close(self) -> None:
        """End all jobs and remove their files."""
        for job in tuple(self._jobs.values()):
            self.stop(job)
        shutil.rmtree(self._root, ignore_errors=True)

    def _run(self, job: Job) -> None:
        with self._turn:
            if job.ended:
                return
            arguments = (list(map(list, job.lines)), str(job.directory))
            process = self._processes.Process(target=_work, args=arguments)  # type: ignore[attr-defined]
            process.start()
            job.process, job.state = process, "running" if job.state == "waiting" else job.state
            process.join(0 if job.ended else self.seconds)
            if process.is_alive():
                _end(process)
            if job.state == "running":
                job.state = _state(process.exitcode)

    def _forget(self) -> None:
        ended = [job for job in self._jobs.values() if job.ended]
        for job in ended[: max(0, len(ended) - KEPT)]:
            self.drop(job)


def _state(exitcode: int | None) -> State:
    """Return how a job ended; a verdict that is not "pass" is a result like another.

    >>> _state(0), _state(1), _state(2), _state(-9)
    ('done', 'done', 'refused', 'broken')
    """
    if exitcode in (PASS, FAIL, UNDERPOWERED):
        return "done"
    known: dict[int | None, State] = {BAD_INPUT: "refused", INTERRUPTED: "stopped"}
    return known.get(exitcode, "broken")


def _context(preload: Sequence[str]) -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *preload])
    return context


def _work(lines: Sequence[Sequence[str]], directory: str) -> None:
    """Run command lines in ``directory``; leave with the status of the last, or of a refusal."""
    from emulant.cli import main

    with contextlib.suppress(AttributeError):  # where there are no sessions
        os.setsid()
    os.chdir(directory)
    with open(LOG, "a", buffering=1, encoding="utf-8") as log:
        sys.stdout = sys.stderr = log
        status = PASS
        for words in lines:
            status = main(words)
            if status not in (PASS, FAIL, UNDERPOWERED):
                break
    sys.exit(status)


def _end(process: BaseProcess | None) -> None:
    """End a process and its children: ask, wait, and kill."""
    if process is None or process.pid is None or not process.is_alive():
        return
    for word, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        try:
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, word)
            else:  # it has not come to its own session yet
                os.kill(process.pid, word)
        except ProcessLookupError:
            return
        until = time.monotonic() + patience
        while process.is_alive() and time.monotonic() < until:
            time.sleep(0.05)
        if not process.is_alive():
            return
