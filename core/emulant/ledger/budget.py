"""How much of a run's CPU time is spent, and how much is to come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean

from emulant.ledger.check import Check
from emulant.ledger.record import Record, Trial

__all__ = ["Budget"]

GUESS = {True: 1.0, False: 20.0}
"""CPU seconds of a fast and of a slow check while none has been run."""


class Budget:
    """CPU seconds of the trials that a run makes, those to come estimated.

    A check costs what it cost before; one that was never run, what the others of its speed do.

    Arguments
    ---------
    checks : those to be run.
    seeds : the seeds of each.
    known : trials that there are already, by check's name and seed; they cost nothing more.
    """

    def __init__(
        self,
        checks: Iterable[Check],
        seeds: Iterable[int],
        known: Mapping[str, Mapping[int, Trial]],
    ) -> None:
        seeds = tuple(seeds)
        self.paid = 0.0
        self._fast = {check.name: check.fast for check in checks}
        self._left = {
            name: sum(seed not in known.get(name, {}) for seed in seeds) for name in self._fast
        }
        self._costs = {
            name: [trial.seconds for trial in known.get(name, {}).values()] for name in self._fast
        }

    def pay(self, record: Record) -> None:
        """Count the last trial of ``record``."""
        name, seconds = record.check.name, record.trials[-1].seconds
        self.paid += seconds
        self._left[name] -= 1
        self._costs[name].append(seconds)

    @property
    def total(self) -> float:
        """Seconds paid and seconds expected."""
        return self.paid + sum(left * self._cost(name) for name, left in self._left.items())

    def _cost(self, name: str) -> float:
        alike = [
            fmean(c) for n, c in self._costs.items() if c and self._fast[n] == self._fast[name]
        ]
        own = self._costs[name]
        return fmean(own) if own else fmean(alike) if alike else GUESS[self._fast[name]]
