"""Cluster dynamics: Wolff and Swendsen-Wang.

Both join equal neighbours with probability 1 - exp(-2K), K = 1/T. Wolff grows one cluster
from a random site and flips it. Swendsen-Wang partitions the lattice into clusters and gives
each a new spin, +1 with probability 1 / (1 + exp(-2K h M)) for a cluster of M sites in the
field h; that is the ghost spin of the field, summed over.

References
----------
R. Swendsen and J.-S. Wang, "Nonuniversal critical dynamics in Monte Carlo simulations", Phys.
Rev. Lett. 58, 86 (1987). U. Wolff, "Collective Monte Carlo Updating for Spin Systems", Phys.
Rev. Lett. 62, 361 (1989).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from emulant.compiled import kernel
from emulant_apps.ising.hamiltonian import Spins
from emulant_apps.ising.xoshiro import Words, below, next_word, threshold, uniform

__all__ = ["join_threshold", "swendsen_wang_sweeps", "wolff_clusters"]

_HALF = np.uint64(1) << np.uint64(63)


def join_threshold(temperature: float) -> np.uint64:
    """Return 1 - exp(-2/T) as a fraction of 2^64."""
    return threshold(-math.expm1(-2 / temperature))


@kernel
def wolff_clusters(
    spins: Spins, table: npt.NDArray[np.int32], join: np.uint64, clusters: int, s: Words
) -> None:
    """Flip ``clusters`` clusters of each of ``spins`` (n, L, L) in place, from the stream ``s``."""
    n, sites = spins.shape[0], spins.shape[1] * spins.shape[2]
    stack = np.empty(sites, dtype=np.int32)
    for k in range(n):
        state = spins[k].reshape(sites)
        for _ in range(clusters):
            seed = below(sites, s)
            spin = state[seed]
            state[seed] = -spin
            stack[0] = seed
            top = 1
            while top > 0:
                top -= 1
                site = stack[top]
                for side in range(4):
                    other = table[site, side]
                    if state[other] == spin and next_word(s) < join:
                        state[other] = -spin
                        stack[top] = other
                        top += 1


@kernel
def _root(parent: npt.NDArray[np.int32], site: int) -> int:
    while parent[site] != site:
        parent[site] = parent[parent[site]]
        site = parent[site]
    return site


@kernel
def swendsen_wang_sweeps(
    spins: Spins,
    table: npt.NDArray[np.int32],
    join: np.uint64,
    field_over_temperature: float,
    sweeps: int,
    s: Words,
) -> None:
    """Sweep ``spins`` (n, L, L) in place, one sample after the other, all from the stream ``s``."""
    n, sites = spins.shape[0], spins.shape[1] * spins.shape[2]
    parent = np.empty(sites, dtype=np.int32)
    size = np.zeros(sites, dtype=np.int32)
    for k in range(n):
        state = spins[k].reshape(sites)
        for _ in range(sweeps):
            for site in range(sites):
                parent[site] = site
            for site in range(sites):
                for side in (0, 2):  # below and right: each bond once
                    other = table[site, side]
                    if state[site] == state[other] and next_word(s) < join:
                        a, b = _root(parent, site), _root(parent, other)
                        # the least site of a cluster is its root, met first by the next scan
                        parent[max(a, b)] = min(a, b)
            if field_over_temperature != 0.0:
                size[:] = 0
                for site in range(sites):
                    size[_root(parent, site)] += 1
            for site in range(sites):
                root = _root(parent, site)
                if root != site:
                    state[site] = state[root]
                elif field_over_temperature == 0.0:
                    state[site] = 1 if next_word(s) < _HALF else -1
                else:
                    bias = math.exp(-2.0 * field_over_temperature * size[site])
                    state[site] = 1 if uniform(s) * (1.0 + bias) < 1.0 else -1
