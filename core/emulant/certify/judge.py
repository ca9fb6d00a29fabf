r"""When is a bias a fault? The decisions of a certificate, as formulae.

Notation, per bin: bias b = θ_samples − θ_truth with standard error s on ν degrees of freedom,

    s² = s_S² + s_T²,   ν = s⁴ / (s_S⁴/ν_S + s_T⁴/ν_T)      (Welch; s_T = 0 for an exact answer)

tolerance τ, true bias β, t_ν Student's variable and t_q its quantile.

**Interval.**  b ± t_{(1+level)/2} s.

**Fail** rejects |β| ≤ τ. The largest probability of |b| under that hypothesis is at |β| = τ:

    p = P(t_ν ≥ (|b|−τ)/s) + P(t_ν ≥ (|b|+τ)/s)

(one-sided when τ ≫ s, the usual two-sided p-value as τ → 0). Over *all* bins of all statistics of
all cases p is adjusted by Holm's step-down; *fail* means adjusted p ≤ α. The chance that a
certificate calls anything a fault when every |β| ≤ τ is then at most α, however many bins it has.

**Pass** rejects |β| ≥ τ by two one-sided tests (Schuirmann 1987): the interval lies inside ±τ. The
interval is the *per-bin* one, for the overall claim "all within tolerance" is an intersection-union
test (Berger 1982): if any |β| exceeds its τ, the certificate says pass with probability at most
(1 − level)/2, without any correction. False faults and false passes are thus both bounded.

**Underpowered** otherwise: these samples can tell neither. Needed are the n units of samples, and
as many of truth unless the answer is exact, with s(n) = d / (t_{(1+level)/2} + t_{0.95}), where
d = τ (an unbiased emulator would pass nine times of ten), or d = |τ − |b||
when n suffices for that.

**Worth** n* = (σ/b)², σ the scatter of one true unit: how many independent true samples carry a
standard error as large as the bias. Its interval is that of |b|, and in quadrature on the log scale
that of σ², whose relative error is √(2/ν); the upper end is infinite if the interval of b holds 0.

References: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6 (1979);
Berger, Multiparameter hypothesis testing and acceptance sampling, Technometrics 24 (1982);
Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

from emulant.certify.statistic import Array
from emulant.certify.verdict import Verdict

__all__ = [
    "Worth",
    "exceeds",
    "half_width",
    "holm",
    "needed",
    "verdict_of_number",
    "verdicts",
    "welch",
    "within",
    "worth",
]

POWER_TAIL = 0.95
"""An unbiased emulator passes with probability 2·0.95 − 1 = 0.9 at the n that is called needed."""


@dataclass(frozen=True, slots=True)
class Worth:
    """n* = (σ/b)² with its interval, each (M,); the upper end may be infinite."""

    value: Array
    low: Array
    high: Array


def welch(error: Array, dof: Array, error_truth: Array, dof_truth: Array) -> tuple[Array, Array]:
    """Return (s, ν) of a difference of two independent estimates, each (M,)."""
    variance = error**2 + error_truth**2
    spread = error**4 / dof + error_truth**4 / dof_truth
    freedom = np.minimum(dof, dof_truth)
    np.divide(variance**2, spread, out=freedom, where=spread > 0)
    return np.sqrt(variance), freedom


def half_width(error: Array, dof: Array, level: float) -> Array:
    """Return t_{(1+level)/2} s.

    >>> half_width(np.array([1.0]), np.array([1e9]), 0.95).round(3)
    array([1.96])
    """
    return np.asarray(stdtrit(dof, 0.5 * (1.0 + level)) * error, dtype=np.float64)


def exceeds(bias: Array, error: Array, dof: Array, tolerance: Array) -> Array:
    """Return the p-value of |β| ≤ τ, valid at the boundary |β| = τ.

    >>> far = np.array([1e9])
    >>> exceeds(np.array([1.96]), np.ones(1), far, np.zeros(1)).round(3)  # two-sided at τ = 0
    array([0.05])
    >>> exceeds(np.array([101.645]), np.ones(1), far, np.array([100.0])).round(3)
    array([0.05])
    """
    size = np.abs(bias)
    tails = stdtr(dof, -(size - tolerance) / error) + stdtr(dof, -(size + tolerance) / error)
    return np.asarray(np.minimum(tails, 1.0), dtype=np.float64)


def within(
    bias: Array, error: Array, dof: Array, tolerance: Array, level: float
) -> NDArray[np.bool_]:
    """Return whether the interval lies inside ±τ."""
    return np.abs(bias) + half_width(error, dof, level) <= tolerance


def holm(p: Array) -> Array:
    """Return Holm's adjusted p-values: p̃_(k) = max_{j≤k} min(1, (m−j+1) p_(j)).

    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, (len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted


def needed(bias: Array, tolerance: Array, error: Array, variance: Array, level: float) -> Array:
    """Return the number of units that would resolve the tolerance, shape (M,).

    Parameters
    ----------
    variance
        Variance of b times n: σ_S² + σ_T², or σ_S² when the answer is exact.
    """
    quantiles = ndtri(0.5 * (1.0 + level)) + ndtri(POWER_TAIL)
    resolved = quantiles * error <= tolerance
    distance = np.where(resolved, np.abs(tolerance - np.abs(bias)), tolerance)
    n = np.full_like(bias, np.inf)
    np.divide(variance * quantiles**2, distance**2, out=n, where=distance > 0)
    return np.ceil(n)


def worth(bias: Array, half: Array, scatter: Array, dof: Array, level: float) -> Worth:
    """Return n* = (σ/b)² with its interval.

    Parameters
    ----------
    half
        Half width of the interval of b.
    scatter, dof
        σ of one true unit and the degrees of freedom of its square.
    """
    size = np.abs(bias)
    nearest, farthest = np.maximum(size - half, 0.0), size + half
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (scatter / size) ** 2
        below = 2 * np.log(farthest / size)
        above = 2 * np.log(size / nearest)
        own = stdtrit(dof, 0.5 * (1.0 + level)) * np.sqrt(2.0 / dof)
        widened = np.exp(np.where(np.isfinite(below), below - np.hypot(below, own), 0.0))
        low = (scatter / farthest) ** 2 * widened
        high = np.where(nearest > 0, value * np.exp(np.hypot(above, own)), np.inf)
    return Worth(np.where(size > 0, value, np.inf), low, high)


def verdict_of_number(
    bias: float, error: float, tolerance: float, family: int, alpha: float, level: float
) -> Verdict:
    """Return the verdict on a single number with a normal error, one of ``family`` such."""
    if not error > 0 or not tolerance > 0:
        raise ValueError(f"'error' and 'tolerance' must be positive, got {error} and {tolerance}")
    b, s, tau, many = (np.array([x]) for x in (bias, error, tolerance, 1e9))
    fails = exceeds(b, s, many, tau) * family <= alpha
    return verdicts(fails, within(b, s, many, tau, level))[0]


def verdicts(fails: NDArray[np.bool_], passes: NDArray[np.bool_]) -> list[Verdict]:
    """Return the verdict of each bin; no bin both fails and passes."""
    words: dict[tuple[bool, bool], Verdict] = {
        (False, False): "underpowered",
        (False, True): "pass",
    }
    return [words.get((bool(f), bool(p)), "fail") for f, p in zip(fails, passes, strict=True)]
