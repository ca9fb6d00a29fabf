"""Imputers that are networks: the seed's denoising autoencoder, GAIN and MIWAE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.rng import numpy_rng
from emulant_apps.records.contracts.base import RandomState, TableImputer

__all__ = ["GAINImputer", "MIWAEImputer", "StackedDenoisingImputer"]

Array = NDArray[np.float64]


class StackedDenoisingImputer(TableImputer):
    """Impute by a stacked denoising autoencoder that sees which cells are observed.

    The layers are trained one by one to restore the codes below
    (:class:`~emulant.methods.denoising_autoencoder.StackedDenoisingAutoencoder`), then together to
    restore cells that were hidden; only observed cells are paid for. A draw adds the column's
    restoration error.

    Parameters
    ----------
    nominal : "auto" or list
        Columns of named levels.
    hidden : sequence of int
        Widths of the encoder's layers.
    steps, pretraining : int
        Steps together, and before them layer by layer.
    rate : float
        Learning rate at its highest.
    batch : int
        Rows of a step.
    random_state : int, RandomState or None
    """

    def __init__(
        self,
        nominal: str | Sequence[Any] = "auto",
        hidden: Sequence[int] = (128, 64),
        steps: int = 1500,
        pretraining: int = 200,
        rate: float = 2e-3,
        batch: int = 128,
        random_state: RandomState = None,
    ) -> None:
        self.nominal = nominal
        self.hidden = hidden
        self.steps = steps
        self.pretraining = pretraining
        self.rate = rate
        self.batch = batch
        self.random_state = random_state

    def _learn(self, values: Array, seed: int) -> None:
        from emulant_apps.records.train import fit_restorer  # here: torch is slow to import

        self.weights_ = fit_restorer(
            self.encoding_.forth(values), tuple(self.hidden), self.steps, self.pretraining,
            self.rate, self.batch, seed,
        )  # fmt: skip
        self.range_ = _range(self.encoding_.forth(values))

    def _restored(self, values: Array) -> tuple[Array, Array]:
        from emulant_apps.records.sample import restore

        return restore(self.weights_, self.encoding_.forth(values), tuple(self.hidden))

    def _fill(self, values: Array) -> Array:
        mean, _ = self._restored(values)
        return self.encoding_.back(np.clip(mean, *self.range_))

    def _draws(self, values: Array, m: int, seed: int) -> list[Array]:
        mean, sd = self._restored(values)
        drawn = []
        for k in range(m):
            e = numpy_rng(seed, "restorer", k).standard_normal(mean.shape)
            drawn.append(self.encoding_.back(np.clip(mean + sd * e, *self.range_)))
        return drawn


class GAINImputer(TableImputer):
    """Impute by generative adversarial nets (:mod:`emulant_apps.records.methods.gain`).

    Parameters
    ----------
    nominal : "auto" or list
    hidden : sequence of int
        Widths of both networks.
    steps : int
    rate, alpha, hint : float
        Learning rate; price of the squared error; share of the mask that is told.
    batch : int
    random_state : int, RandomState or None
    """

    def __init__(
        self,
        nominal: str | Sequence[Any] = "auto",
        hidden: Sequence[int] = (64, 64),
        steps: int = 1500,
        rate: float = 1e-3,
        alpha: float = 10.0,
        hint: float = 0.9,
        batch: int = 128,
        random_state: RandomState = None,
    ) -> None:
        self.nominal = nominal
        self.hidden = hidden
        self.steps = steps
        self.rate = rate
        self.alpha = alpha
        self.hint = hint
        self.batch = batch
        self.random_state = random_state

    def _learn(self, values: Array, seed: int) -> None:
        from emulant_apps.records.train import fit_gain

        x = self.encoding_.forth(values)
        self.weights_ = fit_gain(
            x, tuple(self.hidden), self.steps, self.rate, self.batch, self.alpha, self.hint, seed
        )
        self.range_ = _range(x)

    def _fill(self, values: Array) -> Array:
        return self._draws(values, 1, 0)[0]

    def _draws(self, values: Array, m: int, seed: int) -> list[Array]:
        from emulant_apps.records.sample import gain_fill

        x = self.encoding_.forth(values)
        made = [gain_fill(self.weights_, x, tuple(self.hidden), seed + k) for k in range(m)]
        return [self.encoding_.back(np.clip(one, *self.range_)) for one in made]


class MIWAEImputer(TableImputer):
    """Impute by an importance-weighted autoencoder (:mod:`emulant_apps.records.methods.miwae`).

    Parameters
    ----------
    nominal : "auto" or list
    hidden : sequence of int
        Widths of encoder and decoder.
    codes : int
        Length of a code.
    steps, batch, draws : int
        Steps; rows of a step; codes drawn a row in training.
    inference : int
        Codes drawn a row when imputing.
    rate : float
    random_state : int, RandomState or None
    """

    def __init__(
        self,
        nominal: str | Sequence[Any] = "auto",
        hidden: Sequence[int] = (64, 64),
        codes: int = 10,
        steps: int = 1500,
        batch: int = 64,
        draws: int = 10,
        inference: int = 200,
        rate: float = 1e-3,
        random_state: RandomState = None,
    ) -> None:
        self.nominal = nominal
        self.hidden = hidden
        self.codes = codes
        self.steps = steps
        self.batch = batch
        self.draws = draws
        self.inference = inference
        self.rate = rate
        self.random_state = random_state

    def _learn(self, values: Array, seed: int) -> None:
        from emulant_apps.records.train import fit_miwae

        x = self.encoding_.forth(values)
        self.weights_ = fit_miwae(
            x, tuple(self.hidden), self.codes, self.steps, self.rate, self.batch, self.draws, seed
        )
        self.range_ = _range(x)

    def _filled(self, values: Array, m: int, seed: int) -> tuple[Array, list[Array]]:
        from emulant_apps.records.sample import miwae_fill

        x = self.encoding_.forth(values)
        mean, drawn = miwae_fill(
            self.weights_, x, tuple(self.hidden), self.codes, self.inference, m, seed
        )
        back = [self.encoding_.back(np.clip(one, *self.range_)) for one in (mean, *drawn)]
        return back[0], back[1:]

    def _fill(self, values: Array) -> Array:
        return self._filled(values, 0, 0)[0]

    def _draws(self, values: Array, m: int, seed: int) -> list[Array]:
        return self._filled(values, m, seed)[1]


def _range(x: Array) -> tuple[Array, Array]:
    """Return the observed range of each encoded column."""
    return np.nanmin(x, 0), np.nanmax(x, 0)
