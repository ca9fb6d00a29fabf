"""What the known probability of each state buys: weights, ln Z, and exact chains.

Notation: q(s) the emulator's probability of a state, p(s) = e^(-E(s)/T) / Z the true one, and

    ln w(s) = -E(s)/T - ln q(s),   so that   E_q[w] = Z   and   E_p[O] = E_q[w O] / E_q[w].

Sources: Nicoli et al., "Asymptotically unbiased estimation of physical observables with neural
samplers", 2020, https://arxiv.org/abs/1910.13496; Albergo, Kanwar, Shanahan, "Flow-based
generative models for Markov chain Monte Carlo in lattice field theory", 2019,
https://arxiv.org/abs/1904.12072; Kong, "A note on importance sampling using standardized
weights", 1992.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from emulant.rng import numpy_rng
from emulant_apps.ising.data import States

__all__ = [
    "FLOOR",
    "Chains",
    "Estimate",
    "bias_by_weights",
    "effective_sample_size",
    "independence_chains",
    "independence_metropolis",
    "ln_mean_weight",
    "ln_partition",
    "normalised",
    "resample",
    "resampled",
    "reweighted_mean",
]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

FLOOR = 0.1
"""Effective sample size, as a fraction of the draws, below which weights are refused."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its standard error, in the same unit."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Chains:
    """Which draw each chain ended at, and how often a proposal was taken."""

    indices: Indices
    """Index of the draw held by each chain, shape (N,)."""
    acceptance: float
    """Fraction of the proposals that were accepted."""


def normalised(log_weight: Floats) -> Floats:
    """Return w / Σ w along the last axis, without overflow.

    >>> normalised(np.array([1000.0, 1000.0])).round(12).tolist()
    [0.5, 0.5]
    """
    _require_finite(log_weight)
    return np.asarray(np.exp(log_weight - logsumexp(log_weight, axis=-1, keepdims=True)))


def effective_sample_size(log_weight: Floats) -> Floats:
    """Return (Σ w)² / (N Σ w²), a fraction in [1/N, 1], along the last axis.

    >>> round(float(effective_sample_size(np.log([1.0, 1.0, 1.0, 1.0]))), 12)
    1.0
    """
    w = normalised(log_weight)
    return np.asarray(1.0 / (w.shape[-1] * np.square(w).sum(axis=-1)))


def ln_mean_weight(log_weight: Floats) -> Estimate:
    """Return ln Z ≈ ln mean w, and its standard error sd(w) / (mean(w) √N), for (N,) weights.

    The logarithm is biased by -error²/2, which is left in: it is far below the error.

    >>> ln_mean_weight(np.full(10, 3.0))
    Estimate(value=3.0, error=0.0)
    """
    n = _draws(log_weight)
    relative = normalised(log_weight) * n
    error = float(relative.std(ddof=1) / np.sqrt(n)) if n > 1 else float("inf")
    return Estimate(float(logsumexp(log_weight) - np.log(n)), error)


def reweighted_mean(values: Floats, log_weight: Floats, floor: float = FLOOR) -> Estimate:
    """Return Σ w O / Σ w and its standard error √(Σ w² (O - mean)²) / Σ w, for (N,) values.

    Raises
    ------
    ValueError
        If the effective sample size is below ``floor``: the error itself is then unknown.
    """
    n = _draws(log_weight)
    _require_floor(float(effective_sample_size(log_weight)), n, floor)
    w = normalised(log_weight)
    mean = float(w @ values)
    return Estimate(mean, float(np.sqrt(np.square(w) @ np.square(values - mean))))


def bias_by_weights(values: Floats, log_weight: Floats, ln_z: float) -> Estimate:
    """Return ⟨O⟩_q - ⟨O⟩_p = ⟨(O - o) (1 - w / Z)⟩_q and its standard error, for (N,) values.

    Z is known exactly, so that any number o serves, here the mean; where w / Z is near one the
    error is far below that of ⟨O⟩_q. ``values`` may also be those of the draws after a kernel
    that leaves p invariant, with the weights of the draws before: ⟨K O⟩_p = ⟨O⟩_p.

    >>> bias_by_weights(np.array([1.0, 2.0, 3.0]), np.zeros(3), 0.0).value + 0.0
    0.0
    """
    n = _draws(log_weight)
    _require_finite(log_weight)
    terms = (values - values.mean()) * -np.expm1(log_weight - ln_z)
    return Estimate(float(terms.mean()), float(terms.std(ddof=1) / np.sqrt(n)))


