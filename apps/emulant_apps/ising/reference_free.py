r"""Tests of samples that need no true sample: only the Hamiltonian.

**Callen's identities.** With h_i the local field, K = 1/T, and F any function of the other
spins,

.. math:: \langle s_i F \rangle = \langle F \tanh(K h_i) \rangle .

Short-ranged F see the local structure. All are blind to long wavelengths: states that had a few
local sweeps pass while ⟨|m|⟩ is still wrong. Hence

**the drift test.** A kernel that leaves exp(-E/T) invariant moves no average of true samples;
the change of each average is judged by its paired standard error.

Both take independent samples, or importance ``weights`` of independent draws.

References
----------
H. Callen, "A note on Green functions and the Ising model", Phys. Lett. 4, 161 (1963).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emulant.rng import derive
from emulant_apps.ising.hamiltonian import (
    Floats,
    Spins,
    check_spins,
    check_temperature,
    local_fields,
)
from emulant_apps.ising.jackknife import checked_weights
from emulant_apps.ising.observables import summarise
from emulant_apps.ising.simulators import sweep_heat_bath, sweep_swendsen_wang

__all__ = ["CALLEN_FUNCTIONS", "Discrepancies", "callen", "cluster_and_local", "drift"]

_CHUNK = 1 << 20  # sites handled at a time

Shorts = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Discrepancies:
    """Differences that are zero for true samples, one for each of ``names``: all (F,)."""

    names: tuple[str, ...]
    differences: Floats
    errors: Floats

    @property
    def z(self) -> Floats:
        """Differences in standard errors; 0 where both vanish."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.differences == 0, 0.0, self.differences / self.errors)

    @property
    def p_value(self) -> float:
        """Chance of so large a |z| among true samples, at most (Bonferroni)."""
        worst = float(np.abs(self.z).max())
        return min(1.0, len(self.names) * math.erfc(worst / math.sqrt(2)))


def _shifted(s: Shorts, *steps: tuple[int, int]) -> Shorts:
    total = np.zeros_like(s)
    for step in steps:
        total += np.roll(s, step, axis=(1, 2))
    return total


def _block(s: Shorts) -> Shorts:
    reach = min(2, (s.shape[1] - 1) // 2)
    span = range(-reach, reach + 1)
    rows = _shifted(s, *((i, 0) for i in span))
    return _shifted(rows, *((0, j) for j in span)) - s


CALLEN_FUNCTIONS: Mapping[str, Callable[[Shorts], Shorts]] = {
    "neighbours": lambda s: _shifted(s, (1, 0), (-1, 0), (0, 1), (0, -1)),
    "diagonals": lambda s: _shifted(s, (1, 1), (1, -1), (-1, 1), (-1, -1)),
    "two along an axis": lambda s: _shifted(s, (2, 0), (0, 2)),
    "5 x 5 block": _block,
    "farthest spin": lambda s: np.roll(s, (s.shape[1] // 2,) * 2, axis=(1, 2)),
    "all others": lambda s: s.sum(axis=(1, 2), dtype=np.int16, keepdims=True) - s,
}
"""F at every site, int16 (n, L, L), from the spins; each odd, without the spin of the site."""


def callen(
    spins: Spins,
    temperature: float,
    field: float = 0.0,
    weights: Floats | None = None,
    local_field: Callable[[Spins], Floats] | None = None,
    functions: Mapping[str, Callable[[Shorts], Shorts]] = CALLEN_FUNCTIONS,
) -> Discrepancies:
    """Return ⟨F (s_i - tanh K h_i)⟩, averaged over sites, for each F.

    ``local_field`` maps spins (n, L, L) to h_i (n, L, L) for another Hamiltonian, such that
    P(s_i | the others) ∝ exp(K h_i s_i); default: nearest neighbours and ``field``.

    >>> from emulant_apps.ising.simulators import simulate
    >>> spins = simulate(lattice=8, temperature=2.5, count=500).spins
    >>> callen(spins, 2.5).p_value > 1e-4, callen(spins, 2.2).p_value < 1e-4
    (True, True)
    """
    spins = check_spins(spins)
    check_temperature(temperature)
    if spins.shape[1] > 180:
        raise ValueError(f"'spins' must be at most 180 sites wide, got {spins.shape[1]}")
    w = checked_weights(weights, len(spins))
    rows: Floats = np.empty((len(spins), len(functions)))
    step = max(1, _CHUNK // spins.shape[1] ** 2)
    for first in range(0, len(spins), step):
        part = spins[first : first + step]
        h = local_fields(part, field) if local_field is None else local_field(part)
        residual = (part - np.tanh(h / temperature)).astype(np.float32)
        s = part.astype(np.int16)
        for k, function in enumerate(functions.values()):
            product = function(s).astype(np.float32)
            product *= residual
            rows[first : first + step, k] = product.mean(axis=(1, 2), dtype=np.float64)
    return _judge(tuple(functions), rows, w)


def cluster_and_local(
    spins: Spins, temperature: float, seed: int, field: float = 0.0, rounds: int = 2
) -> Spins:
    """Return ``spins`` after ``rounds`` of a Swendsen-Wang and a heat-bath sweep."""
    for k in range(rounds):
        spins = sweep_swendsen_wang(spins, temperature, 1, derive(seed, "cluster", k), field)
        spins = sweep_heat_bath(spins, temperature, 1, derive(seed, "local", k), field)
    return spins


def drift(
    spins: Spins,
    temperature: float,
    field: float = 0.0,
    weights: Floats | None = None,
    seed: int = 0,
    kernel: Callable[[Spins], Spins] | None = None,
) -> Discrepancies:
    """Return the change of ⟨u⟩, ⟨|m|⟩ and ⟨m²⟩ under an exact kernel.

    ``kernel`` maps spins to spins and leaves exp(-E/T) invariant; default: two rounds of
    :func:`cluster_and_local`.
    """
    spins = check_spins(spins)
    check_temperature(temperature)
    after = cluster_and_local(spins, temperature, seed, field) if kernel is None else kernel(spins)
    rows = _moments(after, field) - _moments(spins, field)
    return _judge(("u", "|m|", "m²"), rows, checked_weights(weights, len(spins)))


def _moments(spins: Spins, field: float) -> Floats:
    found = summarise(spins, field)
    order = np.abs(found.magnetisation)
    return np.stack([found.energy, order, order**2], axis=1)


def _judge(names: tuple[str, ...], rows: Floats, w: Floats) -> Discrepancies:
    """Return weighted means of ``rows`` (n, F) and their errors √(Σ w² (x - mean)²) / Σ w."""
    if len(rows) < 2:
        raise ValueError(f"'spins' must hold at least 2 samples, got {len(rows)}")
    mean = w @ rows / w.sum()
    spread = np.square(w) @ np.square(rows - mean)
    return Discrepancies(names, mean, np.sqrt(spread) / w.sum())
