r"""What a molecule is worth: built-in scores, a user's function or command; more is better.

A user's function runs in a process of its own and a command in a new one for each call, so that
neither can stop the search by crashing or hanging: the molecule at fault is found by asking one by
one, and named. All answers are kept in a log, a table of SMILES and scores, which is also the
memory: no molecule is scored twice, and a run that was stopped goes on from it.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from pathlib import Path
from typing import Protocol

from rdkit.Chem import QED, Crippen

from emulant.errors import InputError
from emulant.store import atomic_path
from emulant_apps.molecules.chemistry.parse import canonical, parse
from emulant_apps.molecules.chemistry.properties import synthesis
from emulant_apps.molecules.chemistry.similarity import similarity
from emulant_apps.molecules.config import OptimiseConfig

__all__ = ["BUILT_IN", "Book", "BuiltIn", "CommandScorer", "FunctionScorer", "Scorer", "scorer_of"]

START = 120.0
"""Seconds, at least, that a function's file may take to be imported."""


class FailedError(Exception):
    """A call of a scorer that gave no scores; the message says why, in a few words."""


class Scorer(Protocol):
    """Gives each of some molecules a number."""

    name: str

    def __call__(self, smiles: Sequence[str]) -> list[float]:
        """Return one finite number for each; raise FailedError where there is none."""
        ...

    def close(self) -> None:
        """End what it started."""
        ...


def _qed(smiles: str) -> float:
    return float(QED.qed(parse(smiles)))  # type: ignore[no-untyped-call]  # RDKit


def _logp(smiles: str) -> float:
    return float(Crippen.MolLogP(parse(smiles)))  # type: ignore[attr-defined]  # RDKit


def _ease(smiles: str) -> float:
    molecule = parse(smiles)
    assert molecule is not None
    return 10.0 - synthesis(molecule)


BUILT_IN: dict[str, Callable[[str], float]] = {"qed": _qed, "logp": _logp, "sa": _ease}
"""By name: drug-likeness, 0 to 1; logP; 10 - SA, so that more is easier to make."""


class BuiltIn:
    """A score that comes with the package: qed, logp, sa, or similarity to a SMILES."""

    def __init__(self, name: str) -> None:
        self.name = name
        if name.startswith("similarity:"):
            target = canonical(name.removeprefix("similarity:"))
            if not target:
                raise InputError(f"--score: '{name}': what follows the colon is no SMILES")
            self._score: Callable[[str], float] = lambda text: similarity(text, target)
        else:
            self._score = BUILT_IN[name]

    def __call__(self, smiles: Sequence[str]) -> list[float]:
        """Return the scores."""
        return [self._score(text) for text in smiles]

    def close(self) -> None:
        """Nothing was started."""


class FunctionScorer:
    """A function of a user's file, in a process of its own.

    Arguments
    ---------
    name : ``file.py:function``.
    one : whether it is given one SMILES at a time, or a list.
    timeout : seconds that one call may take.
    """

    def __init__(self, name: str, one: bool, timeout: float) -> None:
        self.name, self.one, self.timeout = name, one, timeout
        self._process: subprocess.Popen[str] | None = None
        self._words = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self._reader = ThreadPoolExecutor(1)

    def __call__(self, smiles: Sequence[str]) -> list[float]:
        """Return the scores of one call."""
        process = self.begin()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died; its last words are read below
            process.stdin.write(json.dumps(list(smiles)) + "\n")
            process.stdin.flush()
        return _numbers(json.loads(self._line(process, self.timeout)), len(smiles))

    def close(self) -> None:
        """End the process."""
        self._kill()
        self._words.close()
        self._reader.shutdown(wait=False)

    def begin(self) -> subprocess.Popen[str]:
        """Return the process that holds the function, started where it is not."""
        if self._process is None:
            module = "emulant_apps.molecules.scorer_child"
            line = [sys.executable, "-m", module, self.name, *(["--one"] if self.one else [])]
            self._process = subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, text=True
            )
            self._line(self._process, max(self.timeout, START))
        return self._process

    def _line(self, process: subprocess.Popen[str], timeout: float) -> str:
        """Return the next line of the process; it is killed where none comes in time."""
        assert process.stdout is not None
        coming = self._reader.submit(process.stdout.readline)
        try:
            line = coming.result(timeout)
        except Late:
            self._kill()
            raise FailedError(f"did not answer within {timeout:g} s") from None
        if not line:
            self._kill()
            self._words.seek(0)
            said = self._words.read()
            self._words.seek(0)
            self._words.truncate()
            raise FailedError(f"raised {_last(said)}")
        return line

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()
            self._process = None


