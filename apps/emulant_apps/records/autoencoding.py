"""Synthetic patients by a variational autoencoder, with or without differential privacy.

Numbers become normal scores by their margins, nominal columns one-hot levels; an autoencoder of
few codes learns how they go together; drawn scores go back by the same margins. With privacy the
margins are noised counts and the training is DP-SGD (:mod:`emulant_apps.records.privacy`,
:mod:`emulant_apps.records.methods.differential_privacy`).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.rng import derive, numpy_rng
from emulant_apps.records.copula import Quantiles, fit_quantiles
from emulant_apps.records.privacy import Mechanism, epsilon_of, noise_for, private_margins
from emulant_apps.records.schema import Column

__all__ = ["Budget", "Recipe", "spend", "synthesise_rows"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the autoencoder is trained."""

    hidden: tuple[int, ...] = (64,)
    codes: int = 8
    steps: int = 1500
    rate: float = 2e-3
    batch: int = 128
    clip: float = 1.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a private run may spend, and the noise that keeps it within."""

    epsilon: float
    delta: float
    margins: float
    """Noise multiplier of the counts behind the margins."""
    training: float
    """Noise multiplier of a step."""
    spent: float
    """Epsilon that the accountant finds, at most ``epsilon``."""


def spend(epsilon: float, delta: float, n: int, recipe: Recipe) -> Budget:
    """Return the noise by which ``recipe`` on ``n`` patients keeps (epsilon, delta).

    Raises
    ------
    InputError
        It cannot be kept, ``delta`` is too large for ``n``, or opacus is not installed.
    """
    if delta * n >= 1:
        raise InputError(f"--delta: must be below 1 / {n}, one over the patients, got {delta:g}")
    rate = recipe.batch / n
    margins, training = noise_for(epsilon, delta, rate, recipe.steps)
    both = [Mechanism(margins, 1.0, 1), Mechanism(training, rate, recipe.steps)]
    return Budget(epsilon, delta, margins, training, epsilon_of(both, delta))


def synthesise_rows(
    columns: Sequence[Column],
    values: Array,
    count: int,
    recipe: Recipe,
    seed: int,
    budget: Budget | None = None,
    secret: int | None = None,
) -> Array:
    """Return ``count`` rows (count, d) without holes, like ``values`` (n, d).

    Arguments
    ---------
    budget : noise of a private run; None for none.
    secret : seed of a private run; drawn by the operating system, and forgotten, if None.
    """
    from emulant_apps.records.sample import autoencoded  # here: torch is slow to import
    from emulant_apps.records.train import fit_autoencoder

    nominal = [c.kind == "nominal" for c in columns]
    numbers, named = np.flatnonzero(~np.array(nominal)), np.flatnonzero(nominal)
    levels = [max(len(c.levels), 1) for c in columns if c.kind == "nominal"]
    if budget is None:
        margins, privacy, chance = fit_quantiles(values[:, numbers]), None, seed
    else:
        chance = secrets.randbits(62) if secret is None else secret
        low, high = _ends(columns, values, numbers)
        rng = numpy_rng(chance, "private margins")
        margins = private_margins(values[:, numbers], low, high, budget.margins, rng)
        privacy = (recipe.clip, budget.training)
    events = _events(values, margins, numbers, named, levels)
    shape = (len(numbers), levels, recipe.hidden, recipe.codes)
    weights = fit_autoencoder(
        events, *shape, recipe.steps, recipe.rate, min(recipe.batch, len(values)),
        derive(chance, "autoencoder"), privacy,
    )  # fmt: skip
    made = autoencoded(weights, count, *shape, derive(chance, "drawn"))
    out = np.empty((count, len(columns)))
    for place, j in enumerate(numbers):
        out[:, j] = margins.back(made[:, place], place)
    start = 2 * len(numbers)
    for j, k in zip(named, levels, strict=True):
        out[:, j] = made[:, start : start + k].argmax(1)
        start += k
    return out


def _ends(
    columns: Sequence[Column], values: Array, numbers: NDArray[np.intp]
) -> tuple[Array, Array]:
    """Return the ends of the columns of numbers: the schema's, or the table's own."""
    seen = values[:, numbers]
    low = np.array([columns[j].low for j in numbers], dtype=np.float64)
    high = np.array([columns[j].high for j in numbers], dtype=np.float64)
    low = np.where(np.isnan(low), np.nanmin(seen, 0), low)
    high = np.where(np.isnan(high), np.nanmax(seen, 0), high)
    return low, np.where(high > low, high, low + 1.0)


def _events(
    values: Array,
    margins: Quantiles,
    numbers: NDArray[np.intp],
    named: NDArray[np.intp],
    levels: Sequence[int],
) -> Array:
    """Return rows as the autoencoder reads them: scores, whether they were seen, one-hot levels."""
    z = margins.forth(values[:, numbers])
    seen = ~np.isnan(z)
    shown = [values[:, j, None] == np.arange(k) for j, k in zip(named, levels, strict=True)]
    return np.concatenate([np.where(seen, z, 0.0), seen, *shown], 1).astype(np.float64)
