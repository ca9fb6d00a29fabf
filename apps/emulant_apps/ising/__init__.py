"""Which spin states does the two-dimensional Ising model take at a temperature of my choice?

New, independent configurations of the periodic square lattice, with the probability that the
emulator gave to each, and a certificate of how far its averages may be trusted.

Convention: J = k_B = 1, spins s = ±1, energy E = -Σ_<ij> s_i s_j - h Σ_i s_i, K = 1/T.

>>> from emulant_apps import ising
>>> states = ising.simulate(lattice=8, temperatures=[2.0, 3.0], count=4, seed=0)
>>> states.spins.shape
(2, 4, 8, 8)
"""  # noqa: D400 - the first line of an application's package is its question

from __future__ import annotations

from emulant.lazy import lazy

_HOMES = {
    "Emulator": "sample",
    "States": "data",
    "read_states": "data",
    "write_states": "data",
    "simulate": "data",
    "exact": "exact",
    "hamiltonian": "hamiltonian",
    "observables": "observables",
    "simulators": "simulators",
    "weights": "weights",
    "independence_metropolis": "weights",
    "ln_partition": "weights",
    "resample": "weights",
    "validate": "validate",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy(__name__, _HOMES)
