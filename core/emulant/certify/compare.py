"""One statistic of one case: the estimates, their difference from truth, and the controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from emulant.certify import judge
from emulant.certify.case import Case, Settings, SideOf, named
from emulant.certify.certificate import Control
from emulant.certify.codec import tidy
from emulant.certify.resample import Estimate, estimate, halves
from emulant.certify.statistic import Array, Statistic
from emulant.errors import InputError
from emulant.rng import numpy_rng

__all__ = ["Comparison", "Draft", "compare", "label_of"]

FEW = 100
"""Independent units below which an error is held against the other side's scatter."""

INCREDIBLE = 0.1


@dataclass(frozen=True, slots=True)
class Draft:
    """What one statistic of one case gives before the family is known."""

    statistic: Statistic
    raw: Comparison
    reweighted: Comparison | None
    controls: tuple[Control, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An estimate against its reference, per bin; all arrays (M,)."""

    estimate: Estimate
    reference: Array
    reference_error: Array
    bias: Array
    error: Array
    dof: Array
    half: Array
    scatter: Array
    worth: judge.Worth
    tolerance: Array | None
    p_value: Array | None
    needed: Array | None


def compare(
    case: Case,
    statistic: Statistic,
    samples: SideOf,
    truth: SideOf | None,
    weights: Array | None,
    settings: Settings,
) -> Draft:
    """Return everything about one statistic of one case except Holm's adjustment."""

    def measure(side: SideOf, rows: NDArray[Any], w: Array) -> Estimate:
        return named(case, statistic, side.name, lambda: _scaled(case, statistic, side, rows, w))

    rows = _rows(case, statistic, samples)
    raw = measure(samples, rows, np.ones(len(rows)))
    true, control_halves = None, None
    if truth is not None:
        true_rows = _rows(case, statistic, truth)
        ones = np.ones(len(true_rows))
        true = measure(truth, true_rows, ones)
        rng = numpy_rng(settings.seed, "halves", case.label)
        control_halves = named(
            case, statistic, "half of truth",
            lambda: halves(statistic, true_rows, ones, truth.units, rng)
            * statistic.factor(case.context),
        )  # fmt: skip
    exact = _exact(case, statistic, raw)
    comparison = _against(case, statistic, raw, true, exact, raw.scatter, settings)
    reweighted = None
    if weights is not None:
        theta = measure(samples, rows, weights)
        reweighted = _against(case, statistic, theta, true, exact, raw.scatter, settings)
    controls = _controls(raw, true, exact, control_halves, settings.level)
    return Draft(statistic, comparison, reweighted, controls)


def _rows(case: Case, statistic: Statistic, side: SideOf) -> NDArray[Any]:
    rows = named(case, statistic, side.name, lambda: statistic.rows(side.samples))
    if statistic.whole:
        return rows
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"case {case.label}, statistic {statistic.name}, {side.name}: NaN or infinity in "
            f"{int(bad.sum())} of {len(rows)} samples, first in sample {first}"
        )
    return rows


def _scaled(
    case: Case, statistic: Statistic, side: SideOf, rows: NDArray[Any], weights: Array
) -> Estimate:
    """Return the estimate times the statistic's factor for this case's context."""
    theta = estimate(statistic, rows, weights, side.units, side.counts)
    factor = statistic.factor(case.context)
    scaled = Estimate(theta.value * factor, theta.error * np.abs(factor), theta.dof, theta.units)
    if not (np.isfinite(scaled.value).all() and np.isfinite(scaled.error).all()):
        raise InputError("the statistic is NaN or infinite")
    return scaled


def _exact(case: Case, statistic: Statistic, like: Estimate) -> Array | None:
    if statistic.name not in case.exact:
        return None
    answer = np.atleast_1d(np.asarray(case.exact[statistic.name], dtype=np.float64))
    if answer.shape != like.value.shape or not np.isfinite(answer).all():
        raise InputError(
            f"case {case.label}, statistic {statistic.name}: the exact answer must be "
            f"{like.value.size} finite number(s), got shape {answer.shape}"
        )
    return answer


