"""The seed's classifier: the class head of an AC-GAN's critic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from emulant_apps.records.contracts.base import RandomState, checked, seed_of
from emulant_apps.records.contracts.classifying import TableClassifier, holes_of, with_masks

__all__ = ["ACGANClassifier"]

Array = NDArray[np.float64]


class ACGANClassifier(TableClassifier):
    """Classify rows by the critic of an auxiliary-classifier GAN.

    The generator draws rows of a class, holes included; the critic learns from true and generated
    rows which class they are, and which are true (:class:`emulant.methods.ACGAN`). Rows without a
    label teach it which rows are true. With ``adversary=False`` the same network learns the
    classes alone: the ablation.

    Parameters
    ----------
    nominal : sequence of int
        Columns of codes 0, 1, ...
    adversary : bool
    hidden : sequence of int
        Widths of both networks.
    codes : int
        Numbers that a generated row starts from.
    steps, batch : int
    rate, decay, r1 : float
        Learning rate; weight decay; price of the critic's slope at true rows.
    random_state : int, RandomState or None
    """

    def __init__(
        self,
        nominal: Sequence[int] = (),
        adversary: bool = True,
        hidden: Sequence[int] = (64, 64),
        codes: int = 16,
        steps: int = 600,
        batch: int = 128,
        rate: float = 1e-3,
        decay: float = 3.0,
        r1: float = 1.0,
        random_state: RandomState = None,
    ) -> None:
        self.nominal = nominal
        self.adversary = adversary
        self.hidden = hidden
        self.codes = codes
        self.steps = steps
        self.batch = batch
        self.rate = rate
        self.decay = decay
        self.r1 = r1
        self.random_state = random_state

    def fit(self, X: Any, y: Any, unlabelled: Any = None) -> ACGANClassifier:
        """Learn from ``X`` (n, d), ``y`` (n,) and, where given, rows ``unlabelled`` (u, d)."""
        values, label = self._labelled(X, y)
        if unlabelled is not None:
            more = checked(self, unlabelled, reset=False)
            values = np.concatenate([values, more])
            label = np.concatenate([label, np.full(len(more), UNKNOWN, np.int64)])
        self._learn(self.encoding_.forth(values), label, seed_of(self.random_state))
        return self

    def _learn(self, x: Array, label: NDArray[np.int64], seed: int) -> None:
        from emulant_apps.records.train import fit_classifier  # here: torch is slow to import

        self.holes_ = holes_of(x, self.encoding_.owner)
        self.share_ = (
            np.bincount(label[label >= 0], minlength=len(self.classes_)) / (label >= 0).sum()
        )
        self.weights_ = fit_classifier(
            with_masks(x, self.holes_), label, len(self.holes_), len(self.classes_),
            tuple(self.hidden), self.codes, self.steps, self.rate, self.batch, self.decay, self.r1,
            self.adversary, seed,
        )  # fmt: skip

    def _risks(self, x: Array) -> Array:
        from emulant_apps.records.sample import class_risks

        return class_risks(
            self.weights_, with_masks(x, self.holes_), len(self.holes_), len(self.classes_),
            tuple(self.hidden), self.codes, self.adversary,
        )  # fmt: skip

    def generate(self, count: int, seed: int = 0) -> tuple[Array, NDArray[Any]]:
        """Return ``count`` synthetic rows (count, d), with holes, and their classes."""
        from emulant.rng import numpy_rng
        from emulant_apps.records.sample import generate

        check_is_fitted(self)
        if not self.adversary:
            raise ValueError("'adversary' must be True to generate rows, got False")
        rng = numpy_rng(seed, "acgan", "classes")
        label = rng.choice(len(self.classes_), count, p=self.share_)
        width = len(self.encoding_.mean)
        made = generate(
            self.weights_, label, width + len(self.holes_), len(self.holes_), len(self.classes_),
            tuple(self.hidden), self.codes, seed,
        )  # fmt: skip
        values = self.encoding_.back(made[:, :width])
        gone = rng.random((count, len(self.holes_))) < made[:, width:]
        for k, place in enumerate(self.holes_):
            values[gone[:, k], self.encoding_.owner[place]] = np.nan
        return values, self.classes_[label]


UNKNOWN = -1
"""Class of a row without a label (:data:`emulant_apps.records.model.UNLABELLED`)."""