class CommandScorer:
    """A command: SMILES on its stdin, one a line; scores on its stdout, one a line."""

    def __init__(self, name: str, timeout: float) -> None:
        self.name, self.timeout = name, timeout
        try:
            self.line = shlex.split(name)
        except ValueError as error:
            raise InputError(f"--score-command: '{name}': {error}") from error
        if not self.line:
            raise InputError("--score-command: is empty")

    def __call__(self, smiles: Sequence[str]) -> list[float]:
        """Return the scores of one call."""
        try:
            done = subprocess.run(
                self.line,
                input="".join(f"{text}\n" for text in smiles),
                capture_output=True,
                text=True,
                timeout=self.timeout,
                check=False,
            )
        except OSError as error:
            raise InputError(f"--score-command: '{self.name}': {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise FailedError(f"did not answer within {self.timeout:g} s") from None
        if done.returncode:
            raise FailedError(f"ended with status {done.returncode}: {_last(done.stderr)}")
        return _numbers(done.stdout.split(), len(smiles))

    def close(self) -> None:
        """Nothing goes on running."""


def scorer_of(config: OptimiseConfig) -> Scorer:
    """Return the scorer that the flags name, tried where that needs no molecule.

    Raises
    ------
    InputError
        There is no such score, file, function or command.
    """
    if config.score_command is not None:
        return CommandScorer(config.score_command, config.timeout)
    assert config.score is not None
    name = config.score
    if name in BUILT_IN or name.startswith("similarity:"):
        return BuiltIn(name)
    if ":" not in name:
        known = ", ".join([*BUILT_IN, "similarity:SMILES"])
        raise InputError(f"--score: '{name}' is none of {known}, nor file.py:function")
    scorer = FunctionScorer(name, config.one_at_a_time, config.timeout)
    try:
        scorer.begin()
    except FailedError as error:
        scorer.close()
        raise InputError(f"--score: '{name}': {error}") from error
    return scorer


class Book:
    """A scorer's answers: its log, its memory and its budget.

    Arguments
    ---------
    scorer : what is asked.
    log : table to keep, CSV; what is in it already is not asked again.
    budget : molecules that may be scored.
    batch : molecules of one call.
    """

    def __init__(self, scorer: Scorer, log: Path, budget: int, batch: int) -> None:
        self.scorer, self.log, self.budget, self.batch = scorer, log, budget, batch
        self.remembered = _read_log(log) if log.exists() else {}
        self.scores: dict[str, float] = {}
        """By SMILES, in the order in which they were asked in this run."""
        self.rounds: dict[str, int] = {}
        self.asked = 0
        """Molecules that the scorer was asked in this run, memory aside."""

    @property
    def left(self) -> int:
        """Molecules that may still be scored."""
        return self.budget - len(self.scores)

    def ask(self, smiles: Sequence[str], turn: int) -> None:
        """Score what is new among canonical SMILES, as far as the budget goes.

        Raises
        ------
        InputError
            The scorer gave no number; the molecule is named, and the log holds the others.
        """
        new = [text for text in dict.fromkeys(smiles) if text not in self.scores][: self.left]
        for start in range(0, len(new), self.batch):
            some = new[start : start + self.batch]
            self.rounds |= dict.fromkeys(some, turn)
            unknown = [text for text in some if text not in self.remembered]
            if unknown:
                self._learn(unknown)
            self.scores |= {text: self.remembered[text] for text in some}

    def _learn(self, smiles: Sequence[str]) -> None:
        try:
            found = dict(zip(smiles, self.scorer(smiles), strict=True))
            fault = None
        except FailedError as error:
            found, fault = self._one_by_one(smiles, error)
        self.remembered |= found
        self.asked += len(found)
        self._write()
        if fault is not None:
            raise fault

    def _one_by_one(
        self, smiles: Sequence[str], first: FailedError
    ) -> tuple[dict[str, float], InputError | None]:
        """Return the scores before the molecule at fault, and what to say of it."""
        found: dict[str, float] = {}
        if len(smiles) == 1:
            return found, self._fault(smiles[0], first)
        for text in smiles:
            try:
                (found[text],) = self.scorer([text])
            except FailedError as error:
                return found, self._fault(text, error)
        return found, None  # it has recovered

    def _fault(self, text: str, error: FailedError) -> InputError:
        return InputError(
            f"scorer '{self.scorer.name}': {error}, on {text}; what was scored is in {self.log}, "
            "mend it and go on with --resume"
        )

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["smiles", "score", "round"])
        for smiles, score in self.remembered.items():
            writer.writerow([smiles, repr(score), self.rounds.get(smiles, "")])
        with atomic_path(self.log) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")


def _read_log(path: Path) -> dict[str, float]:
    with path.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    try:
        return {row["smiles"]: float(row["score"]) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is no log of scores; give another --out") from error


def _numbers(values: Sequence[object], count: int) -> list[float]:
    """Return the answers as finite numbers, one for each molecule."""
    if len(values) != count:
        raise FailedError(f"gave {len(values)} scores for {count} molecules")
    found = []
    for value in values:
        try:
            number = float(str(value))
        except ValueError:
            raise FailedError(f"gave {str(value)[:40]!r}, which is no number") from None
        if not math.isfinite(number):
            raise FailedError(f"gave {number}")
        found.append(number)
    return found


def _last(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "nothing, and said nothing"
