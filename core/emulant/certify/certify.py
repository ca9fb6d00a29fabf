r"""Judge samples against truth, statistic by statistic, with error bars and controls.

Per case, statistic and bin:

    θ_S, s_S, ν_S    estimate from the samples           (:mod:`emulant.certify.resample`)
    θ_T, s_T, ν_T    the same from truth, or the exact answer with s_T = 0
    b = θ_S − θ_T    bias, interval, effect b/τ, worth n*, verdict  (:mod:`emulant.certify.judge`)

and beside it the control: the difference of two random halves of truth, whose standard error is
2 s_T; truth against the exact answer where both are given; or, with nothing but the exact answer,
the spread of as many true samples. Its floor is the half width that a perfect emulator would
have, t √(σ²/G_S + s_T²).

With log importance weights the same is computed for θ_W = r(f, w), w = exp(log_weight), with the
effective sample size ESS = (Σw)²/Σw² (Kong 1992); it is shown beside the raw samples, and refused
when ESS < 0.10 n. The raw samples are what the status judges.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emulant.certify import judge
from emulant.certify.case import Case, Settings, SideOf, check_case, importance
from emulant.certify.certificate import (
    Bin,
    CaseReport,
    Certificate,
    Check,
    Reweighted,
    StatisticReport,
    Verdict,
)
from emulant.certify.codec import tidy
from emulant.certify.compare import Comparison, Draft, compare, label_of
from emulant.certify.evidence import TwoSample
from emulant.certify.statistic import Array, Samples, Statistic
from emulant.certify.whole import Found, compare_whole, finished, overlap_of, pair_of
from emulant.certify.words import tolerance_words
from emulant.errors import InputError
from emulant.parallel import worker_count

__all__ = ["certify"]

Features: TypeAlias = Callable[[Samples], NDArray[Any]]


def certify(
    cases: Sequence[Case],
    statistics: Sequence[Statistic],
    seed: int,
    *,
    replicates: int = 1000,
    alpha: float = 0.05,
    level: float = 0.95,
    workers: int | None = 1,
    comparisons: Sequence[TwoSample] = (),
    features: Features | None = None,
    checks: Sequence[Check] = (),
    title: str = "Certificate",
    notes: Sequence[str] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Certificate:
    """Return the certificate of ``cases`` under ``statistics``.

    Parameters
    ----------
    replicates
        Bootstrap replicates.
    alpha
        Bound on the probability of any false *fail* among all bins of all cases (Holm).
    level
        Level of the intervals; a pass is an interval inside the tolerance.
    workers
        Threads over cases; None for every core. The result does not depend on it.
    comparisons
        Comparisons of samples and truth as a whole, such as :data:`emulant.certify.STANDARD`;
        those with a tolerance are judged in the same family. Cases without truth have none.
    features
        Their feature space, samples (n, *X) -> (n, K); by default the samples themselves when they
        are small, else the features of all statistics.

    Raises
    ------
    InputError
        A case or a statistic cannot be judged; the message names both.

    Example
    -------
    >>> from emulant.certify import Case, Statistic, Tolerance, certify
    >>> rng = np.random.default_rng(0)
    >>> mean = Statistic("mean", lambda x: x[:, None], tolerance=Tolerance(0.1))
    >>> case = Case("toy", rng.normal(0.5, 1, 4000), truth=rng.normal(0, 1, 4000))
    >>> certify([case], [mean], seed=0).verdict
    'fail'
    """
    if not cases or not statistics:
        raise ValueError("'cases' and 'statistics' must not be empty")
    if not 0 < alpha < 1 or not 0.5 < level < 1 or replicates < 10:
        raise ValueError(
            "'alpha' must lie in (0, 1), 'level' in (0.5, 1) and 'replicates' be at least 10, "
            f"got {alpha}, {level}, {replicates}"
        )
    _unique("case", [c.label for c in cases])
    _unique("statistic", [s.name for s in statistics])
    settings = Settings(seed, replicates, alpha, level)
    with ThreadPoolExecutor(worker_count(workers)) as pool:
        jobs = list(
            pool.map(lambda case: _job(case, statistics, comparisons, features, settings), cases)
        )
    reports = _judged(jobs, settings)
    return Certificate(
        title, reports, tuple(checks), seed, replicates, alpha, level, tuple(notes),
        dict(provenance or {}),
    )  # fmt: skip


def _unique(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two of the same {what}: {', '.join(twice)}")


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A case with all its estimates, before the family is known."""

    report: CaseReport
    drafts: tuple[Draft, ...]
    found: tuple[Found, ...]


def _job(
    case: Case,
    statistics: Sequence[Statistic],
    comparisons: Sequence[TwoSample],
    features: Features | None,
    settings: Settings,
) -> _Job:
    check_case(case, statistics)
    samples = SideOf.of(case, "samples", settings)
    truth = None if case.truth is None else SideOf.of(case, "truth", settings)
    share = overlap_of(case)
    weights, ess = importance(case)
    drafts = tuple(compare(case, s, samples, truth, weights, settings) for s in statistics)
    found: list[Found] = []
    if truth is not None and comparisons:
        pair = pair_of(case, samples, truth, statistics, features)
        found = compare_whole(case, pair, comparisons, settings)
    report = CaseReport(
        label=case.label,
        context=dict(case.context),
        extrapolated=case.extrapolated,
        samples=len(samples.samples),
        units=samples.units.count,
        truth_samples=0 if truth is None else len(truth.samples),
        truth_units=0 if truth is None else truth.units.count,
        reweighting="none" if ess is None else "refused" if weights is None else "used",
        ess=None if ess is None else tidy(ess),
        statistics=(),
        training_samples=0 if case.training is None else len(case.training),
        overlap=share,
    )
    return _Job(report, drafts, tuple(found))


