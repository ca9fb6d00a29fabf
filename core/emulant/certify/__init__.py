"""A calibrated verdict on samples: how wrong, how well known, and whether it is enough.

A :class:`Statistic` measures samples, a :class:`Tolerance` says what its owner allows, a
:class:`Case` brings samples and truth together, and :func:`certify` judges: bias with interval,
control, worth in true samples, and a verdict whose error rates are stated in
:mod:`emulant.certify.judge`. :mod:`emulant.certify.page` turns results into one page of HTML.
"""

from emulant.certify.case import ESS_FLOOR, Case
from emulant.certify.certificate import (
    SCHEMA,
    Bin,
    CaseReport,
    Certificate,
    Check,
    Control,
    Distance,
    Reweighted,
    StatisticReport,
    Verdict,
)
from emulant.certify.certify import certify
from emulant.certify.covariance import correlations, parameter_errors, variances
from emulant.certify.evidence import TwoSample
from emulant.certify.statistic import (
    FunctionOfMeans,
    Statistic,
    Tolerance,
    weighted_mean,
)
from emulant.certify.whole import STANDARD

__all__ = [
    "ESS_FLOOR",
    "SCHEMA",
    "STANDARD",
    "Bin",
    "Case",
    "CaseReport",
    "Certificate",
    "Check",
    "Control",
    "Distance",
    "FunctionOfMeans",
    "Reweighted",
    "Statistic",
    "StatisticReport",
    "Tolerance",
    "TwoSample",
    "Verdict",
    "certify",
    "correlations",
    "parameter_errors",
    "variances",
    "weighted_mean",
]
