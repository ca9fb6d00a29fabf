"""The mean, and an imputer and a classifier one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from emulant_apps.records.contracts.base import RandomState, TableImputer

__all__ = ["ImputedClassifier", "MeanImputer"]

Array = NDArray[np.float64]


class MeanImputer(TableImputer):
    """Impute by the mean, or the commonest level, of each column.

    Parameters
    ----------
    nominal : "auto" or list
    random_state : ignored
    """

    def __init__(
        self, nominal: str | Sequence[Any] = "auto", random_state: RandomState = None
    ) -> None:
        self.nominal = nominal
        self.random_state = random_state

    def _learn(self, values: Array, seed: int) -> None:  # noqa: ARG002 - no chance
        self.fill_ = np.nanmean(values, 0)
        for j in np.flatnonzero(self.encoding_.levels):
            seen = values[~np.isnan(values[:, j]), j].astype(np.int64)
            self.fill_[j] = np.bincount(seen).argmax()

    def _fill(self, values: Array) -> Array:
        return np.where(np.isnan(values), self.fill_, values)


class ImputedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """An imputer, fitted without the outcome, before a classifier.

    Parameters
    ----------
    imputer, classifier : estimators
    """

    def __init__(self, imputer: Any, classifier: Any) -> None:
        self.imputer = imputer
        self.classifier = classifier

    def fit(self, X: Any, y: Any) -> ImputedClassifier:
        """Learn from ``X`` (n, d), NaN where missing, and ``y`` (n,)."""
        self.imputer_ = clone(self.imputer).fit(X)
        self.classifier_ = clone(self.classifier).fit(self.imputer_.transform(X), y)
        self.classes_ = self.classifier_.classes_
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (n, classes)."""
        return np.asarray(self.classifier_.predict_proba(self.imputer_.transform(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest class of each row."""
        best = self.predict_proba(X).argmax(1)
        labels: NDArray[Any] = self.classes_[best]
        return labels
