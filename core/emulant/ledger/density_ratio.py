r"""Known answers of the logistic density ratio.

Truth N(mu, I), samples N(0, I) in five dimensions: ``log r(x) = mu . x - |mu|^2 / 2``,
``KL(p || q) = |mu|^2 / 2`` and, for the weights w, the effective share
``1 / E_q[r^2] = exp(-|mu|^2)``.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from emulant.certify.page import Figure
from emulant.ledger.check import Check, Measure, Outcome, error
from emulant.ledger.pictures import Array, curves
from emulant.ratio import fit_ratio
from emulant.rng import numpy_rng

__all__ = ["CHECKS"]

MU = np.full(5, 0.5)
EVENTS = 20_000


def two_normals(seed: int) -> Outcome:
    """Fit the ratio of two normal laws and compare it with the exact one."""
    rng = numpy_rng(seed, "ledger", "density-ratio")
    samples, truth, new = (rng.standard_normal((n, 5)) for n in (EVENTS, EVENTS, 4000))
    ratio = fit_ratio(samples, truth + MU, seed)
    got, exact = ratio.log_ratio(new), new @ MU - MU @ MU / 2
    weights = ratio.weights()
    corrected = (weights.weight[:, None] * samples).mean(0)
    agreement = float(np.corrcoef(got, exact)[0, 1])
    deviation = float(np.sqrt(np.mean((got - exact) ** 2)))
    bias = float(np.abs(corrected - MU).max())
    share = float(np.exp(-MU @ MU))
    return Outcome(
        (
            Measure("KL(truth || samples), nats", float(MU @ MU) / 2, ratio.kl(), 0.035),
            Measure("correlation with the exact log r", 1.0, agreement, 0.005, ">="),
            error("rms error of log r, nats", deviation, 0.15),
            error("miscalibration of P(truth)", ratio.miscalibration(), 0.015),
            error("largest error of the corrected mean", bias, 0.08),
            Measure("effective share of the weights", share, weights.effective),
        ),
        partial(_picture, exact[::8], got[::8]),
    )


def _picture(exact: Array, got: Array) -> list[Figure]:
    order = np.argsort(exact)
    lines = {"exact": exact[order], "logistic": got[order]}
    axes = ("exact log r, nats", "log r, nats")
    return [curves(exact[order], lines, axes, "Log ratio", dots=("logistic",))]


CHECKS = (
    Check(
        "two-normals",
        "density-ratio",
        two_normals,
        "The log ratio of two normal laws, and their KL divergence, are recovered and calibrated.",
        "The mean of the exact log r over 20,000 true events scatters by 0.008 nats, so that "
        "0.035 is four standard errors; the others are two to four times the worst of 5 seeds.",
    ),
)
