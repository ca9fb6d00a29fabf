r"""A classifier that tries to tell samples from truth, and the weights that would correct them.

Notation: labels 1 for truth and 0 for samples; cross-fitted score s_i of row i from classifiers
that saw no row of i's unit; folds are sets of units. Two classifiers are fitted: gradient-boosted
trees, which see any shape, and a logistic regression on features, their squares and products, which
sees small shifts of means and covariances that trees are slow to find. s_i is the sum of their
logits.

    A      = P(s_truth > s_sample) + ½ P(=), the area under the ROC curve, fold by fold
    error  from placements: V_i = share of the other side's rows in the fold that row i beats;
           Var A = 2 [Var(V over truth units)/G_T + Var(V over sample units)/G_S]
    w(x)   = p_truth(x) / p_samples(x) = n_S/n_T · e^logit(x), the logits combined and calibrated by
           a logistic regression on both, itself cross-fitted

A = ½ when nothing can be told (Lopez-Paz and Oquab, Revisiting classifier two-sample tests, ICLR
2017; error: DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988). Equality is tested by
exchanging units inside each fold, the scores held fixed.

The 2 is for what folds learn of each other. Where a classifier has learnt nothing but noise, the
score in fold k leans along Σ_{j≠k} d_j, d_j the difference of the sides in fold j, and the areas
add up to Σ_{j≠k} d_j·d_k: every pair counts twice, so that the variance is twice that of
independent folds, however many. The null's spread is widened alike. With a true difference it is
less than 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata

from emulant.certify.evidence import Evidence, Pair, permuted_sides, unit_mean
from emulant.certify.statistic import Array, Tolerance

__all__ = [
    "ClassifierTest",
    "CrossFitted",
    "area_under_curve",
    "cross_fitted",
    "ratio_log_weights",
    "unit_folds",
]

RIDGE = 1.0
"""Penalty on coefficients of features of unit variance; shrinks what a few rows suggest."""

FOLDS_SHARE = 2.0
"""Variance of the area in units of that of independent folds."""

PRODUCTS = 16
"""Products of pairs are taken of at most so many features."""


@dataclass(frozen=True, slots=True)
class ClassifierTest:
    """Classifier two-sample test: the cross-fitted area under the ROC curve."""

    tolerance: Tolerance | None = Tolerance(  # noqa: RUF009 (frozen)
        0.05, by="the default: area under the curve at most 0.55"
    )
    most: int = 20_000
    folds: int = 5
    replicates: int = 200
    name: str = "classifier"

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence | None:
        """Return the area under the curve; expected is one half."""
        few = pair.thin(self.most, rng)
        fitted = cross_fitted(few, self.folds, rng)
        if fitted is None:
            return None
        note = f"trees and quadratic regression, {self.folds} folds"
        return area_under_curve(fitted, self.folds, self.replicates, rng, note)


def area_under_curve(
    fitted: CrossFitted, folds: int, replicates: int, rng: np.random.Generator, note: str
) -> Evidence:
    """Return the evidence of held-out scores: their area, its error, and its null."""
    placement = np.full(len(fitted.score), 0.5)
    for fold in range(folds):
        inside = fitted.fold == fold
        placement[inside] = _placements(fitted.score[inside], fitted.truth[inside])
    sides = [
        unit_mean(placement[fitted.truth == side], fitted.unit[fitted.truth == side])
        for side in (True, False)
    ]
    area = 0.5 * (sides[0].mean() + sides[1].mean())
    null = _null(fitted, folds, replicates, rng)
    null[1:] = 0.5 + (null[1:] - 0.5) * FOLDS_SHARE**0.5
    p = (1 + int((null[1:] >= null[0] - 1e-12).sum())) / len(null)
    low, high = np.quantile(null[1:], [0.025, 0.975])
    variance = FOLDS_SHARE * sum(s.var(ddof=1) / len(s) for s in sides)
    return Evidence(
        float(area), 0.5, float(area - 0.5), float(np.sqrt(variance)),
        float(min(len(s) for s in sides) - 1), p, float(low), float(high),
        int((~fitted.truth).sum()), int(fitted.truth.sum()), note,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """Held-out scores of all rows, samples first."""

    logits: Array
    """Logits of being truth, a column each classifier, (n + m, 2) of trees and of regression."""
    truth: NDArray[np.bool_]
    fold: NDArray[np.int64]
    unit: NDArray[np.int64]

    @classmethod
    def of(
        cls, logits: Array, pair: Pair, folds: tuple[NDArray[np.int64], NDArray[np.int64]]
    ) -> CrossFitted:
        """Return the logits of a pair's rows with their sides, folds and units."""
        offset = int(pair.x_unit.max()) + 1
        return cls(
            logits, np.arange(len(logits)) >= len(pair.x), np.concatenate(folds),
            np.concatenate([pair.x_unit, offset + pair.y_unit]),
        )  # fmt: skip

    @property
    def score(self) -> Array:
        """Sum of the logits (n + m,)."""
        total: Array = self.logits.sum(axis=1)
        return total


