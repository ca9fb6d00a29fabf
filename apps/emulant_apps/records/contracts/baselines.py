"""What a network has to beat: logistic regression with missing indicators, and boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from emulant.errors import InputError
from emulant_apps.records.contracts.base import RandomState
from emulant_apps.records.contracts.boosting import exported
from emulant_apps.records.contracts.classifying import TableClassifier, holes_of, with_masks
from emulant_apps.records.contracts.hybrid import HybridImputer

__all__ = ["BlendedClassifier", "BoostedClassifier", "IndicatorLogistic", "LightGBMClassifier"]

Array = NDArray[np.float64]

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""C of the logistic regressions that are compared inside the training rows."""


FOLDS = 3
WIDE = 60
"""Encoded columns beyond which a blend imputes by means."""
SHARES = np.linspace(0.0, 1.0, 11)
"""Shares of the logistic regression in a blend that are compared inside the training rows."""


class IndicatorLogistic(TableClassifier):
    """Logistic regression on imputed columns and the masks of their holes.

    Parameters
    ----------
    nominal : sequence of int
        Columns of codes 0, 1, ...
    imputer : "mean" or "hybrid"
        What fills the holes.
    penalties : sequence of float
        Candidates for C; the best by log loss in three inner folds.
    random_state : int, RandomState or None
    """

    def __init__(
        self,
        nominal: Sequence[int] = (),
        imputer: str = "mean",
        penalties: Sequence[float] = PENALTIES,
        random_state: RandomState = None,
    ) -> None:
        self.nominal = nominal
        self.imputer = imputer
        self.penalties = penalties
        self.random_state = random_state

    def _learn(self, x: Array, label: NDArray[np.int64], seed: int) -> None:
        if self.imputer not in ("mean", "hybrid"):
            raise ValueError(f"'imputer' must be 'mean' or 'hybrid', got {self.imputer!r}")
        self.holes_ = holes_of(x, self.encoding_.owner)
        self.filler_ = None
        if self.imputer == "hybrid" and np.isnan(x).any():
            self.filler_ = HybridImputer(
                network=0, boosting=0, mnar=False, bootstraps=0, random_state=seed
            )
            self.filler_.fit(x)
        design = self._design(x)
        best = self.penalties[0]
        smallest = int(np.bincount(label).min())
        if len(self.penalties) > 1 and smallest >= 3:
            folds = StratifiedKFold(3, shuffle=True, random_state=seed % (1 << 31))
            losses = np.zeros(len(self.penalties))
            for train, test in folds.split(design, label):
                for k, c in enumerate(self.penalties):
                    model = _logistic(c).fit(design[train], label[train])
                    risk = model.predict_proba(design[test])
                    losses[k] += log_loss(label[test], risk, labels=np.arange(len(self.classes_)))
            best = self.penalties[int(losses.argmin())]
        self.penalty_ = best
        self.model_ = _logistic(best).fit(design, label)

    def _design(self, x: Array) -> Array:
        full = with_masks(x, self.holes_)
        if self.filler_ is not None:
            full[:, : x.shape[1]] = self.filler_.transform(x)
        return full

    def _risks(self, x: Array) -> Array:
        return np.asarray(self.model_.predict_proba(self._design(x)))


def _logistic(c: float) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=500)