def _judged(jobs: list[_Job], settings: Settings) -> tuple[CaseReport, ...]:
    """Adjust all p-values together, and return the reports."""
    comparisons = [d.raw for job in jobs for d in job.drafts if d.raw.p_value is not None]
    found = [f for job in jobs for f in job.found if f.p_value is not None]
    p = [c.p_value for c in comparisons if c.p_value is not None]
    p.append(np.array([f.p_value for f in found], dtype=np.float64))
    adjusted = judge.holm(np.concatenate(p))
    ends = np.cumsum([len(x) for x in p])
    raw = _split(comparisons, adjusted, ends)
    whole = {
        id(f): float(q) for f, q in zip(found, adjusted[len(adjusted) - len(found) :], strict=True)
    }
    others = [d.reweighted for job in jobs for d in job.drafts if d.reweighted is not None]
    judged = [c for c in others if c.p_value is not None]
    q = [c.p_value for c in judged if c.p_value is not None]
    reweighted = (
        _split(judged, judge.holm(np.concatenate(q)), np.cumsum([len(x) for x in q])) if q else {}
    )
    return tuple(
        dataclasses.replace(
            job.report,
            statistics=tuple(_statistic_report(d, raw, reweighted, settings) for d in job.drafts),
            distances=tuple(finished(f, whole.get(id(f)), settings) for f in job.found),
        )
        for job in jobs
    )


def _split(
    comparisons: Sequence[Comparison], adjusted: Array, ends: NDArray[np.int64]
) -> dict[int, Array]:
    """Return each comparison's share of the adjusted p-values, by its identity."""
    return {
        id(c): adjusted[end - c.bias.size : end]
        for c, end in zip(comparisons, ends[: len(comparisons)], strict=True)
    }


def _verdicts(
    comparison: Comparison, adjusted: Mapping[int, Array], settings: Settings
) -> list[Verdict]:
    if comparison.tolerance is None:
        return ["reported"] * comparison.bias.size
    passes = judge.within(
        comparison.bias, comparison.error, comparison.dof, comparison.tolerance, settings.level
    )
    return judge.verdicts(adjusted[id(comparison)] <= settings.alpha, passes)


def _statistic_report(
    draft: Draft,
    raw: Mapping[int, Array],
    reweighted: Mapping[int, Array],
    settings: Settings,
) -> StatisticReport:
    statistic, c = draft.statistic, draft.raw
    words = _verdicts(c, raw, settings)
    weighted = (
        None if draft.reweighted is None else _reweighted(draft.reweighted, reweighted, settings)
    )

    def at(array: Array | None, m: int) -> Any:
        return None if array is None else tidy(float(array[m]))

    def ratio(x: Array) -> Array | None:
        return None if c.tolerance is None else x / c.tolerance

    p_adjusted = raw.get(id(c))
    bins = tuple(
        Bin(
            label=label_of(statistic, m),
            estimate=at(c.estimate.value, m),
            error=at(c.estimate.error, m),
            reference=at(c.reference, m),
            reference_error=at(c.reference_error, m),
            bias=at(c.bias, m),
            bias_error=at(c.error, m),
            dof=at(c.dof, m),
            low=at(c.bias - c.half, m),
            high=at(c.bias + c.half, m),
            tolerance=at(c.tolerance, m),
            effect=at(ratio(c.bias), m),
            effect_low=at(ratio(c.bias - c.half), m),
            effect_high=at(ratio(c.bias + c.half), m),
            scatter=at(c.scatter, m),
            worth=at(c.worth.value, m),
            worth_low=at(c.worth.low, m),
            worth_high=at(c.worth.high, m),
            p_value=at(c.p_value, m),
            p_adjusted=at(p_adjusted, m),
            needed=at(c.needed, m),
            verdict=words[m],
            control=draft.controls[m],
            reweighted=None if weighted is None else weighted[m],
        )
        for m in range(c.bias.size)
    )
    return StatisticReport(
        statistic.name, statistic.unit, statistic.description,
        tolerance_words(statistic.tolerance, statistic.unit), bins,
    )  # fmt: skip


def _reweighted(
    c: Comparison, adjusted: Mapping[int, Array], settings: Settings
) -> tuple[Reweighted, ...]:
    words = _verdicts(c, adjusted, settings)

    def at(array: Array, m: int) -> float:
        return tidy(float(array[m]))

    return tuple(
        Reweighted(
            estimate=at(c.estimate.value, m),
            error=at(c.estimate.error, m),
            bias=at(c.bias, m),
            low=at(c.bias - c.half, m),
            high=at(c.bias + c.half, m),
            effect=None if c.tolerance is None else at(c.bias / c.tolerance, m),
            worth=at(c.worth.value, m),
            verdict=words[m],
        )
        for m in range(c.bias.size)
    )
