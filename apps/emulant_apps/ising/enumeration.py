"""Every state of a small lattice, with its probability: the truth that needs no theory.

P(s) = exp(-E(s)/T) / Z over all 2^N states, N = L² <= 16, with or without a field.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from emulant_apps.ising.hamiltonian import (
    Floats,
    Spins,
    check_temperature,
    energies,
    magnetisations,
)

__all__ = ["Enumeration", "all_states", "enumerate_states", "state_index"]

_LARGEST = 4


@dataclass(frozen=True, eq=False)
class Enumeration:
    """All states at one temperature.

    ``spins`` int8 (2^N, L, L), read-only; ``energies`` u and ``magnetisations`` m per spin,
    and ``probabilities``, (2^N,); ``log_z`` = ln Z.
    """

    spins: Spins
    energies: Floats
    magnetisations: Floats
    probabilities: Floats
    log_z: float

    def mean(self, values: Floats) -> float:
        """Return ⟨values⟩, values (2^N,)."""
        return float(values @ self.probabilities)

    def sample(self, count: int, rng: np.random.Generator) -> Spins:
        """Return ``count`` independent states, int8 (count, L, L)."""
        return self.spins[rng.choice(len(self.spins), size=count, p=self.probabilities)]


@lru_cache(maxsize=4)
def all_states(lattice: int) -> Spins:
    """Return the 2^N states, int8 (2^N, L, L), read-only; bit i of the index set: site i up."""
    if not 1 <= lattice <= _LARGEST:
        raise ValueError(f"'lattice' must be 1 to {_LARGEST}, got {lattice}")
    sites = lattice**2
    bits = (np.arange(1 << sites)[:, None] >> np.arange(sites)) & 1
    spins: Spins = (2 * bits - 1).astype(np.int8).reshape(-1, lattice, lattice)
    spins.flags.writeable = False
    return spins


def state_index(spins: Spins) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the index of each of ``spins`` (n, L, L) among :func:`all_states`, int64 (n,)."""
    flat = spins.reshape(len(spins), -1) > 0
    return flat @ (1 << np.arange(flat.shape[1], dtype=np.int64))


def enumerate_states(lattice: int, temperature: float, field: float = 0.0) -> Enumeration:
    """Return every state of the ``lattice`` x ``lattice`` model and its probability.

    >>> exact = enumerate_states(lattice=4, temperature=2.0)
    >>> round(exact.mean(abs(exact.magnetisations)), 12)
    0.918943267402
    """
    check_temperature(temperature)
    spins = all_states(lattice)
    u = energies(spins, field)
    logarithms = -u * lattice**2 / temperature
    top = float(logarithms.max())
    weights = np.exp(logarithms - top)
    total = float(weights.sum())
    return Enumeration(spins, u, magnetisations(spins), weights / total, top + float(np.log(total)))
