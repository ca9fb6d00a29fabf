"""What the runs of a check over several seeds found; the worst seed speaks for all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Record:
    """All trials of a check."""

    check: Check
    trials: tuple[Trial, ...]

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
            "passed": self.passed,
            "held": self.held,
            "trials": [
                {
                    "seed": trial.seed,
                    "passed": trial.passed,
                    "cpu_seconds": round(trial.seconds, 2),
                    "trouble": trial.trouble,
                    "measures": [_measure_json(measure) for measure in trial.outcome.measures],
                }
                for trial in self.trials
            ],
        }


def examine(
    check: Check, seeds: Iterable[int], done: Callable[[], object] = lambda: None
) -> Record:
    """Run ``check`` once a seed; ``done`` is called after each."""
    trials = []
    for seed in seeds:
        started = time.process_time()
        trouble = ""
        try:
            outcome = check.run(seed)
        except DivergenceError as error:
            outcome, trouble = Outcome(()), str(error)
        trials.append(Trial(seed, outcome, time.process_time() - started, trouble))
        done()
    return Record(check, tuple(trials))


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
