"""Kill -9 at random moments: what is lost, and does every run go on as if nothing had happened.

    python benchmarks/reliability_kills.py --kills 200 --docs docs/reliability.md

Each trial starts a command in a directory that holds good files, kills its process without
warning, at a random moment or, in every second trial, while it is seen to write a file, and
then asks three things:

- are the good files what they were, and is every file with a final name whole?
- does the command, given again (with ``--resume`` where it trains), end well?
- are its results, byte for byte, those of a run that nobody killed?
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

from emulant.app import discover
from emulant.cli import main as emulant
from emulant.errors import InputError
from emulant.rng import numpy_rng
from emulant.store import describe, hash_file
from emulant.tables import markdown
from pages import insert

PARTIAL = ".partial-"


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many kills, and where the table goes."""

    kills: int = 200
    """Kills over all commands."""
    seed: int = 0
    apps: tuple[str, ...] = ()
    """Applications whose commands are killed; all by default."""
    out: Path | None = None
    """File of JSON lines, one a command that is done; those are not killed again."""
    docs: Path | None = None
    """Markdown file with a place for the table."""


@dataclass(frozen=True, slots=True)
class Job:
    """A command of seconds, in a directory of its own."""

    name: str
    line: str
    """What follows ``emulant``, run inside the directory."""
    results: tuple[str, ...]
    """Files that must come out the same, byte for byte."""
    before: tuple[str, ...] = ()
    """Commands that make its inputs."""
    resumes: str = ""
    """The directory whose presence asks to go on."""
    again: str = " --resume"
    """What the line gets then."""
    mark: str = "checkpoint.safetensors"
    """A file of that directory from which it goes on."""


ISING = "--lattice 16 --temperatures 2.0 2.4 --seed 3"
TRUTH = f"ising simulate {ISING} --count 500 --out truth.npz"
TRAIN = "ising train --data truth.npz --steps 40 --device cpu --out run"
FIELDS = "--source lognormal --cosmologies 4 --boxes 2 --seed 3 --workers 1"
MAPS = "--size 64 --seed 3 --device cpu --workers 1"
STRINGS = "molecules sample --count 400 --raw --seed 3 --workers 1 --out own.csv"
TABLE = "records prepare wisconsin --out table.csv"
JOBS = {
    "ising": (
        Job("ising simulate", f"ising simulate {ISING} --count 4000 --out new.npz", ("new.npz",)),
        Job("ising simulate, h5", f"ising simulate {ISING} --count 4000 --out new.h5", ("new.h5",)),
        Job("ising train", TRAIN, ("run/weights.safetensors",), (TRUTH,),
            "run"),
        Job("ising sample", f"ising sample {ISING} --count 4000 --out states.h5", ("states.h5",)),
        Job("ising validate", "ising validate truth.npz --out report",
            ("report/certificate.json", "report/index.html"), (TRUTH,)),
    ),
    "lensing": (
        Job("lensing simulate", f"lensing simulate {FIELDS} --maps 60 --out new.h5", ("new.h5",)),
        Job("lensing train", "lensing train --data fields.h5 --steps 12 --device cpu --out run",
            ("run/weights.safetensors",), (f"lensing simulate {FIELDS} --maps 8 --out fields.h5",),
            "run"),
        Job("lensing sample", f"lensing sample {MAPS} --count 100 --out maps.h5", ("maps.h5",)),
        Job("lensing sample, FITS", f"lensing sample {MAPS} --count 4 --out maps.fits",
            ("maps.fits",)),
        Job("lensing measure", "lensing measure maps.h5 --out report",
            ("report/statistics.json", "report/index.html"),
            (f"lensing sample {MAPS} --count 20 --out maps.h5",)),
    ),
    "molecules": (
        Job("molecules sample", "molecules sample --count 100 --seed 3 --workers 1 --out new",
            ("new/candidates.csv", "new/candidates.sdf", "new/index.html")),
        Job("molecules sample, in parts",
            "molecules sample --count 1500 --raw --per-file 500 --seed 3 --workers 1 --out new",
            ("new/part-00000.parquet", "new/part-00002.parquet", "new/_parts.json"), (), "new", "",
            "_begun.npz"),
        Job("molecules train", "molecules train --data own.csv --rare 1 --steps 30 --seed 3"
            " --device cpu --workers 1 --out run", ("run/weights.safetensors",), (STRINGS,), "run"),
        Job("molecules filter", "molecules filter own.csv --workers 1 --out judged.parquet",
            ("judged.parquet",), (STRINGS,)),
    ),
    "records": (
        Job("records describe", "records describe table.csv --outcome diagnosis --out described",
            ("described/report.json", "described/index.html"), (TABLE,)),
        Job("records impute", "records impute table.csv --method chained --m 1 --seed 3"
            " --out imputed", ("imputed/imputed.csv", "imputed/long.csv", "imputed/index.html"),
            (TABLE,)),
        Job("records train", "records train table.csv --outcome diagnosis --seed 3"
            " --classifier logistic --out model", ("model/model.safetensors",), (TABLE,)),
    ),
}  # fmt: skip


