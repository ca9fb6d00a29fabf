"""Markov chains at one temperature, advanced together, and how long they remember.

A *step* is one sweep of the lattice, or one cluster of Wolff's. Each chain has a stream of
random numbers of its own; the bit-sliced heat bath has sixteen for all its chains.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from emulant_apps.ising.autocorrelation import integrated_autocorrelation_time
from emulant_apps.ising.bitsliced import heat_bath_words, lanes, pack, unpack, up_thresholds
from emulant_apps.ising.clusters import join_threshold, swendsen_wang_sweeps, wolff_clusters
from emulant_apps.ising.hamiltonian import Floats, Spins, energies, magnetisations, neighbours
from emulant_apps.ising.local_updates import flip_thresholds, metropolis_sweeps
from emulant_apps.ising.xoshiro import Words, streams

__all__ = ["Algorithm", "Memory", "Walkers", "memory", "pilot", "start_walkers"]

Algorithm: TypeAlias = Literal["wolff", "swendsen-wang", "heat-bath", "metropolis"]

_RESOLVED = 8.0
"""A pilot run measures often enough, yet not too often, when τ is below this many points."""


class Walkers(Protocol):
    """Chains at one temperature, advanced together."""

    def advance(self, steps: int) -> None:
        """Take ``steps`` with every chain."""

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


def start_walkers(
    algorithm: Algorithm,
    lattice: int,
    temperature: float,
    field: float,
    chains: int,
    seed: int,
    rng: np.random.Generator,
    purpose: tuple[str | int, ...],
) -> Walkers:
    """Return ``chains`` chains of ``algorithm`` in ground states of a sign drawn from ``rng``."""
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
class Memory:
    """Integrated autocorrelation times of u and |m|, in steps."""

    tau_energy: float
    tau_magnetisation: float

    @property
    def slowest(self) -> float:
        """The longer of the two."""
        return max(self.tau_energy, self.tau_magnetisation)


def memory(spins: Spins, spacing: int) -> Memory:
    """Return τ of states recorded every ``spacing`` steps, (chains, n, L, L); 1/2 for n = 1."""
    chains, n, side = spins.shape[:3]
    if n == 1:
        return Memory(0.5 * spacing, 0.5 * spacing)
    flat = spins.reshape(-1, side, side)
    return _memory(
        energies(flat).reshape(chains, n), magnetisations(flat).reshape(chains, n), spacing
    )


def _memory(energy: Floats, magnetisation: Floats, spacing: int) -> Memory:
    return Memory(
        spacing * integrated_autocorrelation_time(energy).tau,
        spacing * integrated_autocorrelation_time(np.abs(magnetisation)).tau,
    )


def pilot(walkers: Walkers, chains: int) -> Memory:
    """Advance ``walkers`` until they forget their start, and return their τ.

    Runs of equally many points follow each other, the stride between points growing until τ
    is below 8 points. The first run only burns in. A run of one chain has 4096 points, hence
    at least 500 τ and 10 % to 25 % of error in τ; one of 64 chains has 512, at least 60 τ.
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
            magnetisation[:, point] = magnetisations(spins)
        found = _memory(energy, magnetisation, stride)
        if found.slowest < _RESOLVED * stride and not first:
            return found
        if found.slowest >= _RESOLVED * stride:
            stride *= math.ceil(found.slowest / (4.0 * stride))
        first = False