class BoostedClassifier(TableClassifier):
    """Histogram gradient boosting, which takes holes as they are; two classes.

    After the fit the trees are plain arrays (:class:`emulant_apps.records.trees.Forest`).

    Parameters
    ----------
    nominal : sequence of int
        Columns of codes 0, 1, ...
    iterations, leaves, least : int
        Trees, leaves of a tree, rows of a leaf.
    rate, l2, share : float
        Learning rate; penalty on leaves; share of the columns that a split looks at.
    random_state : int, RandomState or None
    """

    def __init__(
        self,
        nominal: Sequence[int] = (),
        iterations: int = 250,
        leaves: int = 8,
        least: int = 20,
        rate: float = 0.04,
        l2: float = 5.0,
        share: float = 0.3,
        random_state: RandomState = None,
    ) -> None:
        self.nominal = nominal
        self.iterations = iterations
        self.leaves = leaves
        self.least = least
        self.rate = rate
        self.l2 = l2
        self.share = share
        self.random_state = random_state

    def _learn(self, x: Array, label: NDArray[np.int64], seed: int) -> None:
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass."
            )
        model = HistGradientBoostingClassifier(
            max_iter=self.iterations,
            learning_rate=self.rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.least,
            l2_regularization=self.l2,
            max_features=self.share,
            early_stopping=False,
            random_state=seed % (1 << 31),
        )
        self.forest_ = exported(model.fit(x, label))

    def _risks(self, x: Array) -> Array:
        risk = expit(self.forest_(x))
        return np.column_stack([1 - risk, risk])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class LightGBMClassifier(BoostedClassifier):
    """The same by LightGBM, where it is installed; it cannot be saved."""

    def _learn(self, x: Array, label: NDArray[np.int64], seed: int) -> None:
        try:
            import lightgbm
        except ModuleNotFoundError:
            raise InputError("lightgbm is not installed; pip install emulant[boosting]") from None
        self.model_ = lightgbm.LGBMClassifier(
            n_estimators=self.iterations,
            learning_rate=self.rate,
            num_leaves=self.leaves,
            min_child_samples=self.least,
            reg_lambda=self.l2,
            colsample_bytree=self.share,
            random_state=seed % (1 << 31),
            n_jobs=1,
            verbose=-1,
        ).fit(x, label)

    def _risks(self, x: Array) -> Array:
        return np.asarray(self.model_.booster_.predict(x))[:, None] * [[-1, 1]] + [[1, 0]]


def _logits(members: list[TableClassifier], x: Array) -> Array:
    """Return the logits of the risks (n, members)."""
    risks = np.column_stack([member.predict_proba(x)[:, 1] for member in members])
    return np.asarray(logit(np.clip(risks, 1e-6, 1 - 1e-6)))


class BlendedClassifier(TableClassifier):
    """A mean logit of logistic regression on imputed columns and of boosted trees; two classes.

    The share of each is chosen by log loss in three folds of the training rows.

    Parameters
    ----------
    nominal : sequence of int
        Columns of codes 0, 1, ...
    imputer : "auto", "mean" or "hybrid"
        What fills the holes of the logistic regression; auto takes the hybrid for at most 60
        encoded columns, for its cost grows as their cube.
    iterations : int
        Trees of the boosting.
    random_state : int, RandomState or None
    """

    def __init__(
        self,
        nominal: Sequence[int] = (),
        imputer: str = "auto",
        iterations: int = 250,
        random_state: RandomState = None,
    ) -> None:
        self.nominal = nominal
        self.imputer = imputer
        self.iterations = iterations
        self.random_state = random_state

    def _learn(self, x: Array, label: NDArray[np.int64], seed: int) -> None:
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass."
            )
        self.share_ = 0.5
        if int(np.bincount(label).min()) >= 3 * FOLDS:
            folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % (1 << 31))
            scores = np.zeros((len(x), 2))
            for train, test in folds.split(x, label):
                scores[test] = _logits(self._members(x[train], label[train], seed), x[test])
            losses = [log_loss(label, expit(scores @ [s, 1 - s])) for s in SHARES]
            self.share_ = float(SHARES[int(np.argmin(losses))])
        self.members_ = self._members(x, label, seed)

    def _members(self, x: Array, label: NDArray[np.int64], seed: int) -> list[TableClassifier]:
        filler = self.imputer
        if filler == "auto":
            filler = "hybrid" if x.shape[1] <= WIDE else "mean"
        return [
            IndicatorLogistic(imputer=filler, random_state=seed).fit(x, label),
            BoostedClassifier(iterations=self.iterations, random_state=seed).fit(x, label),
        ]

    def _risks(self, x: Array) -> Array:
        risk = expit(_logits(self.members_, x) @ [self.share_, 1 - self.share_])
        return np.column_stack([1 - risk, risk])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
