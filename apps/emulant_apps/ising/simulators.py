"""True states by Markov chain Monte Carlo, thinned to independence.

Two entrances:

- :func:`simulate` makes independent samples at one temperature from long chains, one stream
  of random numbers a chain, with the autocorrelation measured, not guessed.
- ``sweep_*`` applies an exact kernel, one that leaves exp(-E/T) invariant, to a batch of
  samples. They finish an emulator's samples and drive the drift test.

Same arguments, same states: a call uses no random number but those of ``seed``, so that
temperatures may be spread over any number of workers, one call each.

Notation: L lattice side, T temperature, K = 1/T, h field, J = k_B = 1; a *step* is one sweep
of the lattice, or one cluster of Wolff's; τ integrated autocorrelation time in steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emulant_apps.ising.bitsliced import (
    REPLICAS,
    heat_bath_words,
    lanes,
    pack,
    unpack,
    up_thresholds,
)
from emulant_apps.ising.clusters import join_threshold, swendsen_wang_sweeps, wolff_clusters
from emulant_apps.ising.hamiltonian import (
    Spins,
    check_lattice,
    check_spins,
    check_temperature,
    neighbours,
)
from emulant_apps.ising.local_updates import (
    flip_thresholds,
    heat_bath_sweeps,
    metropolis_sweeps,
)
from emulant_apps.ising.walkers import Algorithm, memory, pilot, start_walkers
from emulant_apps.ising.xoshiro import streams

__all__ = [
    "Algorithm",
    "Samples",
    "simulate",
    "sweep_heat_bath",
    "sweep_metropolis",
    "sweep_scalar_heat_bath",
    "sweep_swendsen_wang",
    "sweep_wolff",
]

_SPACING = 4.0
"""Samples are this many τ apart, which leaves a correlation of about exp(-4) = 2 %."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Independent samples of one temperature and how they were spaced.

    ``spins`` int8 (n, L, L), chain after chain; ``spacing`` steps between neighbours of the
    same chain; ``tau_energy`` and ``tau_magnetisation`` the integrated autocorrelation times
    of u and |m|, in steps.
    """

    spins: Spins
    spacing: int
    tau_energy: float
    tau_magnetisation: float


def simulate(
    lattice: int,
    temperature: float,
    count: int,
    algorithm: Algorithm = "wolff",
    field: float = 0.0,
    seed: int = 0,
    spacing: int | None = None,
    burn_in: int | None = None,
    chains: int | None = None,
) -> Samples:
    """Return ``count`` samples of the ``lattice`` x ``lattice`` model at ``temperature``.

    Parameters
    ----------
    field
        External field h; Wolff's algorithm takes none.
    spacing
        Steps between samples; default: 4 τ of the slower of u and |m|, measured by a pilot run.
    burn_in
        Steps before the first sample; default: the pilot run, which exceeds 60 τ.
    chains
        Independent chains; default 64 for the heat bath (the bits of a word), 1 for the others.

    Notes
    -----
    Chains start from the ground state of random sign. Without a field each recorded state is
    turned over with probability 1/2, an exact symmetry, so that both signs occur below T_C.

    >>> simulate(lattice=4, temperature=2.0, count=3, seed=1).spins.shape
    (3, 4, 4)
    """
    check_lattice(lattice)
    check_temperature(temperature)
    for name, value, least in (
        ("count", count, 1),
        ("spacing", 1 if spacing is None else spacing, 1),
        ("burn_in", 0 if burn_in is None else burn_in, 0),
        ("chains", 1 if chains is None else chains, 1),
    ):
        if value < least:
            raise ValueError(f"'{name}' must be at least {least}, got {value}")
    if chains is None:
        chains = REPLICAS if algorithm == "heat-bath" else 1
    chains = min(chains, count)
    purpose = ("simulate", algorithm, lattice, float(temperature).hex(), float(field).hex())
    rng = np.random.default_rng(streams(1, seed, *purpose, "signs")[0])
    walkers = start_walkers(algorithm, lattice, temperature, field, chains, seed, rng, purpose)
    remembered = pilot(walkers, chains) if spacing is None or burn_in is None else None
    if spacing is None and remembered is not None:
        spacing = math.ceil(_SPACING * remembered.slowest)
    spacing = max(1, spacing or 1)
    if burn_in is not None:
        walkers.advance(burn_in)
    draws = -(-count // chains)
    spins = np.empty((chains, draws, lattice, lattice), dtype=np.int8)
    for draw in range(draws):
        walkers.advance(spacing)
        spins[:, draw] = walkers.spins()
    flat = spins.reshape(-1, lattice, lattice)
    if remembered is None:
        remembered = memory(spins, spacing)
    if field == 0.0:
        flat *= rng.choice(np.array([-1, 1], dtype=np.int8), size=(len(flat), 1, 1))
    return Samples(
        flat[:count].copy(), spacing, remembered.tau_energy, remembered.tau_magnetisation
    )


def sweep_heat_bath(
    spins: Spins, temperature: float, sweeps: int, seed: int = 0, field: float = 0.0
) -> Spins:
    """Return ``spins`` (n, L, L) after ``sweeps`` of the bit-sliced heat bath.

    >>> ground = np.ones((5, 4, 4), dtype=np.int8)
    >>> sweep_heat_bath(ground, 100.0, 3).shape
    (5, 4, 4)
    """
    spins = _checked(spins, temperature, sweeps)
    words = pack(spins)
    heat_bath_words(
        words, up_thresholds(temperature, field), sweeps, lanes(seed, "sweep", "bitsliced")
    )
    return unpack(words, len(spins))


def sweep_scalar_heat_bath(
    spins: Spins, temperature: float, sweeps: int, seed: int = 0, field: float = 0.0
) -> Spins:
    """Return ``spins`` (n, L, L) after ``sweeps`` of the heat bath, one sample at a time."""
    spins = _checked(spins, temperature, sweeps).copy()
    stream = streams(1, seed, "sweep", "heat-bath")[0]
    heat_bath_sweeps(spins, up_thresholds(temperature, field), sweeps, stream)
    return spins


def sweep_metropolis(
    spins: Spins, temperature: float, sweeps: int, seed: int = 0, field: float = 0.0
) -> Spins:
    """Return ``spins`` (n, L, L) after ``sweeps`` of checkerboard Metropolis."""
    spins = _checked(spins, temperature, sweeps).copy()
    stream = streams(1, seed, "sweep", "metropolis")[0]
    metropolis_sweeps(spins, flip_thresholds(temperature, field), sweeps, stream)
    return spins


def sweep_wolff(spins: Spins, temperature: float, clusters: int, seed: int = 0) -> Spins:
    """Return ``spins`` (n, L, L) after ``clusters`` of Wolff's flips each; no field."""
    spins = _checked(spins, temperature, clusters).copy()
    stream = streams(1, seed, "sweep", "wolff")[0]
    table = neighbours(spins.shape[1])
    wolff_clusters(spins, table, join_threshold(temperature), clusters, stream)
    return spins


def sweep_swendsen_wang(
    spins: Spins, temperature: float, sweeps: int, seed: int = 0, field: float = 0.0
) -> Spins:
    """Return ``spins`` (n, L, L) after ``sweeps`` of Swendsen-Wang."""
    spins = _checked(spins, temperature, sweeps).copy()
    stream = streams(1, seed, "sweep", "swendsen-wang")[0]
    table = neighbours(spins.shape[1])
    swendsen_wang_sweeps(
        spins, table, join_threshold(temperature), field / temperature, sweeps, stream
    )
    return spins


def _checked(spins: Spins, temperature: float, sweeps: int) -> Spins:
    spins = check_spins(spins)
    check_lattice(spins.shape[1])
    check_temperature(temperature)
    if sweeps < 0:
        raise ValueError(f"the number of sweeps must not be negative, got {sweeps}")
    return spins
