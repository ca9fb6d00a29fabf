"""What the runs of a check over several seeds found; the worst seed speaks for all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from emulant.ledger.check import Check, Measure, Outcome
from emulant.train import DivergenceError

__all__ = ["Record", "Trial", "examine"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a check."""

    seed: int
    outcome: Outcome
    seconds: float
    """CPU seconds of this process."""
    trouble: str = ""
    """Why it has no outcome: a diverged training fails, and is not hidden."""

    @property
    def passed(self) -> bool:
        """Whether it ended and every measure holds."""
        return not self.trouble and self.outcome.passed

    @property
    def strain(self) -> float:
        """The outcome's strain; inf without one."""
        return math.inf if self.trouble else self.outcome.strain

    def to_json(self) -> dict[str, Any]:
        """Return everything but the pictures, in JSON values."""
        return {
            "seed": self.seed,
            "passed": self.passed,
            "cpu_seconds": round(self.seconds, 2),
            "trouble": self.trouble,
            "measures": [_measure_json(measure) for measure in self.outcome.measures],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Trial:
        """Return the trial of :meth:`to_json`, without pictures."""
        measures = tuple(
            Measure(
                str(m["quantity"]),
                math.nan if m["expected"] is None else float(m["expected"]),
                math.nan if m["got"] is None else float(m["got"]),
                None if m["tolerance"] is None else float(m["tolerance"]),
                m["sense"],
            )
            for m in record["measures"]
        )
        seed, seconds = int(record["seed"]), float(record["cpu_seconds"])
        return cls(seed, Outcome(measures), seconds, str(record["trouble"]))


@dataclass(frozen=True, slots=True)
class Record:
    """All trials of a check."""

    check: Check
    trials: tuple[Trial, ...]
    code: str = ""
    """Hash of the code that decided them, see :func:`~emulant.ledger.fingerprint.fingerprint`."""

    @property
    def passed(self) -> bool:
        """Whether every seed passed."""
        return all(trial.passed for trial in self.trials)

    @property
    def held(self) -> int:
        """Number of seeds that passed."""
        return sum(trial.passed for trial in self.trials)

    @property
    def worst(self) -> Trial:
        """The trial of the largest strain."""
        return max(self.trials, key=lambda trial: trial.strain)

    @property
    def seconds(self) -> float:
        """Mean CPU seconds of a trial."""
        return sum(trial.seconds for trial in self.trials) / len(self.trials)

    def worst_measures(self) -> list[tuple[Measure, int]]:
        """Return each measure as its worst seed found it, and how many seeds held it."""
        rows = [trial.outcome.measures for trial in self.trials if not trial.trouble]
        columns = zip(*rows, strict=True)
        return [
            (max(column, key=_severity), sum(measure.passed for measure in column))
            for column in columns
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the pictures, in JSON values."""
        return {
            "check": self.check.name,
            "method": self.check.method,
            "claim": self.check.claim,
            "why_tolerance": self.check.why_tolerance,
            "fast": self.check.fast,
            "code": self.code,
            "passed": self.passed,
            "held": self.held,
            "trials": [trial.to_json() for trial in self.trials],
        }


def examine(
    check: Check,
    seeds: Iterable[int],
    done: Callable[[Record], object] = lambda _: None,
    known: Mapping[int, Trial] = MappingProxyType({}),
    code: str = "",
) -> Record:
    """Run ``check`` once a seed, but for seeds that are ``known``.

    ``done`` is called after each run with the trials so far; ``code`` is the hash of the code.
    """
    trials: list[Trial] = []
    for seed in seeds:
        trials.append(known[seed] if seed in known else _run(check, seed))
        if seed not in known:
            done(Record(check, tuple(trials), code))
    return Record(check, tuple(trials), code)


def _run(check: Check, seed: int) -> Trial:
    started = time.process_time()
    trouble = ""
    try:
        outcome = check.run(seed)
    except DivergenceError as error:
        outcome, trouble = Outcome(()), str(error)
    return Trial(seed, outcome, time.process_time() - started, trouble)


def _severity(measure: Measure) -> tuple[float, float]:
    """Order measures of one quantity from best to worst."""
    excess = measure.got - measure.expected
    towards = {"=": abs(excess), "<=": excess, ">=": -excess}[measure.sense]
    return measure.strain, -math.inf if math.isnan(towards) else towards


def _measure_json(measure: Measure) -> dict[str, Any]:
    return {
        "quantity": measure.quantity,
        "expected": _finite(measure.expected),
        "got": _finite(measure.got),
        "tolerance": measure.tolerance,
        "sense": measure.sense,
        "passed": measure.passed,
    }


def _finite(value: float) -> float | None:
    """Return ``value``, or None where JSON has no word for it."""
    return float(value) if math.isfinite(value) else None
