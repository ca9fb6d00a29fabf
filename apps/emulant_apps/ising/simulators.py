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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from emulant_apps.ising.autocorrelation import integrated_autocorrelation_time
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
    Floats,
    Spins,
    check_lattice,
    check_spins,
    check_temperature,
    energies,
    magnetisations,
    neighbours,
)
from emulant_apps.ising.local_updates import (
    flip_thresholds,
    heat_bath_sweeps,
    metropolis_sweeps,
)
from emulant_apps.ising.xoshiro import Words, streams

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

Algorithm: TypeAlias = Literal["wolff", "swendsen-wang", "heat-bath", "metropolis"]

_SPACING = 4.0
"""Samples are this many τ apart, which leaves a correlation of about exp(-4) = 2 %."""
_RESOLVED = 8.0
"""A pilot run measures often enough, yet not too often, when τ is below this many points."""


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
    walkers = _walkers(algorithm, lattice, temperature, field, chains, seed, rng, purpose)
    pilot = _Pilot(*(math.nan,) * 2)
    if spacing is None or burn_in is None:
        pilot = _pilot(walkers, chains)
    if spacing is None:
        slowest = max(pilot.tau_energy, pilot.tau_magnetisation)
        spacing = max(1, math.ceil(_SPACING * slowest))
    if burn_in is not None:
        walkers.advance(burn_in)
    draws = -(-count // chains)
    spins = np.empty((chains, draws, lattice, lattice), dtype=np.int8)
    for draw in range(draws):
        walkers.advance(spacing)
        spins[:, draw] = walkers.spins()
    series = (chains, draws)
    flat = spins.reshape(-1, lattice, lattice)
    if math.isnan(pilot.tau_energy) and draws > 1:
        pilot = _Pilot(
            spacing * integrated_autocorrelation_time(energies(flat).reshape(series)).tau,
            spacing
            * integrated_autocorrelation_time(np.abs(magnetisations(flat)).reshape(series)).tau,
        )
    if field == 0.0:
        flat *= rng.choice(np.array([-1, 1], dtype=np.int8), size=(len(flat), 1, 1))
    return Samples(flat[:count].copy(), spacing, pilot.tau_energy, pilot.tau_magnetisation)


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


class _Walkers(Protocol):
    """Chains at one temperature, advanced together."""

    def advance(self, steps: int) -> None: ...

    def spins(self) -> Spins:
        """Return the present states, int8 (chains, L, L); not to be altered."""


class _BitSliced:
    """Heat-bath chains, 64 a word."""

    def __init__(self, start: Spins, up: Words, state: Words) -> None:
        self.words, self.count, self.up, self.state = pack(start), len(start), up, state

    def advance(self, steps: int) -> None:
        heat_bath_words(self.words, self.up, steps, self.state)

    def spins(self) -> Spins:
        return unpack(self.words, self.count)


class _OneByOne:
    """Chains of a kernel that takes (states, steps, stream), each with a stream of its own."""

    def __init__(
        self, start: Spins, kernel: Callable[[Spins, int, Words], None], states: Words
    ) -> None:
        self.now, self.kernel, self.states = start, kernel, states

    def advance(self, steps: int) -> None:
        for k in range(len(self.now)):
            self.kernel(self.now[k : k + 1], steps, self.states[k])

    def spins(self) -> Spins:
        return self.now


def _walkers(
    algorithm: Algorithm,
    lattice: int,
    temperature: float,
    field: float,
    chains: int,
    seed: int,
    rng: np.random.Generator,
    purpose: tuple[str | int, ...],
) -> _Walkers:
    signs = rng.choice([-1, 1], size=chains) if field == 0 else np.full(chains, np.sign(field))
    start = np.empty((chains, lattice, lattice), dtype=np.int8)
    start[:] = signs[:, None, None]
    if algorithm == "heat-bath":
        return _BitSliced(start, up_thresholds(temperature, field), lanes(seed, *purpose))
    states = streams(chains, seed, *purpose)
    table, join = neighbours(lattice), join_threshold(temperature)
    if algorithm == "metropolis":
        flip = flip_thresholds(temperature, field)
        return _OneByOne(start, lambda x, k, s: metropolis_sweeps(x, flip, k, s), states)
    if algorithm == "swendsen-wang":
        bias = field / temperature
        return _OneByOne(
            start, lambda x, k, s: swendsen_wang_sweeps(x, table, join, bias, k, s), states
        )
    if algorithm != "wolff":
        raise ValueError(
            "'algorithm' must be one of wolff, swendsen-wang, heat-bath, metropolis, "
            f"got {algorithm!r}"
        )
    if field != 0:
        raise ValueError(
            f"'field' must be 0 with the Wolff algorithm, got {field}; "
            "take swendsen-wang, heat-bath or metropolis"
        )
    return _OneByOne(start, lambda x, k, s: wolff_clusters(x, table, join, k, s), states)


@dataclass(frozen=True, slots=True)
class _Pilot:
    """Integrated autocorrelation times of u and |m|, in steps."""

    tau_energy: float
    tau_magnetisation: float


def _pilot(walkers: _Walkers, chains: int) -> _Pilot:
    """Advance ``walkers`` until they forget their start, and return their τ.

    Runs of equally many points follow each other, the stride between points growing until τ
    is below 8 points. The first run only burns in. A run of one chain has 4096 points, hence
    at least 500 τ and 10 % to 25 % of error in τ.
    """
    points = max(512, 4096 // chains)
    stride, first = 1, True
    while True:
        energy: Floats = np.empty((chains, points))
        magnetisation: Floats = np.empty((chains, points))
        for point in range(points):
            walkers.advance(stride)
            spins = walkers.spins()
            energy[:, point] = energies(spins)
            magnetisation[:, point] = np.abs(magnetisations(spins))
        tau_energy = integrated_autocorrelation_time(energy).tau
        tau_magnetisation = integrated_autocorrelation_time(magnetisation).tau
        slowest = max(tau_energy, tau_magnetisation)
        if slowest < _RESOLVED and not first:
            return _Pilot(stride * tau_energy, stride * tau_magnetisation)
        stride *= max(1, math.ceil(slowest / 4.0)) if slowest >= _RESOLVED else 1
        first = False
