"""What all classifiers share: scikit-learn's contract, encoded columns, masks of holes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from emulant_apps.records.contracts.base import RandomState, checked, seed_of
from emulant_apps.records.encoding import fit_encoding

__all__ = ["TableClassifier"]

Array = NDArray[np.float64]


class TableClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A classifier of rows with holes.

    A subclass implements ``_learn(x, label, seed)`` and ``_risks(x) -> (n, classes)`` on encoded
    rows (n, D) with NaN in their holes.

    Attributes
    ----------
    classes_ : the labels, sorted.
    """

    random_state: RandomState
    nominal: Sequence[int]

    def fit(self, X: Any, y: Any) -> TableClassifier:
        """Learn from ``X`` (n, d), NaN where missing, and labels ``y`` (n,)."""
        values, label = self._labelled(X, y)
        self._learn(self.encoding_.forth(values), label, seed_of(self.random_state))
        return self

    def _labelled(self, X: Any, y: Any) -> tuple[Array, NDArray[np.int64]]:
        """Check and keep; return numbers and codes of labels."""
        values, labels = checked(self, X, y)
        check_classification_targets(labels)
        self.classes_, label = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("'y' must hold at least two classes, got 1 class")
        counts = np.zeros(values.shape[1], np.int64)
        for j in self.nominal:
            seen = values[~np.isnan(values[:, j]), j]
            counts[j] = int(seen.max()) + 1 if len(seen) else 0
        empty = np.isnan(values).all(0)
        if empty.any():
            place = np.flatnonzero(empty)[0]
            raise ValueError(f"'X' must have an observed cell in each column, got none in {place}")
        self.encoding_ = fit_encoding(values, counts.tolist())
        return values, label.astype(np.int64)

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (n, classes)."""
        check_is_fitted(self)
        values = checked(self, X, reset=False)
        return self._risks(self.encoding_.forth(values))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest class of each row."""
        best = self.predict_proba(X).argmax(1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def _learn(self, x: Array, label: NDArray[np.int64], seed: int) -> None:
        raise NotImplementedError

    def _risks(self, x: Array) -> Array:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def with_masks(x: Array, holes: NDArray[np.intp]) -> Array:
    """Return encoded rows with zeros in their holes, and the masks of the columns ``holes``."""
    gone = np.isnan(x)
    return np.concatenate([np.where(gone, 0.0, x), gone[:, holes].astype(np.float64)], 1)


def holes_of(x: Array, owner: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return one encoded place for each column that has holes in at least 0.5 % of the rows."""
    first = np.unique(owner, return_index=True)[1]
    rate = np.isnan(x[:, first]).mean(0)
    return np.asarray(first[(rate > 0.005) & (rate < 0.995)], dtype=np.intp)
