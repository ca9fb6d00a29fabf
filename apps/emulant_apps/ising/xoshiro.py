"""Random words for compiled kernels: xoshiro256++ streams whose state the caller holds.

Notation: a *stream* is four 64-bit words ``s``; each step returns rotl(s0 + s3, 23) + s0 and
advances ``s`` linearly with period 2^256 - 1. Streams are seeded by SplitMix64, so that two
streams overlap within 2^64 steps with probability of about 2^-127.

References
----------
D. Blackman and S. Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM Trans. Math.
Softw. 47, 36 (2021), https://prng.di.unimi.it
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from emulant.compiled import kernel
from emulant.rng import derive

__all__ = ["Words", "below", "next_word", "streams", "threshold", "uniform"]

Words: TypeAlias = npt.NDArray[np.uint64]

_MASK = (1 << 64) - 1


def streams(count: int, seed: int, *purpose: str | int) -> Words:
    """Return ``count`` independent streams, uint64 (count, 4), for ``(seed, purpose)``.

    >>> streams(2, 0, "doctest").shape
    (2, 4)
    """
    counter = derive(seed, "xoshiro", *purpose)
    words = []
    for _ in range(4 * count):
        counter = (counter + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((counter ^ (counter >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        words.append(mixed ^ (mixed >> 31))
    return np.array(words, dtype=np.uint64).reshape(count, 4)


def threshold(probability: float) -> np.uint64:
    """Return the word t with P(random word < t) = ``probability``, to 2^-53 of it.

    A probability of one becomes the largest word, which errs by 2^-64.
    """
    return np.uint64(min(int(probability * 2.0**64), _MASK))


@kernel
def next_word(s: Words) -> np.uint64:
    """Return the next 64 random bits of the stream ``s``, uint64 (4,), and advance it."""
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    total = s0 + s3
    word = ((total << np.uint64(23)) | (total >> np.uint64(41))) + s0
    shifted = s1 << np.uint64(17)
    s2 ^= s0
    s3 ^= s1
    s[1] = s1 ^ s2
    s[0] = s0 ^ s3
    s[2] = s2 ^ shifted
    s[3] = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
    return np.uint64(word)


@kernel
def uniform(s: Words) -> float:
    """Return the next number in [0, 1), a multiple of 2^-53."""
    return float(next_word(s) >> np.uint64(11)) * 2.0**-53


@kernel
def below(count: int, s: Words) -> int:
    """Return the next integer in [0, count), count < 2^31; its bias is below count 2^-32."""
    return int(((next_word(s) >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32))
