r"""MACCS keys as arrays, and whether drawn ones are like true ones.

Notation: x (n, 166) bits, p_i = mean x_i, r_ij the correlation of two bits, |x| the number of bits
of a molecule. Three numbers compare drawn fingerprints with held-out ones, each beside the same of
held-out ones with others (*truth against truth*), the floor:

    frequencies   root mean square over i of p_i - p'_i
    pairs         root mean square over i < j of r_ij - r'_ij, among bits that vary in both
    bits          Wasserstein distance of |x|

and the nearest: the mean Tanimoto of a fingerprint to the nearest of the held-out ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from emulant.parallel import chunked_map
from emulant_apps.molecules.chemistry.similarity import KEYS, keys_of
from emulant_apps.molecules.tanimoto import Index

__all__ = ["KeyReport", "compare", "keys_of_all", "report_text"]

CHUNK = 1000
Bits = NDArray[np.uint8]


def keys_of_all(smiles: Sequence[str], workers: int | None = 1) -> Bits:
    """Return the MACCS keys of SMILES, shape (n, 166); no bits where one is no molecule."""
    parts = chunked_map(_Keys(smiles), len(smiles), CHUNK, 0, workers)
    return np.concatenate([np.zeros((0, KEYS), dtype=np.uint8), *parts])


class _Keys:
    """Keys of one chunk; picklable."""

    def __init__(self, smiles: Sequence[str]) -> None:
        self.smiles = smiles

    def __call__(self, start: int, size: int, seed: int) -> Bits:
        del seed
        return keys_of(self.smiles[start : start + size])


@dataclass(frozen=True, slots=True)
class KeyReport:
    """How far two sets of fingerprints are from each other."""

    frequencies: float
    pairs: float
    bits: float
    nearest: float


def compare(drawn: Bits, truth: Bits) -> KeyReport:
    """Return the distances of drawn fingerprints to true ones, both (n, 166)."""
    far = drawn.mean(axis=0) - truth.mean(axis=0)
    vary = (drawn.std(axis=0) > 0) & (truth.std(axis=0) > 0)
    upper = np.triu_indices(int(vary.sum()), 1)
    correlations = [_correlations(x[:, vary])[upper] for x in (drawn, truth)]
    counts = [x.sum(axis=1, dtype=np.int64) for x in (drawn, truth)]
    _, alike = Index(np.packbits(truth, axis=1)).nearest(np.packbits(drawn, axis=1))
    return KeyReport(
        float(np.sqrt(np.mean(far**2))),
        float(np.sqrt(np.mean((correlations[0] - correlations[1]) ** 2))),
        float(wasserstein_distance(*counts)),
        float(alike.mean()),
    )


def _correlations(bits: Bits) -> NDArray[np.float64]:
    """Return the correlations of columns that vary, shape (K, K)."""
    u = (bits - bits.mean(axis=0)) / bits.std(axis=0)
    products: NDArray[np.float64] = u.T @ u / len(u)
    return products


def report_text(found: KeyReport, floor: KeyReport) -> list[list[str]]:
    """Return rows of the name, drawn against truth, truth against truth."""
    names = {
        "frequencies": "frequencies of bits, rms",
        "pairs": "correlations of pairs, rms",
        "bits": "number of bits, Wasserstein",
        "nearest": "nearest true one, mean Tanimoto",
    }
    return [
        [words, f"{getattr(found, name):.4f}", f"{getattr(floor, name):.4f}"]
        for name, words in names.items()
    ]
