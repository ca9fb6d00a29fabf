"""Heat bath on 64 replicas at once: one bit a replica, one 64-bit word a site.

A site with n of its four neighbours up turns up with p_n = 1 / (1 + exp(-2K(2n - 4 + h))).
Bitwise full adders count n for the 64 replicas together. Each replica then needs one uniform
U < p_n of its own: U is drawn bit by bit, most significant first, one random word giving the
next bit of 64 replicas, and compared with the bits of p_n until it differs from them. Each
random bit settles half of the undecided replicas, so that about 11 words settle a block
of 16 sites: replicas and sites share no random bit, and p_n is exact to 2^-53.

A shared U for the 64 replicas would be faster still, but it makes replicas coalesce (they
become correlated with each other), so it has no place here.

Layout: ``words`` uint64 (groups, N), sites ordered by sublattice, even sites first, where the
site (i, j) is even if i + j is. A sweep renews the even sites, then the odd ones. Sixteen
streams of random words advance side by side so that the processor's vector units are used.

References
----------
L. Jacobs and C. Rebbi, "Multi-spin coding: a very efficient technique for Monte Carlo
simulations of spin systems", J. Comput. Phys. 41, 203 (1981).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from emulant.compiled import kernel
from emulant_apps.ising.hamiltonian import Spins, neighbours
from emulant_apps.ising.xoshiro import Words, streams, threshold

__all__ = ["REPLICAS", "heat_bath_words", "lanes", "pack", "unpack", "up_thresholds"]

REPLICAS = 64

_WIDTH = 16  # sites in a block, a constant so that the compiler can use vector instructions
_ZERO, _ONE, _FULL = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)


@lru_cache(maxsize=32)
def _sublattices(lattice: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the sites in sublattice order (N,) and their neighbours' positions (N, 4)."""
    row, column = np.divmod(np.arange(lattice * lattice), lattice)
    order = np.argsort((row + column) % 2, kind="stable")
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return order, position[neighbours(lattice)[order]]


def lanes(seed: int, *purpose: str | int) -> Words:
    """Return the sixteen streams that one call of the kernel advances, uint64 (4, 16) flat."""
    return np.ascontiguousarray(streams(_WIDTH, seed, *purpose).T).reshape(-1)


def up_thresholds(temperature: float, field: float) -> Words:
    """Return p_n for n = 0..4 neighbours up, as uint64 (5,) fractions of 2^64."""
    local = (2 * n - 4 + field for n in range(5))
    return np.array([threshold(_logistic(2 * x / temperature)) for x in local], dtype=np.uint64)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


@kernel
def _pack(spins: Spins, order: npt.NDArray[np.int64], words: Words) -> None:
    n = spins.shape[0]
    for group in range(words.shape[0]):
        for k in range(min(64, n - 64 * group)):
            state = spins[64 * group + k]
            bit = _ONE << np.uint64(k)
            for position in range(len(order)):
                if state[order[position]] > 0:
                    words[group, position] |= bit


@kernel
def _unpack(words: Words, order: npt.NDArray[np.int64], spins: Spins) -> None:
    n = spins.shape[0]
    for group in range(words.shape[0]):
        for k in range(min(64, n - 64 * group)):
            state = spins[64 * group + k]
            shift = np.uint64(k)
            for position in range(len(order)):
                up = (words[group, position] >> shift) & _ONE
                state[order[position]] = 2 * np.int8(up) - 1


