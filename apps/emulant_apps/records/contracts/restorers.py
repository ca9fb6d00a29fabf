"""The seed's network as a candidate of the hybrid: one a fold, asked for cells it never saw.

Each network is a stacked denoising autoencoder (:func:`emulant_apps.records.train.fit_restorer`)
of the rows of the other folds. Of a row of its own fold it is asked for every observed cell with
that cell hidden, behind the row's own mask; of a new row all networks are asked, and their mean is
taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulant.rng import derive

__all__ = ["Restorers", "fit_restorers"]

Array = NDArray[np.float64]

HIDDEN = (128, 64)
PRETRAINING = 0.25
"""Steps a layer, for each step of the network as a whole."""
RATE = 2e-3
BATCH = 128


@dataclass(frozen=True, slots=True, eq=False)
class Restorers:
    """The networks of the folds."""

    weights: list[dict[str, NDArray[np.float32]]]

    def __call__(self, x: Array) -> Array:
        """Return what they make of the cells of ``x`` (n, D) on average."""
        from emulant_apps.records.sample import restore  # here: torch is slow to import

        return np.asarray(np.mean([restore(w, x, HIDDEN)[0] for w in self.weights], axis=0))

    def left_out(self, k: int, x: Array, blocks: Sequence[NDArray[np.intp]]) -> Array:
        """Return what network ``k`` makes of each cell of ``x`` without it, (n, D).

        The columns of a block are left out together.
        """
        from emulant_apps.records.sample import restore

        inside = np.concatenate([*blocks, np.zeros(0, np.intp)])
        alone = np.setdiff1d(np.arange(x.shape[1]), inside)[:, None]
        made = np.empty(x.shape)
        for columns in [*alone, *blocks]:
            without = x.copy()
            without[:, columns] = np.nan
            made[:, columns] = restore(self.weights[k], without, HIDDEN)[0][:, columns]
        return made


def fit_restorers(x: Array, parts: Sequence[NDArray[np.bool_]], steps: int, seed: int) -> Restorers:
    """Return one network for each of ``parts`` (n,), fitted to the other rows of ``x`` (n, D)."""
    from emulant_apps.records.train import fit_restorer

    before = max(1, round(PRETRAINING * steps))
    return Restorers(
        [
            fit_restorer(x[~part], HIDDEN, steps, before, RATE, BATCH, derive(seed, "restorer", k))
            for k, part in enumerate(parts)
        ]
    )