def resampled(log_weight: Floats, rng: np.random.Generator, count: int | None = None) -> Indices:
    """Return ``count`` indices drawn in proportion to w, by systematic resampling.

    Index i comes up ⌊count w_i⌋ or ⌈count w_i⌉ times: one uniform number, least variance.
    """
    n = _draws(log_weight)
    count = n if count is None else count
    positions = (np.arange(count) + rng.uniform()) / count
    edges = np.cumsum(normalised(log_weight))
    return np.minimum(np.searchsorted(edges, positions, side="right"), n - 1)


def independence_chains(log_weight: Floats, steps: int, rng: np.random.Generator) -> Chains:
    """Run N independence-Metropolis chains of ``steps`` proposals each, on N draws from q.

    A proposal s' ~ q is accepted with probability min(1, w(s') / w(s)), which leaves p
    invariant. Chain i starts at draw i; in step k it is offered draw π(i + r_k) of a random
    cycle π with distinct shifts r_k, so that no chain is offered a draw twice.

    Raises
    ------
    ValueError
        If ``steps`` is not in [0, N).
    """
    n = _draws(log_weight)
    if not 0 <= steps < n:
        raise ValueError(f"'steps' must be in [0, {n}), the number of draws, got {steps}")
    _require_finite(log_weight)
    cycle = rng.permutation(n)
    place = np.argsort(cycle)
    state = np.arange(n)
    accepted = 0
    for shift in 1 + rng.choice(n - 1, size=steps, replace=False) if steps else ():
        proposal = cycle[(place + shift) % n]
        take = -rng.standard_exponential(n) < log_weight[proposal] - log_weight[state]
        state = np.where(take, proposal, state)
        accepted += int(take.sum())
    return Chains(state, accepted / (n * steps) if steps else 1.0)


def ln_partition(states: States) -> tuple[Estimate, ...]:
    """Return ln Z and its standard error at each temperature of weighted states."""
    return tuple(ln_mean_weight(row) for row in _weights_of(states))


def resample(states: States, seed: int) -> States:
    """Return as many states drawn in proportion to their weights, T by T, some of them twice.

    Raises
    ------
    ValueError
        If the states carry no weights, or their effective sample size is below the floor.
    """
    rows = []
    for index, log_weight in enumerate(_weights_of(states)):
        fraction = float(effective_sample_size(log_weight))
        _require_floor(fraction, len(log_weight), FLOOR)
        rows.append(resampled(log_weight, numpy_rng(seed, "ising resample", index)))
    return _picked(states, np.stack(rows), {"resampled": "in proportion to the weights"})


def independence_metropolis(states: States, steps: int, seed: int) -> States:
    """Return the states after ``steps`` proposals to each, drawn from the others of its T.

    The chains leave e^(-E/T) / Z invariant; ``notes['acceptance']`` has the fraction of
    proposals taken at each temperature.

    Raises
    ------
    ValueError
        If the states carry no weights, or ``steps`` is not below their number.
    """
    chains = [
        independence_chains(row, steps, numpy_rng(seed, "ising metropolis", index))
        for index, row in enumerate(_weights_of(states))
    ]
    notes = {"acceptance": [chain.acceptance for chain in chains], "metropolis_steps": steps}
    return _picked(states, np.stack([chain.indices for chain in chains]), notes)


def _weights_of(states: States) -> Floats:
    if states.log_weight is None:
        raise ValueError("'states' carry no log_weight; sample with sweeps=0 from a model with one")
    return states.log_weight


def _picked(states: States, rows: Indices, notes: dict[str, object]) -> States:
    spins = np.take_along_axis(states.spins, rows[:, :, None, None], axis=1)
    kept = {**states.notes, **notes, "log_weight": "dropped: the states now follow the target"}
    return replace(states, spins=spins, log_weight=None, notes=kept)


def _require_floor(fraction: float, n: int, floor: float) -> None:
    if fraction < floor:
        raise ValueError(
            f"effective sample size {fraction:.1%} of {n} draws is below the floor {floor:.0%}: "
            "the weights cannot correct this emulator"
        )


def _draws(log_weight: Floats) -> int:
    if log_weight.ndim != 1 or len(log_weight) == 0:
        raise ValueError(f"'log_weight' must have shape (N,), got {log_weight.shape}")
    return len(log_weight)


def _require_finite(log_weight: Floats) -> None:
    if not np.isfinite(log_weight).all():
        raise ValueError("'log_weight' must be finite")
