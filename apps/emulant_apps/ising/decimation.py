r"""Which spins are drawn when, and which known spins each of them looks at.

The lattice of side L = 4 2^k is drawn from coarse to fine. First the 16 *seed* spins at spacing
L/4. Then, for each spacing a = L/4, L/8, ..., 2, the three sublattices between the known spins,

    D at (a/2, a/2),   H at (0, a/2),   V at (a/2, 0)   in every cell of side a,

each in four *classes* by the parities of its cell's row and column, so that spins drawn at once
are at least 2a apart or screened by known ones. One class is a *stage*.

At a = 2 only the classes 0 and 1 of D are learned; what remains has a closed form:

- classes 2 and 3 of D, once the odd sublattice is summed out: each odd site k next to such a
  spin has three other, known, neighbours of sum S_k, and

      logit = Σ_k g(S_k),   g(S) = ln cosh K(S+1) - ln cosh K(S-1);

- the odd sublattice itself (row + column odd) by its heat bath, logit = 2 K Σ_neighbours s.

5/8 of all spins are exact, given the other 3/8.

Decimation: Kadanoff, Notes on Migdal's recursion formulas, 1976,
https://doi.org/10.1016/0003-4916(76)90066-X
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from emulant_apps.ising.hamiltonian import neighbours

__all__ = ["SEED_SIDE", "Decimation", "Stage", "decimation"]

SEED_SIDE = 4
"""Side of the seed lattice."""

CLASSES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Parities of the cell's row and column, in the order in which they are drawn."""

SUBLATTICES = {"D": (1, 1), "H": (0, 1), "V": (1, 0)}
"""Offsets inside a cell, in units of a/2, in the order in which they are drawn."""

Sites = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Stage:
    """Spins drawn at once, and the known spins around each."""

    name: str
    """Spacing, sublattice and class, such as "8D0"; the same at every side L."""
    sites: Sites
    """Flat indices of the spins, shape (S,)."""
    window: Sites
    """Flat indices of the known spins within the window of each, shape (P, S)."""


@dataclass(frozen=True, eq=False)
class Decimation:
    """The whole order of drawing on one lattice; all indices are flat, row L + column."""

    lattice: int
    seed: Sites
    """The seed spins, shape (16,)."""
    stages: tuple[Stage, ...]
    """The learned stages in order."""
    screened: Sites
    """Classes 2 and 3 of D at a = 2, shape (L²/8,)."""
    screening: Sites
    """The three other neighbours of each odd site next to them, shape (4, 3, L²/8)."""
    odd: Sites
    """The odd sublattice, shape (L²/2,)."""
    bath: Sites
    """Its neighbours, shape (4, L²/2)."""


@cache
def decimation(lattice: int, radius: int) -> Decimation:
    """Return the order of drawing at side ``lattice``; windows reach ``radius`` a/2 each way.

    Raises
    ------
    ValueError
        Unless ``lattice`` is 4 2^k with k >= 1 and ``radius`` is at least 1.

    Examples
    --------
    >>> order = decimation(32, 3)
    >>> len(order.seed) + sum(len(s.sites) for s in order.stages), len(order.odd)
    (384, 512)
    """
    if lattice < 8 or lattice & (lattice - 1):
        raise ValueError(f"'lattice' must be 8, 16, 32, ..., got {lattice}")
    if radius < 1:
        raise ValueError(f"'radius' must be at least 1, got {radius}")
    steps = np.arange(SEED_SIDE) * (lattice // SEED_SIDE)
    stages: list[Stage] = []
    spacing = lattice // SEED_SIDE
    while spacing >= 2:
        last = spacing == 2
        for sublattice in SUBLATTICES if not last else ("D",):
            for k in range(2 if last else len(CLASSES)):
                stages.append(_stage(lattice, spacing, sublattice, k, radius))
        spacing //= 2
    screened = np.concatenate([_sites(lattice, 2, "D", k) for k in (2, 3)])
    around = neighbours(lattice).astype(np.int64)
    beside = around[screened]
    others = np.stack(
        [
            [[i for i in around[k] if i != s] for k in ks]
            for s, ks in zip(screened, beside, strict=True)
        ]
    )
    row, column = np.divmod(np.arange(lattice**2), lattice)
    odd = np.flatnonzero((row + column) % 2)
    return Decimation(
        lattice=lattice,
        seed=(steps[:, None] * lattice + steps).ravel(),
        stages=tuple(stages),
        screened=screened,
        screening=np.ascontiguousarray(others.transpose(1, 2, 0)),
        odd=odd,
        bath=np.ascontiguousarray(around[odd].T),
    )


def _sites(lattice: int, spacing: int, sublattice: str, k: int) -> Sites:
    """Return the flat indices of one class of one sublattice."""
    (down, right), (first_row, first_column) = SUBLATTICES[sublattice], CLASSES[k]
    half, cells = spacing // 2, lattice // spacing
    row = (2 * np.arange(first_row, cells, 2) + down) * half
    column = (2 * np.arange(first_column, cells, 2) + right) * half
    return (row[:, None] * lattice + column).ravel()


def _stage(lattice: int, spacing: int, sublattice: str, k: int, radius: int) -> Stage:
    sites = _sites(lattice, spacing, sublattice, k)
    offsets = np.array(_known_around(sublattice, k, radius)) * (spacing // 2)
    row, column = np.divmod(sites, lattice)
    window = (row + offsets[:, :1]) % lattice * lattice + (column + offsets[:, 1:]) % lattice
    return Stage(f"{spacing}{sublattice}{k}", sites, window)


def _known_around(sublattice: str, k: int, radius: int) -> list[tuple[int, int]]:
    """Return the offsets, in units of a/2, at which spins are known when class k is drawn.

    The pattern of known spins repeats every two cells, so that it is the same around every
    spin of the class and at every side L.
    """
    order = list(SUBLATTICES)
    row, column = (
        2 * parity + shift
        for parity, shift in zip(CLASSES[k], SUBLATTICES[sublattice], strict=True)
    )
    known = []
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            (cell_row, y), (cell_column, x) = divmod(row + down, 2), divmod(column + right, 2)
            if (y, x) == (0, 0):
                known.append((down, right))
                continue
            place = order.index(next(s for s, at in SUBLATTICES.items() if at == (y, x)))
            rank = (place, CLASSES.index((cell_row % 2, cell_column % 2)))
            if rank < (order.index(sublattice), k):
                known.append((down, right))
    return known
