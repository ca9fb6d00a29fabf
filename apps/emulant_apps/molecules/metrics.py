r"""The metrics of MOSES, in numpy, and the Fréchet ChemNet distance.

Notation: G the generated molecules that are valid (repeats included), T true ones, Tc the
Tanimoto similarity of Morgan fingerprints (radius 2, 1024 bits), cos the cosine of counts.

    SNN(G, T)    mean over g of max over t of Tc(g, t)
    Frag, Scaf   cos of the counts of BRICS fragments, of Murcko scaffolds with two rings or more
    IntDiv_p     1 - mean over g of (mean over g' of Tc(g, g')^p)^(1/p), as MOSES's code has it
    W(x)         Wasserstein distance of a property
    FCD          Fréchet distance of ChemNet activations: |m - m'|² + tr(S + S' - 2 (S S')^½)

The empty string, which RDKit reads as a molecule without atoms, is no molecule here.
FCD falls with n: below 10,000 molecules it is refused, and n is always beside it.

- Polykovskiy et al., 2020, https://doi.org/10.3389/fphar.2020.565644
- Preuer et al., Fréchet ChemNet Distance, 2018, https://doi.org/10.1021/acs.jcim.8b00234
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from emulant.errors import InputError
from emulant.parallel import chunked_map
from emulant_apps.molecules.chemistry.features import NUMBERS, Features, features_of
from emulant_apps.molecules.chemistry.parse import parse
from emulant_apps.molecules.tanimoto import Index, mean_similarities

__all__ = [
    "LEAST_FCD",
    "Described",
    "Metrics",
    "chemnet_distance",
    "cosine",
    "describe",
    "frechet_chemnet",
    "measure",
    "nearest_similarity",
]

LEAST_FCD = 10_000
"""Molecules on either side below which the FCD says nothing."""
CHUNK = 250
BITS = 1024
AT_ONCE = 2048
"""Molecules that ChemNet is given at once: about a gigabyte."""


@dataclass(frozen=True, eq=False)
class Described:
    """Strings, and the features of those that are molecules."""

    strings: tuple[str, ...]
    valid: NDArray[np.bool_]
    """(number of strings,)."""
    features: tuple[Features, ...]
    """Of the valid ones, in order."""

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Properties, shape (n valid, K)."""
        rows = [f.numbers for f in self.features]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(NUMBERS))

    @property
    def bits(self) -> NDArray[np.uint8]:
        """Packed fingerprints, shape (n valid, 128)."""
        rows = [f.bits for f in self.features]
        return np.array(rows, dtype=np.uint8).reshape(len(rows), BITS // 8)


@dataclass(frozen=True, slots=True)
class Metrics:
    """One row of MOSES's table; None where it cannot be said."""

    n: int
    valid: float
    unique_1k: float | None
    unique_10k: float | None
    novelty: float | None
    fcd: float | None
    fcd_n: int | None
    """Molecules on the smaller side of the FCD."""
    snn: float | None
    frag: float | None
    scaf: float | None
    int_div: float | None
    int_div_2: float | None
    filters: float | None
    wasserstein: dict[str, float] | None
    """Of logP, SA, QED and weight."""


class _Features:
    """Features of one chunk; picklable."""

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings = strings

    def __call__(self, start: int, size: int, seed: int) -> list[Features | None]:
        del seed
        return features_of(self.strings[start : start + size])


def describe(
    strings: Sequence[str],
    workers: int | None = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Described:
    """Return the features of ``strings``, each different one computed once."""
    once = tuple(dict.fromkeys(strings))
    chunks = chunked_map(_Features(once), len(once), CHUNK, 0, workers, progress)
    found = dict(zip(once, (x for chunk in chunks for x in chunk), strict=True))
    rows = [found[text] for text in strings]
    kept = tuple(row for row in rows if row is not None)
    return Described(tuple(strings), np.array([row is not None for row in rows]), kept)


def measure(
    drawn: Described,
    truth: Described,
    training: frozenset[str] | None = None,
    fcd: bool = True,
) -> Metrics:
    """Return the metrics of ``drawn`` against ``truth``.

    Parameters
    ----------
    training
        Canonical SMILES that the generator was fitted to.
    fcd
        Whether the FCD is computed, where fcd_torch is installed and n is enough.
    """
    smiles = [f.smiles for f in drawn.features]
    if not smiles:
        return Metrics(len(drawn.strings), 0.0, *(None,) * 12)
    different = set(smiles)
    numbers, true = drawn.numbers, truth.numbers
    distance, n = (None, None)
    least = min(len(smiles), len(truth.features))
    if fcd and least >= LEAST_FCD and find_spec("fcd_torch") is not None:
        distance, n = frechet_chemnet(_readable(drawn), _readable(truth)), least
    alike, squared = mean_similarities(drawn.bits)
    return Metrics(
        n=len(drawn.strings),
        valid=float(drawn.valid.mean()),
        unique_1k=_unique(smiles, 1000),
        unique_10k=_unique(smiles, 10_000),
        novelty=None if training is None else len(different - training) / len(different),
        fcd=distance,
        fcd_n=n,
        snn=float(nearest_similarity(drawn.bits, truth.bits).mean()),
        frag=cosine(_fragments(drawn), _fragments(truth)),
        scaf=cosine(_scaffolds(drawn), _scaffolds(truth)),
        int_div=float(1 - alike.mean()),
        int_div_2=float(1 - np.sqrt(squared).mean()),
        filters=float(np.mean([f.clean for f in drawn.features])),
        wasserstein={
            name: float(wasserstein_distance(numbers[:, k], true[:, k]))
            for k, name in enumerate(NUMBERS[:4])
        },
    )


def cosine(first: Counter[str], second: Counter[str]) -> float | None:
    """Return the cosine of two counts; None where one is empty.

    >>> cosine(Counter("aab"), Counter("aab"))
    1.0
    """
    if not first or not second:
        return None
    keys = sorted(first.keys() | second.keys())
    a, b = (np.array([c[key] for key in keys], dtype=np.float64) for c in (first, second))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def nearest_similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the greatest Tanimoto of each packed row of ``first`` to any of ``second``."""
    return Index(second).nearest(first)[1]


def _unique(smiles: Sequence[str], k: int) -> float | None:
    """Return the share of different molecules among the first ``k``; None where there are less."""
    return len(set(smiles[:k])) / k if len(smiles) >= k else None


def _readable(described: Described) -> list[str]:
    """Return the molecules as SMILES that can be read: RDKit cannot read all that it writes."""
    texts = [text for text, good in zip(described.strings, described.valid, strict=True) if good]
    return [
        text if parse(feature.smiles) is None else feature.smiles
        for text, feature in zip(texts, described.features, strict=True)
    ]


def _fragments(described: Described) -> Counter[str]:
    return Counter(x for f in described.features for x in f.fragments)


def _scaffolds(described: Described) -> Counter[str]:
    return Counter(f.scaffold for f in described.features if f.scaffold is not None)


def frechet_chemnet(drawn: Sequence[str], truth: Sequence[str]) -> float:
    """Return the FCD of two lists of SMILES.

    Raises
    ------
    InputError
        There are fewer than 10,000 on a side, or fcd_torch is not installed.
    """
    least = min(len(drawn), len(truth))
    if least < LEAST_FCD:
        raise InputError(f"FCD: needs {LEAST_FCD:,} molecules on each side, got {least:,}")
    if find_spec("fcd_torch") is None:
        raise InputError("FCD: needs fcd_torch; pip install 'emulant[metrics]'")
    return chemnet_distance(drawn, truth)


def chemnet_distance(drawn: Sequence[str], truth: Sequence[str]) -> float:
    """Return the same of any number of molecules; it falls with the number."""
    return float(_chemnet().metric(_true_moments(tuple(truth)), _moments(drawn)))


@lru_cache(maxsize=1)
def _chemnet() -> Any:
    from fcd_torch import FCD

    return FCD(device="cpu", n_jobs=1)


@lru_cache(maxsize=1)  # one truth judges many
def _true_moments(truth: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    return _moments(truth)


def _moments(smiles: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return the mean and the covariance of ChemNet's activations.

    By parts, for the net holds every layer's output of what it is given at once.
    """
    net, starts = _chemnet(), range(0, len(smiles), AT_ONCE)
    rows = np.concatenate([net.get_predictions(list(smiles[k : k + AT_ONCE])) for k in starts])
    return {"mu": rows.mean(0), "sigma": np.cov(rows.T)}
