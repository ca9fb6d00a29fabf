"""Single-spin dynamics on one lattice after the other: Metropolis and heat bath.

Both renew the even sublattice (i + j even), then the odd one; given the other sublattice, its
spins are independent. A sweep leaves exp(-E/T) invariant, though a checkerboard sweep as a
whole does not obey detailed balance (each half does).

Metropolis flips s_i with probability min(1, exp(-2K s_i h_i)); the heat bath draws
s_i = +1 with probability 1 / (1 + exp(-2K h_i)). K = 1/T, h_i the local field.

References
----------
N. Metropolis et al., "Equation of State Calculations by Fast Computing Machines", J. Chem.
Phys. 21, 1087 (1953). R. Glauber, "Time-Dependent Statistics of the Ising Model", J. Math.
Phys. 4, 294 (1963).
"""

from __future__ import annotations

import math

import numpy as np

from emulant.compiled import kernel
from emulant_apps.ising.hamiltonian import Spins
from emulant_apps.ising.xoshiro import Words, next_word, threshold

__all__ = ["flip_thresholds", "heat_bath_sweeps", "metropolis_sweeps"]

_ALWAYS = np.uint64(0xFFFFFFFFFFFFFFFF)


def flip_thresholds(temperature: float, field: float) -> Words:
    """Return Metropolis' flip probability for spin down, up × n = 0..4 neighbours up, (10,)."""
    return np.array(
        [
            threshold(math.exp(min(0.0, -2 * spin * (2 * n - 4 + field) / temperature)))
            for spin in (-1, 1)
            for n in range(5)
        ],
        dtype=np.uint64,
    )


@kernel
def metropolis_sweeps(spins: Spins, flip: Words, sweeps: int, s: Words) -> None:
    """Sweep ``spins`` (n, L, L) in place, one sample after the other, all from the stream ``s``."""
    n, side = spins.shape[0], spins.shape[1]
    for k in range(n):
        for step in range(2 * sweeps):
            for i in range(side):
                row = spins[k, i]
                above = spins[k, i - 1 if i > 0 else side - 1]
                below = spins[k, i + 1 if i + 1 < side else 0]
                for j in range((i + step) & 1, side, 2):
                    left = row[j - 1 if j > 0 else side - 1]
                    right = row[j + 1 if j + 1 < side else 0]
                    up = (above[j] + below[j] + left + right + 4) >> 1
                    bound = flip[up + (5 if row[j] > 0 else 0)]
                    if bound == _ALWAYS or next_word(s) < bound:
                        row[j] = -row[j]


@kernel
def heat_bath_sweeps(spins: Spins, up_at: Words, sweeps: int, s: Words) -> None:
    """Sweep ``spins`` (n, L, L) in place with P(up | n up) = ``up_at[n]`` / 2^64."""
    n, side = spins.shape[0], spins.shape[1]
    for k in range(n):
        for step in range(2 * sweeps):
            for i in range(side):
                row = spins[k, i]
                above = spins[k, i - 1 if i > 0 else side - 1]
                below = spins[k, i + 1 if i + 1 < side else 0]
                for j in range((i + step) & 1, side, 2):
                    left = row[j - 1 if j > 0 else side - 1]
                    right = row[j + 1 if j + 1 < side else 0]
                    up = (above[j] + below[j] + left + right + 4) >> 1
                    row[j] = 1 if next_word(s) < up_at[up] else -1