def cross_fitted(pair: Pair, folds: int, rng: np.random.Generator) -> CrossFitted | None:
    """Return cross-fitted logits; None with fewer than two units a fold on either side."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # seconds to import

    rows = np.concatenate([pair.x, pair.y])
    truth = np.arange(len(rows)) >= len(pair.x)
    x_fold, y_fold = unit_folds(pair.x_unit, folds, rng), unit_folds(pair.y_unit, folds, rng)
    if x_fold is None or y_fold is None:
        return None
    fold = np.concatenate([x_fold, y_fold])
    logits = np.zeros((len(rows), 2))
    design = _quadratic(rows)
    for k in range(folds):
        out = fold == k
        model = HistGradientBoostingClassifier(
            max_iter=40, learning_rate=0.1, max_leaf_nodes=12, min_samples_leaf=20,
            l2_regularization=1.0, early_stopping=False, random_state=int(rng.integers(2**31)),
            class_weight="balanced",
        )  # fmt: skip
        model.fit(rows[~out], truth[~out])
        logits[out, 0] = model.decision_function(rows[out])
        logits[out, 1] = design[out] @ _regression(design[~out], truth[~out], RIDGE)
    return CrossFitted.of(logits, pair, (x_fold, y_fold))


def ratio_log_weights(pair: Pair, rng: np.random.Generator, folds: int = 5) -> Array | None:
    """Return the log density ratio truth : samples of each sample (n,), cross-fitted.

    Both logits are combined by a cross-fitted logistic regression, which shrinks a classifier that
    is too sure of itself. Judge the weights on truth that was not used here.
    """
    fitted = cross_fitted(pair, folds, rng)
    if fitted is None:
        return None
    design = np.column_stack([fitted.logits, np.ones(len(fitted.truth))])
    log_ratio = np.zeros(len(design))
    for k in range(folds):
        out = fitted.fold == k
        log_ratio[out] = design[out] @ _regression(design[~out], fitted.truth[~out], 1e-6)
    return log_ratio[: len(pair.x)]


def _quadratic(rows: Array) -> Array:
    """Return 1, features, squares, and products of few features; outliers held at 5 σ."""
    held = np.clip(rows, -5.0, 5.0)
    columns = [np.ones((len(rows), 1)), held, held**2]
    if rows.shape[1] <= PRODUCTS:
        k, l = np.triu_indices(rows.shape[1], 1)  # noqa: E741 (the formula's own index)
        columns.append(held[:, k] * held[:, l])
    return np.concatenate(columns, axis=1)


def _regression(design: Array, truth: NDArray[np.bool_], ridge: float) -> Array:
    """Return the coefficients of a balanced logistic regression, by Newton's method."""
    weight = np.where(truth, 0.5 / truth.mean(), 0.5 / (1.0 - truth.mean()))
    beta = np.zeros(design.shape[1])
    for _ in range(25):
        p = expit(design @ beta)
        gradient = design.T @ (weight * (truth - p)) - ridge * beta
        curvature = (design * (weight * p * (1 - p))[:, None]).T @ design
        step = np.linalg.solve(curvature + ridge * np.eye(len(beta)), gradient)
        beta += step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def unit_folds(
    unit: NDArray[np.int64], folds: int, rng: np.random.Generator
) -> NDArray[np.int64] | None:
    """Return the fold of each row, whole units to a fold; None with fewer than two a fold."""
    names, index = np.unique(unit, return_inverse=True)
    if len(names) < 2 * folds:
        return None
    place = rng.permutation(len(names)) * folds // len(names)
    return np.asarray(place[index], dtype=np.int64)


def _placements(score: Array, truth: NDArray[np.bool_]) -> Array:
    """Return for each row the share of the other side that it is on the right side of."""
    n, m = int((~truth).sum()), int(truth.sum())
    everyone = rankdata(score)
    placement = np.empty(len(score))
    placement[truth] = (everyone[truth] - rankdata(score[truth])) / n
    placement[~truth] = 1.0 - (everyone[~truth] - rankdata(score[~truth])) / m
    return placement


def _null(fitted: CrossFitted, folds: int, replicates: int, rng: np.random.Generator) -> Array:
    """Return the area (1 + R,) as observed and with units exchanged inside each fold."""
    total = np.zeros(1 + replicates)
    for fold in range(folds):
        inside = fitted.fold == fold
        truth, unit = fitted.truth[inside], fitted.unit[inside]
        order = np.argsort(~truth, kind="stable")  # truth first, as permuted_sides wants it
        ranks = rankdata(fitted.score[inside])[order]
        m = int(truth.sum())
        sides = permuted_sides(unit[order][:m], unit[order][m:], replicates, rng)
        first = sides.sum(axis=1)
        beaten = np.where(sides, ranks, 0.0).sum(axis=1) - first * (first + 1) / 2
        total += beaten / (first * (len(ranks) - first))
    return total / folds
