r"""Samples corrected towards truth by a density ratio, and drawn again.

    w_i = p_truth(x_i) / p_samples(x_i)      estimated by :func:`classifier.ratio_log_weights`
    accept sample i with probability w_i / max_j w_j

The ratio is fitted on one half of truth and judged on the other: weights that have seen the truth
that they are judged on agree with it for the wrong reason.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from emulant.certify.case import Case
from emulant.certify.classifier import ratio_log_weights
from emulant.certify.evidence import Pair
from emulant.certify.resample import Units
from emulant.certify.statistic import Array
from emulant.errors import InputError

__all__ = ["corrected", "rejection"]


def corrected(case: Case, features: tuple[Array, Array], rng: np.random.Generator) -> Case:
    """Return the case with weights fitted on one half of truth, and the other half as truth.

    Parameters
    ----------
    features
        Features of the samples (n, K) and of truth (n_T, K) that the ratio is a function of.
    """
    if case.truth is None:
        raise InputError(f"case {case.label}: a correction needs true samples")
    x_unit = Units.of(len(case.samples), case.groups).unit
    y_unit = Units.of(len(case.truth), case.truth_groups).unit
    count = int(y_unit.max()) + 1
    fit = (rng.permutation(count) < count // 2)[y_unit]
    pair = Pair.of(
        (features[0], features[1][fit]), (x_unit, y_unit[fit]), (case.samples, case.truth[fit])
    )
    log_weight = ratio_log_weights(pair, rng)
    if log_weight is None:
        raise InputError(
            f"case {case.label}: a correction needs at least 20 independent true units, got {count}"
        )
    return dataclasses.replace(
        case,
        truth=case.truth[~fit],
        events=None if case.events is None else (case.events[0], case.events[1][~fit]),
        truth_groups=None if case.truth_groups is None else case.truth_groups[~fit],
        log_weight=log_weight,
    )


def rejection(log_weight: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the samples that are kept by rejection, in order.

    >>> rejection(np.array([0.0, -np.inf, 0.0]), np.random.default_rng(0))
    array([0, 2])
    """
    accept = np.exp(log_weight - log_weight.max())
    return np.flatnonzero(rng.random(len(accept)) < accept)
