"""Strings for training: batches of similar length, each row with its share of latent noise.

Rows are sorted by length and cut into buckets; a batch is drawn with replacement from one bucket,
so that little of it is padding, and is cut to its longest row. The context of a row is (s, e):
s = 0, or, on a share of the rows, uniform in (0, 1), and e ~ N(0, I)
(:mod:`emulant_apps.molecules.networks`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.rng import numpy_rng
from emulant.store.hashing import hash_arrays
from emulant.types import Batch
from emulant_apps.molecules.config import TrainConfig
from emulant_apps.molecules.vocabulary import PAD

__all__ = ["Strings", "training_strings"]

BUCKET = 4096
"""Rows of a bucket."""


class Strings:
    """Encoded strings, a :class:`~emulant.train.Source`.

    Arguments
    ---------
    rows : numbers of tokens (n, length + 2), as :class:`~.vocabulary.Encoded` holds them.
    size : rows B of a batch.
    latent : latent coordinates Z.
    noisy : share of the rows whose latent is made noisy.
    """

    def __init__(self, rows: NDArray[np.uint8], size: int, latent: int, noisy: float = 0.0) -> None:
        if not len(rows):
            raise ValueError("'rows' must hold at least one string")
        lengths = (rows != PAD).sum(1)
        order = numpy_rng(0, "molecules bank").permutation(len(rows))  # no alphabet in a bucket
        order = order[np.argsort(lengths[order], kind="stable")]
        self.order = order
        self.rows = torch.from_numpy(rows[order])
        self.lengths = torch.from_numpy(lengths[order])
        self.size, self.latent, self.noisy = size, latent, noisy
        self.fingerprint = hash_arrays({"rows": self.rows})

    def batch(self, step: int, rng: torch.Generator) -> Batch:
        """Return ``size`` strings (B, T), with their contexts (B, 1 + Z)."""
        del step
        x, _ = self.draw(rng)
        return Batch(x, self._context(rng))

    def draw(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return ``size`` strings of one bucket, cut to the longest, and their places (B,)."""
        some = int(torch.randint(len(self.rows), (1,), generator=rng))
        start = some // BUCKET * BUCKET
        stop = min(len(self.rows), start + BUCKET)
        chosen = torch.randint(start, stop, (self.size,), generator=rng)
        return self.rows[chosen, : int(self.lengths[chosen].max())].long(), chosen

    def _context(self, rng: torch.Generator) -> Tensor | None:
        if not self.noisy:
            return None
        s = torch.rand(self.size, 1, generator=rng)
        s = s * (torch.rand(self.size, 1, generator=rng) < self.noisy)
        return torch.cat([s, torch.randn(self.size, self.latent, generator=rng)], 1)


def training_strings(config: TrainConfig, most: int | None) -> Sequence[str]:
    """Return the SMILES to train on, a file's or the embedded ones: ``most``, drawn at random."""
    if config.data is None:
        from emulant_apps.molecules.corpus import training_set

        strings: Sequence[str] = training_set()
    else:
        from emulant_apps.molecules.data import read_smiles

        strings = read_smiles(config.data, config.column, workers=config.workers)
    if most is not None and len(strings) > most:
        chosen = numpy_rng(config.seed, "molecules subset").permutation(len(strings))
        strings = [strings[k] for k in np.sort(chosen[:most])]
    return strings
