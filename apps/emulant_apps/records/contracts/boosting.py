"""Gradient boosting by scikit-learn, handed over as arrays.

The nodes are read from scikit-learn's predictors, which are not part of its public interface;
a test compares every forest's predictions with those of the estimator it came from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from emulant_apps.records.trees import Forest

__all__ = ["boost", "exported"]

Array = NDArray[np.float64]


def boost(x: Array, y: Array, iterations: int, rate: float, leaves: int, seed: int) -> Forest:
    """Return trees that predict ``y`` (n,) from ``x`` (n, F)."""
    model = HistGradientBoostingRegressor(
        max_iter=iterations,
        learning_rate=rate,
        max_leaf_nodes=leaves,
        min_samples_leaf=15,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )
    return exported(model.fit(x, y))


def exported(model: HistGradientBoostingRegressor | HistGradientBoostingClassifier) -> Forest:
    """Return the trees of a fitted model of one output: of the logit, for a classifier."""
    trees: list[Any] = [predictors[0].nodes for predictors in model._predictors]
    parts: dict[str, list[Any]] = {
        k: [] for k in ("feature", "threshold", "left", "right", "value", "gone")
    }
    roots, start = [], 0
    for nodes in trees:
        leaf = nodes["is_leaf"].astype(bool)
        own = np.arange(len(nodes)) + start
        roots.append(start)
        parts["feature"].append(np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64))
        parts["threshold"].append(np.where(leaf, np.inf, nodes["num_threshold"]))
        parts["left"].append(np.where(leaf, own, nodes["left"].astype(np.int64) + start))
        parts["right"].append(np.where(leaf, own, nodes["right"].astype(np.int64) + start))
        parts["value"].append(np.where(leaf, nodes["value"], 0.0))
        parts["gone"].append(nodes["missing_go_to_left"].astype(bool))
        start += len(nodes)
    flat: dict[str, NDArray[Any]] = {
        k: np.concatenate(v) if v else np.zeros(0) for k, v in parts.items()
    }
    return Forest(
        float(np.ravel(model._baseline_prediction)[0]),
        np.array(roots, np.int64),
        flat["feature"],
        flat["threshold"],
        flat["left"],
        flat["right"],
        flat["value"],
        flat["gone"],
        max((int(nodes["depth"].max()) for nodes in trees), default=0),
    )
