"""Samples and truth of a case as a whole: the common feature space, and every comparison in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from emulant.certify import judge
from emulant.certify.case import Case, Settings, SideOf, named
from emulant.certify.certificate import Distance
from emulant.certify.classifier import ClassifierTest
from emulant.certify.codec import tidy
from emulant.certify.coverage import Coverage
from emulant.certify.distances import Energy, Frechet, MaximumMeanDiscrepancy, SlicedWasserstein
from emulant.certify.evidence import Evidence, Pair, TwoSample
from emulant.certify.memory import Copier, NearCopies, NearRepeats, Repeats, refuse_overlap
from emulant.certify.network import NetworkTest
from emulant.certify.statistic import Array, Samples, Statistic, Tolerance
from emulant.certify.verdict import Verdict
from emulant.certify.words import tolerance_words
from emulant.errors import InputError
from emulant.rng import numpy_rng

__all__ = [
    "RAW_FEATURES",
    "STANDARD",
    "Found",
    "compare_whole",
    "finished",
    "overlap_of",
    "pair_of",
]

RAW_FEATURES = 64
"""Samples of at most so many numbers are their own features."""

STANDARD: tuple[TwoSample, ...] = (
    ClassifierTest(),
    NetworkTest(),
    Coverage("coverage", Tolerance(0.05, by="the default: 5 % of truth's kinds")),
    Coverage("precision", Tolerance(0.05, by="the default: 5 % of the samples")),
    Copier(),
    NearCopies(),
    Repeats(),
    NearRepeats(),
    Coverage("density"),
    Coverage("recall", most=1000, replicates=50),
    MaximumMeanDiscrepancy(),
    Energy(),
    SlicedWasserstein(),
    Frechet(),
)
"""What :mod:`emulant.certify.command` runs; those with a tolerance count in the status."""


@dataclass(frozen=True, slots=True)
class Found:
    """The evidence of one comparison before the family is known."""

    name: str
    tolerance: Tolerance | None
    evidence: Evidence

    @property
    def p_value(self) -> float | None:
        """P-value of excess ≤ tolerance; None without a tolerance."""
        if self.tolerance is None:
            return None
        e = self.evidence
        return float(stdtr(e.dof, -(e.excess - self._width) / e.error))

    @property
    def _width(self) -> float:
        assert self.tolerance is not None
        return float(np.asarray(self.tolerance.value))


def space_of(
    case: Case,
    samples: Samples,
    statistics: Sequence[Statistic],
    features: Callable[[Samples], NDArray[Any]] | None = None,
    side: str = "samples",
) -> Array:
    """Return samples (n, *X) in the common space, (n, K).

    That is ``features`` where given, else the samples themselves when they are small, else the
    features of all statistics side by side.
    """
    if features is not None:
        chosen = [Statistic("features", features)]
    elif samples.dtype.kind in "biuf" and int(np.prod(samples.shape[1:])) <= RAW_FEATURES:
        chosen = [Statistic("samples", lambda x: x.reshape(len(x), -1))]
    else:
        chosen = [s for s in statistics if not s.whole]
    if not chosen:
        raise InputError(
            f"case {case.label}: samples are large, or texts, and no statistic has features; give "
            "some, or ask for --quick"
        )
    parts = [named(case, s, side, partial(s.rows, samples)) for s in chosen]
    rows: Array = np.concatenate(parts, axis=1)
    if not np.isfinite(rows).all():
        raise InputError(f"case {case.label}, {side}: NaN or infinity in the features")
    return rows


def pair_of(
    case: Case,
    samples: SideOf,
    truth: SideOf,
    statistics: Sequence[Statistic],
    features: Callable[[Samples], NDArray[Any]] | None,
) -> Pair:
    """Return samples and truth in a common space."""
    return Pair.of(
        (
            space_of(case, samples.samples, statistics, features, "samples"),
            space_of(case, truth.samples, statistics, features, "truth"),
        ),
        (samples.units.unit, truth.units.unit),
        (samples.samples, truth.samples) if case.events is None else case.events,
        case.training,
    )


def compare_whole(
    case: Case, pair: Pair, comparisons: Sequence[TwoSample], settings: Settings
) -> list[Found]:
    """Return the evidence of every comparison that the case admits."""
    found = []
    for comparison in comparisons:
        rng = numpy_rng(settings.seed, "comparison", case.label, comparison.name)
        evidence = comparison(pair, rng)
        if evidence is not None:
            if comparison.tolerance is not None and comparison.tolerance.kind != "absolute":
                raise ValueError(f"the tolerance of {comparison.name!r} must be absolute")
            found.append(Found(comparison.name, comparison.tolerance, evidence))
    return found


def overlap_of(case: Case) -> float | None:
    """Return the share of truth in the training set, refusing truth that was trained on."""
    truth = case.raw[1]
    if case.training is None or truth is None:
        return None
    return tidy(refuse_overlap(case.label, truth, case.training))


def finished(found: Found, p_adjusted: float | None, settings: Settings) -> Distance:
    """Return the record of a comparison, judged with Holm's p-value."""
    e = found.evidence
    one = np.ones(1)
    upper = e.excess + float(judge.half_width(e.error * one, e.dof * one, settings.level)[0])
    verdict: Verdict = "reported"
    tolerance = needed = None
    if found.tolerance is not None and p_adjusted is not None:
        tolerance = float(np.asarray(found.tolerance.value))
        fails, passes = p_adjusted <= settings.alpha, upper <= tolerance
        verdict = judge.verdicts(np.array([fails]), np.array([passes]))[0]
        size = min(e.samples, e.truth)
        bias = max(e.excess, 0.0) * one
        variance = e.error**2 * size * one
        needed = float(
            judge.needed(bias, tolerance * one, e.error * one, variance, settings.level)[0]
        )

    def neat(x: float | None) -> float | None:
        return None if x is None else tidy(x)

    return Distance(
        name=found.name,
        value=tidy(e.value),
        expected=tidy(e.expected),
        excess=tidy(e.excess),
        error=tidy(e.error),
        upper=tidy(upper),
        tolerance=neat(tolerance),
        tolerance_words=tolerance_words(found.tolerance, ""),
        p_equal=neat(e.p_equal),
        null_low=neat(e.null_low),
        null_high=neat(e.null_high),
        p_value=neat(found.p_value),
        p_adjusted=neat(p_adjusted),
        needed=neat(needed),
        samples=e.samples,
        truth=e.truth,
        note=e.note,
        verdict=verdict,
    )
