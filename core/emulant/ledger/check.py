r"""A known-answer check: what theory says, what a method gave, and how far apart they may be.

Notation: expected ``e``, got ``g``, tolerance ``t``. The strain of a measure is

    |g - e| / t   where g must be e ("="),
    (g - e) / t   where g must be at most e ("<="),
    (e - g) / t   where g must be at least e (">="),

and it holds when its strain is at most 1. A measure without a tolerance is reported beside
the others and judges nothing.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, SupportsFloat

from emulant.app import nearest
from emulant.errors import InputError

if TYPE_CHECKING:
    from emulant.certify.page import Figure

__all__ = ["Check", "Measure", "Outcome", "discover", "error", "select"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One quantity with a known answer.

    >>> Measure("mean", 1.0, 1.02, 0.05).passed
    True
    >>> Measure("modes found", 8, 7, 0).strain
    inf
    """

    quantity: str
    """What is measured, with its unit where it has one."""
    expected: float
    """The known answer, or the bound."""
    got: float
    tolerance: float | None = None
    """Largest excess allowed; None where the number is only reported."""
    sense: Literal["=", "<=", ">="] = "="

    @property
    def strain(self) -> float:
        """Excess in units of the tolerance; 0 where nothing is judged, inf for a NaN."""
        if self.tolerance is None:
            return 0.0
        excess = self.got - self.expected
        if math.isnan(excess):
            return math.inf
        excess = {"=": abs(excess), "<=": excess, ">=": -excess}[self.sense]
        if excess <= 0:
            return 0.0
        return excess / self.tolerance if self.tolerance > 0 else math.inf

    @property
    def passed(self) -> bool:
        """Whether the strain is at most 1."""
        return self.strain <= 1


def error(quantity: str, got: SupportsFloat, most: float) -> Measure:
    """Return the measure of an error, whose known answer is 0 and which may be ``most``."""
    return Measure(quantity, 0.0, float(got), most, "<=")


def _no_pictures() -> Sequence[Figure]:
    return ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a check found."""

    measures: tuple[Measure, ...]
    pictures: Callable[[], Sequence[Figure]] = _no_pictures
    """Draws the page's figures; called only where a page is wanted."""

    @property
    def strain(self) -> float:
        """The largest strain of its measures."""
        return max((measure.strain for measure in self.measures), default=0.0)

    @property
    def passed(self) -> bool:
        """Whether every measure holds."""
        return self.strain <= 1


@dataclass(frozen=True, slots=True)
class Check:
    """A method's known answer, and the experiment that should find it.

    A file of this package joins by existing, with a tuple ``CHECKS`` of these.
    """

    name: str
    """Words that a person types: ``"linear-vae"``."""
    method: str
    """Name of the method's file, with hyphens: ``"vae"``."""
    run: Callable[[int], Outcome]
    """The experiment as a function of the seed."""
    claim: str
    """One sentence: what must be found."""
    why_tolerance: str
    """Why the tolerances are what they are."""
    fast: bool = True
    """Whether one run takes a few CPU seconds; the others wait for ``pytest -m slow``."""
    needs: tuple[str, ...] = ()
    """Packages beyond the engine's own that it imports."""


def discover() -> tuple[Check, ...]:
    """Return the checks of every file of this package, by file, in the files' own order."""
    package = importlib.import_module("emulant.ledger")
    rooms = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    found: list[Check] = []
    for room in rooms:
        found += getattr(importlib.import_module(f"emulant.ledger.{room}"), "CHECKS", ())
    return tuple(found)


def select(checks: Iterable[Check], words: Sequence[str]) -> tuple[Check, ...]:
    """Return the checks whose method or name is among ``words``; all where there are none.

    Raises
    ------
    InputError
        A word names no check.
    """
    checks = tuple(checks)
    known = {word for check in checks for word in (check.name, check.method)}
    for word in words:
        if word not in known:
            raise InputError(f"no check or method '{word}'; {nearest(word, known)}")
    return tuple(c for c in checks if not words or c.name in words or c.method in words)
