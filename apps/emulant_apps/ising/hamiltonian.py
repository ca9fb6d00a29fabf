r"""The Hamiltonian of the two-dimensional Ising ferromagnet on the periodic square lattice.

.. math:: E(s) = -J \sum_{\langle ij \rangle} s_i s_j - h \sum_i s_i, \qquad s_i = \pm 1

Notation: L lattice side, N = L² sites, J = k_B = 1, T temperature, K = 1/T coupling, h field,
u = E/N energy per spin, m = Σ_i s_i / N magnetisation per spin, h_i the local field, so that
P(s_i | the others) ∝ exp(K h_i s_i). Spins are int8 of ±1 with shape (n, L, L).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from emulant.compiled import kernel

__all__ = [
    "T_C",
    "Floats",
    "Ints",
    "Spins",
    "bond_sums",
    "check_lattice",
    "check_spins",
    "check_temperature",
    "energies",
    "local_fields",
    "magnetisations",
    "neighbours",
    "spin_sums",
]

T_C = 2.0 / math.log1p(math.sqrt(2.0))
"""Critical temperature of the infinite lattice, sinh(2/T) = 1 (Kramers and Wannier 1941)."""

Spins: TypeAlias = npt.NDArray[np.int8]
Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]


def check_spins(spins: Spins) -> Spins:
    """Return ``spins``, contiguous, or raise ValueError unless they are int8 of shape (n, L, L)."""
    if spins.dtype != np.int8:
        raise ValueError(f"'spins' must be int8, got {spins.dtype}")
    if spins.ndim != 3 or spins.shape[1] != spins.shape[2]:
        raise ValueError(f"'spins' must have shape (n, L, L), got {spins.shape}")
    return np.ascontiguousarray(spins)


def check_lattice(lattice: int) -> None:
    """Raise ValueError unless the side is even, as the two sublattices of a checkerboard need."""
    if lattice < 2 or lattice % 2:
        raise ValueError(f"'lattice' must be an even number of at least 2, got {lattice}")


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless 0 < T < ∞."""
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"'temperature' must be positive and finite, got {temperature}")


@lru_cache(maxsize=32)
def neighbours(lattice: int) -> npt.NDArray[np.int32]:
    """Return the sites below, above, right and left of each site, int32 (N, 4), read-only.

    Site i L + j is row i, column j.
    """
    row, column = np.divmod(np.arange(lattice * lattice), lattice)
    table = np.stack(
        [
            (row + 1) % lattice * lattice + column,
            (row - 1) % lattice * lattice + column,
            row * lattice + (column + 1) % lattice,
            row * lattice + (column - 1) % lattice,
        ],
        axis=1,
    ).astype(np.int32)
    table.flags.writeable = False
    return table


@kernel
def _bond_sums(spins: Spins, out: Ints) -> None:
    n, side = spins.shape[0], spins.shape[1]
    for k in range(n):
        total = 0
        for i in range(side):
            row = spins[k, i]
            below = spins[k, i + 1 if i + 1 < side else 0]
            line = np.int32(0)
            for j in range(side - 1):
                line += np.int32(row[j]) * (np.int32(row[j + 1]) + np.int32(below[j]))
            line += np.int32(row[side - 1]) * (np.int32(row[0]) + np.int32(below[side - 1]))
            total += int(line)
        out[k] = total


def bond_sums(spins: Spins) -> Ints:
    """Return Σ_<ij> s_i s_j of each sample, int64 (n,).

    >>> bond_sums(np.ones((1, 4, 4), dtype=np.int8))
    array([32])
    """
    spins = check_spins(spins)
    out = np.empty(len(spins), dtype=np.int64)
    _bond_sums(spins, out)
    return out


def spin_sums(spins: Spins) -> Ints:
    """Return M = Σ_i s_i of each sample, int64 (n,)."""
    spins = check_spins(spins)
    sums: Ints = spins.reshape(len(spins), spins.shape[1] ** 2).sum(axis=1, dtype=np.int64)
    return sums


def energies(spins: Spins, field: float = 0.0) -> Floats:
    """Return u = E/N of each sample, in units of J, float64 (n,).

    >>> energies(np.ones((1, 4, 4), dtype=np.int8), field=0.5)
    array([-2.5])
    """
    total: Floats = bond_sums(spins) + field * spin_sums(spins)
    return np.asarray(-total / spins.shape[1] ** 2)


def magnetisations(spins: Spins) -> Floats:
    """Return m = M/N of each sample, float64 (n,)."""
    return np.asarray(spin_sums(spins) / spins.shape[1] ** 2)


def local_fields(spins: Spins, field: float = 0.0) -> Floats:
    """Return h_i = Σ_{j next to i} s_j + h, float64 (n, L, L)."""
    total = np.zeros(spins.shape, dtype=np.int8)
    for axis in (1, 2):
        for step in (1, -1):
            total += np.roll(spins, step, axis)
    return total.astype(np.float64) + field
