"""Out-of-fold risks: everything is fitted inside the folds, and patients never part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from emulant.errors import InputError
from emulant.rng import derive

__all__ = ["out_of_fold", "require_folds"]

Array = NDArray[np.float64]


def require_folds(y: Array, groups: NDArray[Any] | None, folds: int) -> NDArray[np.intp]:
    """Return the patient of each row as a code.

    Raises
    ------
    InputError
        A class has fewer patients than there are folds.
    """
    units = np.arange(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1]
    fewest = min(len(np.unique(units[y == c])) for c in (0.0, 1.0))
    if fewest < folds:
        raise InputError(
            f"--folds: {folds} need as many patients of each class; there are {fewest}"
        )
    return units


def out_of_fold(
    make: Callable[[str, int], Any],
    names: Sequence[str],
    x: Array,
    y: Array,
    groups: NDArray[Any] | None,
    folds: int,
    repeats: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Array]:
    """Return for each model its risks (repeats, n), every patient judged by folds without it.

    Arguments
    ---------
    make : ``make(name, seed)`` gives an unfitted model; what it tunes it tunes on its own rows.
    x, y : rows (n, d) with NaN for holes, outcomes (n,).
    groups : patient of each row; None where each row is one.

    Raises
    ------
    InputError
        A class has fewer patients than there are folds.
    """
    units = require_folds(y, groups, folds)
    risks = {name: np.zeros((repeats, len(y))) for name in names}
    done = 0
    for repeat in range(repeats):
        chance = derive(seed, "folds", repeat) % (1 << 31)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=chance)
        for fold, (train, test) in enumerate(splitter.split(x, y, units)):
            for name in names:
                model = make(name, derive(seed, "model", name, repeat, fold) % (1 << 31))
                model.fit(x[train], y[train])
                risks[name][repeat, test] = model.predict_proba(x[test])[:, 1]
                done += 1
                if progress is not None:
                    progress(done, folds * repeats * len(names))
    return risks