def pack(spins: Spins) -> Words:
    """Return the words (ceil(n / 64), N) of ``spins`` (n, L, L); missing replicas are down."""
    n, lattice = spins.shape[0], spins.shape[1]
    words = np.zeros((-(-n // REPLICAS), lattice * lattice), dtype=np.uint64)
    _pack(spins.reshape(n, -1), _sublattices(lattice)[0], words)
    return words


def unpack(words: Words, count: int) -> Spins:
    """Return the first ``count`` replicas as int8 (count, L, L)."""
    lattice = math.isqrt(words.shape[1])
    spins = np.empty((count, lattice * lattice), dtype=np.int8)
    _unpack(words, _sublattices(lattice)[0], spins)
    return spins.reshape(count, lattice, lattice)


def heat_bath_words(words: Words, up: Words, sweeps: int, state: Words) -> None:
    """Sweep ``words`` (groups, N) in place, at the thresholds ``up`` (5,), by the ``state``."""
    table = _sublattices(math.isqrt(words.shape[1]))[1]
    _heat_bath(words, table, up, sweeps, state, np.zeros(7 * _WIDTH, dtype=np.uint64))


@kernel
def _heat_bath(
    words: Words,
    table: npt.NDArray[np.int64],
    up: Words,
    sweeps: int,
    state: Words,
    w: Words,
) -> None:
    half = words.shape[1] // 2
    for group in range(words.shape[0]):
        for _ in range(sweeps):
            for first in (0, half):
                for start in range(first, first + half, _WIDTH):
                    size = min(_WIDTH, first + half - start)
                    _count(words[group], table, start, size, w)
                    _draw(up, state, w)
                    for j in range(size):
                        words[group, start + j] = w[6 * _WIDTH + j]


@kernel
def _count(spins: Words, table: npt.NDArray[np.int64], start: int, size: int, w: Words) -> None:
    """Set w[n W + j] to the replicas with n neighbours up, w[5 W + j] undecided, w[6 W + j] 0."""
    for j in range(size):
        a, b = spins[table[start + j, 0]], spins[table[start + j, 1]]
        c, d = spins[table[start + j, 2]], spins[table[start + j, 3]]
        low, high = a ^ b, a & b  # a + b = low + 2 high
        odd = low ^ c ^ d
        # c + d = (c ^ d) + 2 (c & d); the carry needs low = 1, hence high = 0
        two = high ^ (c & d) ^ (low & (c ^ d))
        four = high & c & d
        w[j] = ~(odd | two | four)
        w[_WIDTH + j] = odd & ~two
        w[2 * _WIDTH + j] = two & ~odd
        w[3 * _WIDTH + j] = odd & two
        w[4 * _WIDTH + j] = four
        w[5 * _WIDTH + j] = _FULL
        w[6 * _WIDTH + j] = _ZERO
    for j in range(size, _WIDTH):
        w[5 * _WIDTH + j] = _ZERO


@kernel
def _draw(up: Words, s: Words, w: Words) -> None:
    """Set w[6 W + j] to the replicas whose U is below their p_n."""
    bit = np.uint64(63)
    while True:
        p0 = _ZERO - ((up[0] >> bit) & _ONE)
        p1 = _ZERO - ((up[1] >> bit) & _ONE)
        p2 = _ZERO - ((up[2] >> bit) & _ONE)
        p3 = _ZERO - ((up[3] >> bit) & _ONE)
        p4 = _ZERO - ((up[4] >> bit) & _ONE)
        left = _ZERO
        for j in range(_WIDTH):
            # xoshiro256++, as in xoshiro.next_word, on sixteen streams abreast
            s0, s1 = s[j], s[_WIDTH + j]
            s2, s3 = s[2 * _WIDTH + j], s[3 * _WIDTH + j]
            total = s0 + s3
            word = ((total << np.uint64(23)) | (total >> np.uint64(41))) + s0
            shifted = s1 << np.uint64(17)
            s2 ^= s0
            s3 ^= s1
            s[_WIDTH + j] = s1 ^ s2
            s[j] = s0 ^ s3
            s[2 * _WIDTH + j] = s2 ^ shifted
            s[3 * _WIDTH + j] = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
            digit = (
                (w[j] & p0)
                | (w[_WIDTH + j] & p1)
                | (w[2 * _WIDTH + j] & p2)
                | (w[3 * _WIDTH + j] & p3)
                | (w[4 * _WIDTH + j] & p4)
            )
            undecided = w[5 * _WIDTH + j]
            settled = undecided & (word ^ digit)
            w[6 * _WIDTH + j] |= settled & digit
            w[5 * _WIDTH + j] = undecided & ~settled
            left |= undecided & ~settled
        if left == _ZERO or bit == _ZERO:
            return
        bit -= _ONE
