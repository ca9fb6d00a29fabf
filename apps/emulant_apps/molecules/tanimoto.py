r"""Tanimoto similarities of packed fingerprints, counted in machine words.

Notation: fingerprints a, b of W 64-bit words, |a| the number of bits set,

    Tc(a, b) = c / (|a| + |b| - c),   c = |a & b| ;   1 where both are empty.

The nearest of many is found without looking at most of them. Rows are sorted by |b|, and looked at
from |b| = |a| outwards while min(|a|, |b|) / max(|a|, |b|) can still reach the best so far. Of the
others, a *fold* is asked first: the words ORed into two, in which each common bit meets a common
bit, so that, with the bits s(a) = |a| - |fold a| that the fold swallows,

    c <= |fold a & fold b| + min(s(a), s(b)) .

The answer is that of looking at all.

- Swamidass and Baldi, Bounds and Algorithms for Fast Exact Searches of Chemical Fingerprints in
  Linear and Sublinear Time, 2007, https://doi.org/10.1021/ci600358f
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba.extending import intrinsic
from numpy.typing import NDArray

from emulant.compiled import kernel

__all__ = ["Index", "mean_similarities", "words_of"]


def _population(context: Any, word: Any) -> Any:  # noqa: ARG001 - the signature is numba's
    """Return the number of bits set in a word, by the processor's own instruction."""
    return word(word), lambda _, builder, __, given: builder.ctpop(given[0])


_ones = cast(Callable[[Any], Any], intrinsic(_population))


def words_of(packed: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return packed bits, shape (n, bytes), as 64-bit words, (n, W); bytes are filled with 0.

    >>> words_of(np.packbits(np.eye(2, 70, dtype=np.uint8), axis=1)).shape
    (2, 2)
    """
    wide = -(-packed.shape[1] // 8) * 8
    rows = np.zeros((len(packed), wide), dtype=np.uint8)
    rows[:, : packed.shape[1]] = packed
    return rows.view(np.uint64)


def _folded(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the words ORed into two, shape (n, 2)."""
    even = np.bitwise_or.reduce(words[:, ::2], axis=1)
    odd = np.bitwise_or.reduce(words[:, 1::2], axis=1) if words.shape[1] > 1 else 0 * even
    return np.ascontiguousarray(np.stack([even, odd], axis=1))


def _counts(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return counts


class Index:
    """Fingerprints among which the nearest is asked.

    Arguments
    ---------
    packed : bits packed into bytes, shape (n, bytes).

    Examples
    --------
    >>> index = Index(np.packbits(np.array([[1, 1, 0, 0], [1, 1, 1, 0]], dtype=np.uint8), axis=1))
    >>> index.nearest(np.packbits(np.array([[1, 1, 1, 1]], dtype=np.uint8), axis=1))
    (array([1]), array([0.75]))
    """

    def __init__(self, packed: NDArray[np.uint8]) -> None:
        words = words_of(packed)
        counts = _counts(words)
        self.order = np.argsort(counts, kind="stable")
        self.words = np.ascontiguousarray(words[self.order])
        self.folded = _folded(self.words)
        self.counts = counts[self.order]
        self.slack = self.counts - _counts(self.folded)
        most = 64 * words.shape[1] if len(words) else 0
        self.starts = np.searchsorted(self.counts, np.arange(most + 2))

    def __len__(self) -> int:
        return len(self.order)

    def nearest(self, packed: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the index of the nearest row for each query, the first of equals, and its Tc.

        Raises
        ------
        ValueError
            There is nothing to be near to, or the queries have another number of bits.
        """
        asked = words_of(packed)
        if not len(self) or asked.shape[1] != self.words.shape[1]:
            have, want = len(self), self.words.shape[1]
            raise ValueError(f"'packed' must have {want} words, of {have} rows; got {asked.shape}")
        best = np.zeros(len(asked), dtype=np.int64)
        alike = np.zeros(len(asked))
        folded = _folded(asked)
        counts = _counts(asked)
        _nearest(
            asked, folded, counts, counts - _counts(folded),
            self.words, self.folded, self.slack, self.starts, self.order, best, alike,
        )  # fmt: skip
        return best, alike


@kernel
def _nearest(
    asked: NDArray[np.uint64],
    asked_folded: NDArray[np.uint64],
    asked_counts: NDArray[np.int64],
    asked_slack: NDArray[np.int64],
    words: NDArray[np.uint64],
    folded: NDArray[np.uint64],
    slack: NDArray[np.int64],
    starts: NDArray[np.int64],
    order: NDArray[np.int64],
    best: NDArray[np.int64],
    alike: NDArray[np.float64],
) -> None:
    """Fill ``best`` and ``alike`` for each query; Tc is compared as a fraction of integers."""
    most = len(starts) - 2
    for q in range(len(asked)):
        a, free = asked_counts[q], asked_slack[q]
        first, second = asked_folded[q, 0], asked_folded[q, 1]
        top, bottom, where = np.int64(-1), np.int64(1), np.int64(-1)
        for away in range(most + 1):
            if min(away, most) > max(a, most - a):
                break
            for side in range(2 if away else 1):
                b = a + away if side == 0 else a - away
                if b < 0 or b > most or starts[b] == starts[b + 1]:
                    continue
                low, high = min(a, b), max(a, b)
                if low * bottom < top * high:
                    continue  # cannot reach the best
                # c / (a + b - c) >= top / bottom  <=>  c >= top (a + b) / (top + bottom)
                need = (top * (a + b) + top + bottom - 1) // (top + bottom) if top >= 0 else 0
                for row in range(starts[b], starts[b + 1]):
                    both = np.int64(_ones(first & folded[row, 0]) + _ones(second & folded[row, 1]))
                    if both + min(free, slack[row]) < need:
                        continue
                    c = np.int64(0)
                    for w in range(words.shape[1]):
                        c += np.int64(_ones(asked[q, w] & words[row, w]))
                    if c < need:
                        continue
                    union = a + b - c
                    if union == 0:
                        c, union = c + 1, union + 1  # two empty ones are alike
                    gain = c * bottom - top * union
                    if top < 0 or gain > 0 or (gain == 0 and order[row] < where):
                        top, bottom, where = c, union, order[row]
                        need = (top * (a + b) + top + bottom - 1) // (top + bottom)
        best[q] = where
        alike[q] = top / bottom


def mean_similarities(packed: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, of each row, the mean of Tc to all rows, itself included, and of its square."""
    words = words_of(packed)
    first, second = np.zeros(len(words)), np.zeros(len(words))
    _sums(words, _counts(words), first, second)
    return first / len(words), second / len(words)


@kernel
def _sums(
    words: NDArray[np.uint64],
    counts: NDArray[np.int64],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
) -> None:
    """Add Tc and its square over all pairs; each pair is looked at once."""
    for i in range(len(words)):
        first[i] += 1.0
        second[i] += 1.0
        for j in range(i):
            c = np.int64(0)
            for w in range(words.shape[1]):
                c += np.int64(_ones(words[i, w] & words[j, w]))
            union = counts[i] + counts[j] - c
            t = c / union if union else 1.0
            first[i] += t
            first[j] += t
            second[i] += t * t
            second[j] += t * t
