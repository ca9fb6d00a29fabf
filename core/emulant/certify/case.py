"""A case: samples, what they are compared with, and everything that can be wrong with both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from emulant.certify.resample import Units, bootstrap_counts
from emulant.certify.statistic import Array, Samples, Statistic
from emulant.errors import InputError
from emulant.rng import numpy_rng

__all__ = ["ESS_FLOOR", "Case", "Settings", "SideOf", "check_case", "importance", "named"]

ESS_FLOOR = 0.10
"""Reweighted estimates are refused below this fraction of the samples."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One condition under which samples are compared with truth."""

    label: str
    samples: Samples
    """Shape (n, *X)."""
    truth: Samples | None = None
    """Shape (n_T, *X); may be absent where ``exact`` answers every statistic."""
    exact: Mapping[str, Any] = field(default_factory=dict)
    """Exact vectors (M,) by the statistic's name; they precede truth."""
    groups: NDArray[Any] | None = None
    """Independent unit (box, chain, patient) of each sample, (n,); None: each sample is one."""
    truth_groups: NDArray[Any] | None = None
    log_weight: Array | None = None
    """Log importance weights (n,), up to a constant."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What a statistic's scale needs and a reader wants to know, such as the temperature."""
    extrapolated: bool = False
    """Whether the case lies outside the range that the emulator was trained on."""
    training: Samples | None = None
    """What the emulator was trained on, (t, *X); truth must have been held out of it."""
    events: tuple[Samples, Samples] | None = None
    """Samples and truth as they came, (n, *Y) and (n_T, *Y), where ``samples`` and ``truth`` are
    features of them already; networks and memory look at these, and ``training`` is (t, *Y)."""

    @property
    def raw(self) -> tuple[Samples, Samples | None]:
        """Samples and truth as they came."""
        return (self.samples, self.truth) if self.events is None else self.events


@dataclass(frozen=True, slots=True)
class Settings:
    """What a whole certificate shares; see :func:`emulant.certify.certify`."""

    seed: int
    replicates: int
    alpha: float
    level: float


def check_case(case: Case, statistics: Sequence[Statistic]) -> None:
    """Refuse what can be seen before any statistic is computed."""
    names = {s.name for s in statistics}
    unknown = sorted(set(case.exact) - names)
    if unknown:
        raise InputError(
            f"case {case.label}: exact answer for an unknown statistic {unknown[0]!r}; "
            f"known are {', '.join(sorted(names))}"
        )
    missing = sorted(names - set(case.exact))
    if case.truth is None and missing:
        raise InputError(
            f"case {case.label}, statistic {missing[0]}: neither truth nor an exact answer"
        )
    if case.truth is not None and case.truth.shape[1:] != case.samples.shape[1:]:
        raise InputError(
            f"case {case.label}: samples have shape {case.samples.shape[1:]} each, "
            f"truth {case.truth.shape[1:]}"
        )
    if case.events is not None:
        lengths = [len(events) for events in case.events]
        expected = [len(case.samples), 0 if case.truth is None else len(case.truth)]
        if lengths != expected:
            raise InputError(
                f"case {case.label}: events must number {expected[0]} and {expected[1]}, as the "
                f"samples and truth do, got {lengths[0]} and {lengths[1]}"
            )
    if case.log_weight is not None and np.shape(case.log_weight) != (len(case.samples),):
        raise InputError(
            f"case {case.label}: log_weight must have shape ({len(case.samples)},), "
            f"got {np.shape(case.log_weight)}"
        )


@dataclass(frozen=True, slots=True)
class SideOf:
    """Samples or truth of a case, ready for any statistic."""

    name: Literal["samples", "truth"]
    samples: Samples
    units: Units
    counts: Array

    @classmethod
    def of(cls, case: Case, name: Literal["samples", "truth"], settings: Settings) -> SideOf:
        """Return one side of ``case`` with its units and their bootstrap counts."""
        samples = case.samples if name == "samples" else case.truth
        groups = case.groups if name == "samples" else case.truth_groups
        assert samples is not None
        try:
            units = Units.of(len(samples), groups)
        except InputError as error:
            raise InputError(f"case {case.label}, {name}: {error}") from error
        rng = numpy_rng(settings.seed, "bootstrap", case.label, name)
        counts = bootstrap_counts(rng, units.blocks, settings.replicates)
        return cls(name, samples, units, counts)


def importance(case: Case) -> tuple[Array | None, float | None]:
    """Return the weights, largest one, or None below the floor, and ESS/n."""
    if case.log_weight is None:
        return None, None
    log_weight = np.asarray(case.log_weight, dtype=np.float64)
    if not np.all(log_weight < np.inf) or not np.any(log_weight > -np.inf):
        raise InputError(f"case {case.label}: log_weight holds NaN or infinity")
    weights = np.exp(log_weight - log_weight.max())
    ess = float(weights.sum() ** 2 / (weights**2).sum()) / len(weights)
    return (weights if ess >= ESS_FLOOR else None), ess


def named(case: Case, statistic: Statistic, side: str, work: Callable[[], Result]) -> Result:
    """Run a statistic's own code; whatever it raises becomes one line that names it."""
    where = f"case {case.label}, statistic {statistic.name}, {side}"
    try:
        return work()
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except Exception as error:
        raise InputError(f"{where}: raised {type(error).__name__}: {error}") from error
