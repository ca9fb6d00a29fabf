"""Two-sample test by a small network on the arrays themselves.

Trees and regression see the summary vector that they are given. A convolution net looks at the
cells: it finds a wrong direction, handedness or texture that power spectra and one-point
distributions cannot tell from truth. Vectors get a multilayer perceptron.

The area under the ROC curve, its error and its null are those of
:mod:`emulant.certify.classifier`; the network and its training those of
:mod:`emulant.certify.distinguisher`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.classifier import CrossFitted, area_under_curve, unit_folds
from emulant.certify.evidence import Evidence, Pair
from emulant.certify.statistic import Tolerance
from emulant.certify.summaries import TABLE_WIDTH, grid_axes

__all__ = ["NetworkTest"]


@dataclass(frozen=True, slots=True)
class NetworkTest:
    """Classifier two-sample test on raw arrays: the cross-fitted area under the ROC curve."""

    tolerance: Tolerance | None = Tolerance(  # noqa: RUF009 (frozen)
        0.05, by="the default: area under the curve at most 0.55"
    )
    most: int = 4000
    folds: int = 2
    steps: int = 200
    replicates: int = 200
    name: str = "network"

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence | None:
        """Return the area under the curve; expected is one half."""
        if pair.raw_y.dtype.kind not in "biuf":
            return None
        few = pair.thin(self.most, rng)
        x_fold, y_fold = (unit_folds(u, self.folds, rng) for u in (few.x_unit, few.y_unit))
        if x_fold is None or y_fold is None:
            return None
        from emulant.certify.distinguisher import held_out_logits  # torch

        logits = held_out_logits(
            _channels(few.raw_x), _channels(few.raw_y), (x_fold, y_fold), self.folds, self.steps,
            int(rng.integers(2**62)),
        )  # fmt: skip
        fitted = CrossFitted.of(logits[:, None], few, (x_fold, y_fold))
        kind = "multilayer perceptron" if _is_row(few.raw_y) else "convolution net"
        note = f"{kind} on the arrays, {self.folds} folds"
        return area_under_curve(fitted, self.folds, self.replicates, rng, note)


def _is_row(raw: NDArray[Any]) -> bool:
    return raw.ndim == 1 or (raw.ndim == 2 and raw.shape[1] <= TABLE_WIDTH)


def _channels(raw: NDArray[Any]) -> NDArray[Any]:
    """Return rows (n, K), or grids as (n, C, *grid) of one to three axes longer than one."""
    if _is_row(raw):
        return raw.reshape(len(raw), -1)
    grid = tuple(raw.shape[a] for a in grid_axes(raw) if raw.shape[a] > 1)
    return raw.reshape(len(raw), -1, *grid)
