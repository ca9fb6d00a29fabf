r"""Chained equations: scikit-learn's IterativeImputer with Bayesian ridge regression.

With *predictive mean matching* a hole takes an observed value: that of one of the ``donors`` rows
whose predictions are nearest to its own. Best guesses take the mean of the donors, draws one of
them, after the coefficients have been drawn from their posterior.

- van Buuren, Flexible Imputation of Missing Data, 2nd ed. 2018, section 3.4,
  https://stefvanbuuren.name/fimd/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - scikit-learn asks for it
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge

from emulant.rng import derive, numpy_rng
from emulant_apps.records.contracts.base import RandomState, TableImputer

__all__ = ["ChainedEquationsImputer", "MatchedMeans"]

Array = NDArray[np.float64]


class MatchedMeans(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Bayesian ridge regression whose predictions are values of the nearest training rows."""

    def __init__(self, donors: int = 5, draw: bool = False, seed: int = 0) -> None:
        self.donors = donors
        self.draw = draw
        self.seed = seed

    def fit(self, X: Array, y: Array) -> MatchedMeans:
        """Learn, and keep the predictions and values of the donors in order."""
        model = BayesianRidge().fit(X, y)
        beta = model.coef_
        rng = numpy_rng(self.seed, "matched means")
        if self.draw:
            root = np.linalg.cholesky(model.sigma_ + 1e-12 * np.eye(len(beta)))
            beta = beta + root @ rng.standard_normal(len(beta))
        fitted = X @ model.coef_ + model.intercept_
        order = np.argsort(fitted, kind="stable")
        self.coef_, self.intercept_ = beta, model.intercept_
        self.means_, self.values_ = fitted[order], np.asarray(y)[order]
        return self

    def predict(self, X: Array) -> Array:
        """Return values of donors: their mean, or one that is drawn."""
        mean = X @ self.coef_ + self.intercept_
        k = min(self.donors, len(self.means_))
        first = np.searchsorted(self.means_, mean) - k
        window = np.clip(first[:, None] + np.arange(2 * k), 0, len(self.means_) - 1)
        gap = np.abs(self.means_[window] - mean[:, None])
        gap[:, 1:][window[:, 1:] == window[:, :-1]] = np.inf
        near = np.take_along_axis(window, np.argsort(gap, axis=1, kind="stable")[:, :k], 1)
        if not self.draw:
            return np.asarray(self.values_[near].mean(1))
        pick = numpy_rng(self.seed, "donors", len(mean)).integers(k, size=len(mean))
        return np.asarray(self.values_[near[np.arange(len(mean)), pick]])


class ChainedEquationsImputer(TableImputer):
    """Impute column by column, each from all others, round and round.

    Parameters
    ----------
    nominal : "auto" or list
        Columns of named levels; their indicators are imputed as numbers.
    matching : bool
        Predictive mean matching; without it the regression's mean, and draws from its posterior.
    donors : int
        Rows among which a match is drawn.
    rounds : int
        Sweeps over the columns.
    chains : int
        Fits behind the draws, each on its own chain.
    random_state : int, RandomState or None
    """

    def __init__(
        self,
        nominal: str | Sequence[Any] = "auto",
        matching: bool = True,
        donors: int = 5,
        rounds: int = 10,
        chains: int = 5,
        random_state: RandomState = None,
    ) -> None:
        self.nominal = nominal
        self.matching = matching
        self.donors = donors
        self.rounds = rounds
        self.chains = chains
        self.random_state = random_state

    def _learn(self, values: Array, seed: int) -> None:
        x = self.encoding_.forth(values)
        self.seed_ = seed
        self.low_, self.high_ = np.nanmin(x, 0), np.nanmax(x, 0)
        self.best_ = self._chain(x, None)
        self.chains_ = [self._chain(x, k) for k in range(self.chains)]

    def _chain(self, x: Array, k: int | None) -> IterativeImputer:
        """Return one fitted chain: of best guesses, or the k-th that draws."""
        draw = k is not None
        seed = derive(self.seed_, "chain", -1 if k is None else k) % (1 << 31)
        if self.matching:
            estimator: Any = MatchedMeans(self.donors, draw, seed)
        else:
            estimator = BayesianRidge()
        imputer = IterativeImputer(
            estimator,
            max_iter=self.rounds,
            tol=1e-2,
            sample_posterior=draw and not self.matching,
            min_value=self.low_ - 1e-9,
            max_value=self.high_ + 1e-9,
            keep_empty_features=True,
            random_state=seed,
        )
        import warnings

        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the rounds are the caller's
            return imputer.fit(x)

    def _fill(self, values: Array) -> Array:
        return self.encoding_.back(self.best_.transform(self.encoding_.forth(values)))

    def _draws(self, values: Array, m: int, seed: int) -> list[Array]:
        if not self.chains:
            raise ValueError("'chains' must be positive for draws, got 0")
        x = self.encoding_.forth(values)
        drawn = []
        for k in range(m):
            chain = self.chains_[k % self.chains]
            if k >= self.chains or seed != 0:  # a chain of its own
                chain = _reseeded(chain, derive(seed, "chained draw", k) % (1 << 31), self.matching)
            drawn.append(self.encoding_.back(chain.transform(x)))
        return drawn


def _reseeded(chain: IterativeImputer, seed: int, matching: bool) -> IterativeImputer:
    """Return a copy of a fitted chain whose draws differ."""
    from copy import deepcopy

    other = deepcopy(chain)
    other.random_state_ = np.random.RandomState(seed)
    if matching:
        for k, triplet in enumerate(other.imputation_sequence_):
            triplet.estimator.seed = derive(seed, k) % (1 << 31)
    return other