def _against(
    case: Case,
    statistic: Statistic,
    theta: Estimate,
    true: Estimate | None,
    exact: Array | None,
    own_scatter: Array,
    settings: Settings,
) -> Comparison:
    """Return an estimate's comparison with the exact answer, or else with truth."""
    if exact is not None:
        reference, reference_error = exact, np.zeros_like(exact)
        reference_dof = np.full_like(exact, np.inf)
    else:
        assert true is not None
        reference, reference_error, reference_dof = true.value, true.error, true.dof
    scatter, scatter_dof = (own_scatter, theta.dof) if true is None else (true.scatter, true.dof)
    own, own_dof = theta.error, theta.dof
    if true is not None:
        own, own_dof = _floored(theta, true.scatter)
        if exact is None:
            reference_error, reference_dof = _floored(true, own_scatter)
    error, dof = judge.welch(own, own_dof, reference_error, reference_dof)
    _refuse_constant(case, statistic, error)
    bias = theta.value - reference
    half = judge.half_width(error, dof, settings.level)
    tolerance = p_value = needed = None
    if statistic.tolerance is not None:
        tolerance = _tolerance(case, statistic, reference, scatter)
        p_value = judge.exceeds(bias, error, dof, tolerance)
        variance = theta.scatter**2 + (scatter**2 if exact is None else 0.0)
        needed = judge.needed(bias, tolerance, error, variance, settings.level)
    return Comparison(
        theta, reference, reference_error, bias, error, dof, half, scatter,
        judge.worth(bias, half, scatter, scatter_dof, settings.level),
        tolerance, p_value, needed,
    )  # fmt: skip


def _floored(theta: Estimate, scatter: Array) -> tuple[Array, Array]:
    """Return an estimate's error and degrees of freedom, mended where the error is incredible.

    Few units, or units all alike in a bin, do not show their own scatter: by chance they lie as
    close together as they lie far from the truth. An error below what one in ten samples of normal
    units with the other side's ``scatter`` would show is replaced by that scatter's.
    """
    freedom = theta.units - 1.0
    floor = scatter / np.sqrt(theta.units)
    credible = np.sqrt(chdtri(freedom, 1.0 - INCREDIBLE) / freedom) if theta.units < FEW else 0.0
    unsure = theta.error <= credible * floor
    dof = np.where(theta.error == 0, freedom, theta.dof)
    return np.where(unsure, floor, theta.error), dof


def label_of(statistic: Statistic, index: int) -> str:
    """Return the label of a bin, empty for a single number."""
    return statistic.labels[index] if statistic.labels else ""


def _refuse_constant(case: Case, statistic: Statistic, error: Array) -> None:
    if np.any(error == 0):
        label = label_of(statistic, int(np.argmax(error == 0)))
        raise InputError(
            f"case {case.label}, statistic {statistic.name}{f', bin {label}' if label else ''}: "
            "constant, so that it has no standard error; drop or merge the bin"
        )


def _tolerance(case: Case, statistic: Statistic, truth: Array, scatter: Array) -> Array:
    assert statistic.tolerance is not None
    value = np.asarray(statistic.tolerance.value)
    where = f"case {case.label}, statistic {statistic.name}"
    if value.ndim and value.shape != truth.shape:
        raise InputError(f"{where}: {value.size} tolerances for {truth.size} bins")
    tolerance = statistic.tolerance.width(truth, scatter)
    if np.any(tolerance <= 0):
        label = label_of(statistic, int(np.argmax(tolerance <= 0)))
        raise InputError(
            f"{where}, bin {label or 1}: a {statistic.tolerance.kind} tolerance of a quantity that "
            "is zero in truth; set an absolute tolerance"
        )
    return tolerance


def _controls(
    raw: Estimate, true: Estimate | None, exact: Array | None, split: Array | None, level: float
) -> tuple[Control, ...]:
    kind: Literal["truth against truth", "truth against exact", "spread of exact samples"]
    if true is None:
        kind, difference, error, dof = (
            "spread of exact samples", np.zeros_like(raw.value), raw.error, raw.dof,
        )  # fmt: skip
        floor = judge.half_width(raw.error, raw.dof, level)
    else:
        if exact is not None:
            kind, difference, error = "truth against exact", true.value - exact, true.error
            variance = true.scatter**2 / raw.units
        else:
            assert split is not None
            kind, difference, error = "truth against truth", split, 2 * true.error
            variance = true.scatter**2 / raw.units + true.error**2
        dof = true.dof
        floor = judge.half_width(np.sqrt(variance), dof, level)
    half = judge.half_width(error, dof, level)
    return tuple(
        Control(kind, *(tidy(float(x)) for x in numbers))
        for numbers in zip(difference, difference - half, difference + half, floor, strict=True)
    )