@contextmanager
def inside(directory: Path) -> Iterator[None]:
    """Work in ``directory``."""
    home = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(home)


def start(line: str, directory: Path) -> int:
    """Start ``emulant line`` in a process that has imported everything; return its number."""
    process = os.fork()
    if process:
        return process
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    with inside(directory):
        os._exit(emulant(line.split()))


def end(process: int) -> int:
    """Wait for a process and return its exit status, negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def complete(line: str, directory: Path) -> None:
    """Run a command to its end."""
    status = end(start(line, directory))
    if status not in (0, 1, 3):  # a certificate may say fail or underpowered
        raise SystemExit(f"emulant {line}: exit status {status}")


def files(directory: Path) -> dict[str, Path]:
    """Return the files below ``directory`` by their relative names, but partial ones and locks."""
    found = (f for f in directory.rglob("*") if f.is_file() and PARTIAL not in f.name)
    return {str(f.relative_to(directory)): f for f in found if not f.name.endswith(".lock")}


def damaged(directory: Path) -> list[str]:
    """Return the files that cannot be read back."""
    bad = []
    for name, file in files(directory).items():
        try:
            describe(file)
        except InputError:
            bad.append(name)
    return bad


@dataclass(slots=True)
class Tally:
    """What became of the kills of one job."""

    kills: int = 0
    in_writing: int = 0
    """While a partial file lay there."""
    resumed: int = 0
    """From a checkpoint."""
    lost: int = 0
    """Good files changed, or files that cannot be read."""
    failed: int = 0
    """Commands that did not end well when given again."""
    different: int = 0
    """Results that are not those of the run that nobody killed."""


class Range:
    """One job, its inputs made once, its undisturbed results, and how long it takes."""

    def __init__(self, job: Job, home: Path) -> None:
        self.job, self.home = job, home
        self.inputs = home / "inputs"
        self.inputs.mkdir(parents=True)
        for line in job.before:
            complete(line, self.inputs)
        calm = self._fresh("calm")
        started = time.monotonic()
        complete(job.line, calm)
        self.seconds = time.monotonic() - started
        self.good = {name: hash_file(calm / name) for name in job.results}
        shutil.copytree(calm, self.inputs / "earlier")  # good files that must survive

    def _fresh(self, name: str) -> Path:
        return Path(shutil.copytree(self.inputs, self.home / name))

    def kill(self, rng: np.random.Generator, in_writing: bool, tally: Tally) -> None:
        """Kill the job once and look at what it left."""
        directory = self._fresh("trial")
        before = {name: hash_file(file) for name, file in files(directory).items()}
        process = start(self.job.line, directory)
        self._strike(process, directory, rng, in_writing)
        tally.kills += 1
        tally.in_writing += any(PARTIAL in f.name for f in directory.rglob("*"))
        after = files(directory)
        kept = all(n in after and hash_file(after[n]) == h for n, h in before.items())
        tally.lost += not kept or bool(damaged(directory))
        line = self.job.line
        if self.job.resumes and (directory / self.job.resumes).exists():
            line += self.job.again
            tally.resumed += any((directory / self.job.resumes).rglob(self.job.mark))
        elif not self.job.resumes:
            for name in self.job.results:  # a finished file is not written again
                top = directory / name.split("/")[0]
                shutil.rmtree(top) if top.is_dir() else top.unlink(missing_ok=True)
        status = end(start(line, directory))
        tally.failed += status not in (0, 1, 3)
        same = all(
            (directory / name).exists() and hash_file(directory / name) == good
            for name, good in self.good.items()
        )
        left = any(PARTIAL in f.name for f in directory.rglob("*"))
        tally.different += not same or left
        shutil.rmtree(directory)

    def _strike(
        self, process: int, directory: Path, rng: np.random.Generator, in_writing: bool
    ) -> None:
        deadline = time.monotonic() + rng.uniform(0, self.seconds)
        while time.monotonic() < deadline or in_writing:
            if os.waitpid(process, os.WNOHANG)[0]:
                return  # it was faster than the dice: everything must be there
            if time.monotonic() >= deadline and in_writing and self._writes(directory):
                break
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.002) if in_writing else 0)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)

    @staticmethod
    def _writes(directory: Path) -> bool:
        return any(PARTIAL in f.name for f in directory.rglob("*"))


HEAD = (
    "command", "kills", "of them in writing", "resumed from a checkpoint",
    "files lost or damaged", "did not go on", "other result than undisturbed",
)  # fmt: skip


def _known(out: Path | None) -> dict[str, dict[str, int]]:
    """Return the tallies of commands that were killed before."""
    lines = out.read_text().splitlines() if out is not None and out.exists() else []
    return {key: tally for line in lines for key, tally in json.loads(line).items()}


def _killed(job: Job, home: Path, share: int, seed: int) -> Tally:
    """Kill a job so many times."""
    arena = Range(job, home)
    tally, rng = Tally(), numpy_rng(seed, "kills", job.name)
    for trial in range(share):
        arena.kill(rng, trial % 2 == 1, tally)
        sys.stderr.write(f"\r{job.name}: {trial + 1} of {share} ")
    sys.stderr.write(f"\n{tally}\n")
    return tally


def main(config: Config) -> None:
    """Kill, print the table, and put it where it is wanted; exit 1 where anything was lost."""
    torch.set_num_threads(1)  # a fork must not inherit a pool of threads
    names = config.apps or tuple(f.name for f in discover() if f.name in JOBS)
    jobs = [job for name in names for job in JOBS[name]]
    share = -(-config.kills // len(jobs))
    known = _known(config.out)
    rows, faults = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        for job in jobs:
            key = f"{job.name}, {share} kills, seed {config.seed}"
            if key not in known:
                tally = _killed(job, Path(scratch) / job.name, share, config.seed)
                known[key] = dataclasses.asdict(tally)
                if config.out is not None:
                    with config.out.open("a") as opened:
                        opened.write(json.dumps({key: known[key]}) + "\n")
            tally = Tally(**known[key])
            counts = (tally.kills, tally.in_writing, tally.resumed)
            bad = (tally.lost, tally.failed, tally.different)
            rows.append((job.name, *map(str, (*counts, *bad))))
            faults += sum(bad)
    total = [str(sum(int(row[k]) for row in rows)) for k in range(1, len(HEAD))]
    rows.append(("all", *total))
    command = f"reliability_kills.py --kills {config.kills} --seed {config.seed}"
    insert(config.docs, "kills", "Kill -9 at random moments", command, markdown(HEAD, rows))
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main(tyro.cli(Config))
