r"""Accounting for differential privacy, and columns' margins that honour it.

Notation: a *mechanism* is T steps of the Poisson-subsampled Gaussian mechanism: noise multiplier
sigma, sampling rate q (1 for the whole table). Neighbouring tables differ by one patient more or
less; their number n counts as public. Epsilon at delta is what opacus's RDP accountant says of all
mechanisms together.

Margins: each of d columns of numbers is counted in ``BINS`` equal bins between public ends, and
N(0, sigma^2 d) is added to all counts: one patient adds at most 1 to one bin of each column, a
vector of norm sqrt(d). Negative counts become zero; cumulated shares are the column's quantiles.

- Mironov, Renyi Differential Privacy, 2017, https://arxiv.org/abs/1702.07476
- Mironov, Talwar and Zhang, Renyi Differential Privacy of the Sampled Gaussian Mechanism, 2019,
  https://arxiv.org/abs/1908.10530
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from emulant.errors import InputError
from emulant_apps.records.copula import Quantiles

__all__ = ["Mechanism", "epsilon_of", "noise_for", "private_margins"]

Array = NDArray[np.float64]

BINS = 32
FEWEST = 1e-3
"""Share of a column that an empty bin keeps."""
MARGINS_SHARE = 0.3
"""Part of epsilon that the margins alone may take."""
SIGMAS = (0.3, 2000.0)
"""Noise multipliers between which one is looked for."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """Steps of a subsampled Gaussian mechanism."""

    noise: float
    """sigma"""
    rate: float
    """q"""
    steps: int
    """T"""


def epsilon_of(mechanisms: Sequence[Mechanism], delta: float) -> float:
    """Return the epsilon of all ``mechanisms`` together.

    Raises
    ------
    InputError
        opacus, which keeps the account, is not installed.
    """
    try:
        from opacus.accountants import RDPAccountant  # type: ignore[import-untyped]  # it ships none
    except ModuleNotFoundError:
        raise InputError("--epsilon: needs opacus; pip install emulant[privacy]") from None
    accountant = RDPAccountant()
    accountant.history = [(m.noise, m.rate, m.steps) for m in mechanisms]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an order at the end of the list only loosens the bound
        return float(accountant.get_epsilon(delta=delta))


def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> tuple[float, float]:
    """Return the least sigmas, of margins and of training, that stay within ``epsilon``.

    Raises
    ------
    InputError
        No noise multiplier up to 2,000 is enough, or opacus is not installed.
    """
    margins = _least(lambda s: [Mechanism(s, 1.0, 1)], MARGINS_SHARE * epsilon, delta)
    first = Mechanism(margins, 1.0, 1)
    return margins, _least(lambda s: [first, Mechanism(s, rate, steps)], epsilon, delta)


def _least(mechanisms: Callable[[float], list[Mechanism]], epsilon: float, delta: float) -> float:
    """Return the least sigma, to a thousandth of itself, on the safe side."""
    low, high = SIGMAS
    if epsilon_of(mechanisms(high), delta) > epsilon:
        raise InputError(f"--epsilon: {epsilon:g} cannot be kept; raise it, or lower --steps")
    while high > 1.001 * low:
        middle = (low * high) ** 0.5
        if epsilon_of(mechanisms(middle), delta) > epsilon:
            low = middle
        else:
            high = middle
    return high


def private_margins(
    x: Array, low: Array, high: Array, noise: float, rng: np.random.Generator
) -> Quantiles:
    """Return noised quantiles of the columns of ``x`` (n, d), NaN where missing.

    Arguments
    ---------
    low, high : public ends (d,); what lies outside is drawn in.
    noise : sigma.
    """
    width = x.shape[1]
    values, scores, starts = [], [], [0]
    for j in range(width):
        edges = np.linspace(low[j], high[j], BINS + 1)
        seen = np.clip(x[~np.isnan(x[:, j]), j], low[j], high[j])
        counts = np.histogram(seen, edges)[0] + noise * np.sqrt(width) * rng.standard_normal(BINS)
        share = np.maximum(counts, 0.0)
        share = share / share.sum() if share.any() else np.full(BINS, 1.0 / BINS)
        share = np.maximum(share, FEWEST)
        risen = np.r_[0.0, np.cumsum(share / share.sum())]
        values.append(edges)
        scores.append(norm.ppf(np.clip(risen, FEWEST / 2, 1 - FEWEST / 2)))
        starts.append(starts[-1] + len(edges))
    return Quantiles(np.concatenate(values), np.concatenate(scores), np.array(starts, np.int64))
