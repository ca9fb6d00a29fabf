"""What all imputers share: scikit-learn's contract, tables of mixed types, draws, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from emulant_apps.records.encoding import fit_encoding

__all__ = ["RandomState", "TableImputer", "checked", "seed_of"]

Array = NDArray[np.float64]
RandomState = int | np.random.RandomState | None
"""What scikit-learn takes for chance: an integer gives the same result every time."""


def seed_of(random_state: RandomState) -> int:
    """Return the seed of a fit or of a set of draws."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def checked(estimator: Any, *data: Any, reset: bool = True) -> Any:
    """Return ``data`` as scikit-learn's ``validate_data`` does; no message repeats a cell.

    Raises
    ------
    ValueError
        As scikit-learn does.
    """
    try:
        return validate_data(
            estimator,
            *data,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            copy=True,
        )
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
    raise ValueError("'X' must hold numbers, got text; pass a frame, or codes and 'nominal'")


class TableImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """An imputer of numbers and of named levels.

    A subclass implements ``_learn(values, seed)`` and ``_fill(values) -> (n, d)``, and may
    implement ``_draws`` and ``_ends``; all of them see numbers, with codes for levels.

    Attributes
    ----------
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.
    levels_ : list
        For each column its levels, or None where it holds numbers.
    """

    random_state: RandomState
    nominal: str | Sequence[Any]

    def fit(self, X: Any, y: Any = None) -> TableImputer:  # noqa: ARG002 - scikit-learn passes y
        """Learn from ``X`` (n, d), NaN where missing; each column needs one observed cell."""
        values = self._read(X, reset=True)
        empty = np.flatnonzero(np.isnan(values).all(0))
        if len(empty):
            raise ValueError(
                f"'X' must have an observed cell in each column, got none in {empty[0]}"
            )
        counts = [0 if level is None else len(level) for level in self.levels_]
        self.encoding_ = fit_encoding(values, counts)
        self._learn(values, seed_of(self.random_state))
        return self

    def transform(self, X: Any) -> Any:
        """Return ``X`` with its holes filled by best guesses; observed cells stay as they are."""
        check_is_fitted(self)
        values = self._read(X, reset=False)
        missing = np.isnan(values)
        filled = self._fill(values) if missing.any() else values
        return self._written(X, np.where(missing, filled, values))

    def draw(self, X: Any, m: int = 5, random_state: RandomState = 0) -> list[Any]:
        """Return ``m`` completed tables whose holes are drawn from what is known of them."""
        check_is_fitted(self)
        values = self._read(X, reset=False)
        missing = np.isnan(values)
        drawn = self._draws(values, m, seed_of(random_state))
        return [self._written(X, np.where(missing, one, values)) for one in drawn]

    def intervals(self, X: Any, coverage: float = 0.95) -> tuple[Array, Array]:
        """Return low and high ends (n, d) of each missing cell; NaN where observed or nominal."""
        check_is_fitted(self)
        if not 0 < coverage < 1:
            raise ValueError(f"'coverage' must lie in (0, 1), got {coverage}")
        values = self._read(X, reset=False)
        low, high = self._ends(values, coverage)
        blank = ~np.isnan(values) | (self.encoding_.levels > 0)
        return np.where(blank, np.nan, low), np.where(blank, np.nan, high)

    def _learn(self, values: Array, seed: int) -> None:
        raise NotImplementedError

    def _fill(self, values: Array) -> Array:
        raise NotImplementedError

    def _draws(self, values: Array, m: int, seed: int) -> list[Array]:  # noqa: ARG002 - no draws
        raise ValueError(f"{type(self).__name__} gives no draws")

    def _ends(self, values: Array, coverage: float) -> tuple[Array, Array]:
        """Return the quantiles of 100 draws."""
        drawn = np.stack(self._draws(values, 100, 0))
        tail = (1 - coverage) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
        return low, high

    def _read(self, X: Any, reset: bool) -> Array:
        """Return numbers (n, d): levels become their codes."""
        if isinstance(X, pd.DataFrame):
            if not reset:
                self._check_feature_names(X)
            codes = self._codes(X, reset)
            if codes is not None:
                if reset:
                    validate_data(self, X, skip_check_array=True)
                return codes
        elif reset:
            self.levels_: list[tuple[Any, ...] | None] = []
        numbers: Array = checked(self, X, reset=reset)
        if reset:
            self.levels_ = [None] * numbers.shape[1]
            for j in self._named(range(numbers.shape[1])):
                seen = np.unique(numbers[~np.isnan(numbers[:, j]), j])
                self.levels_[j] = tuple(seen.tolist())
        for j, levels in enumerate(self.levels_):
            if levels is not None:
                numbers[:, j] = _coded(pd.Series(numbers[:, j]), levels, f"column {j}")
        return numbers

    def _named(self, names: Any) -> list[int]:
        """Return the places of the columns that ``nominal`` names."""
        if isinstance(self.nominal, str):
            if self.nominal != "auto":
                raise ValueError(f"'nominal' must be 'auto' or a list, got {self.nominal!r}")
            return []
        known = list(names)
        return [known.index(name) if name in known else int(name) for name in self.nominal]

    def _check_feature_names(self, X: pd.DataFrame) -> None:
        from sklearn.utils.validation import _check_feature_names

        _check_feature_names(self, X, reset=False)

    def _codes(self, X: pd.DataFrame, reset: bool) -> Array | None:
        """Return the numbers of a frame with levels in it, None where it holds numbers only."""
        if reset:
            chosen = set(self._named(X.columns))
            self.levels_ = []
            for j, name in enumerate(X.columns):
                column = X.iloc[:, j]
                plain = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(
                    column
                )
                if plain and j not in chosen:
                    self.levels_.append(None)
                    continue
                seen = column.dropna().unique().tolist()
                if any(not isinstance(v, str | bool | int | float) for v in seen):
                    raise TypeError(f"column {name!r}: argument must be a string or a number")
                self.levels_.append(tuple(sorted(seen, key=lambda v: (str(type(v)), v))))
        if all(levels is None for levels in self.levels_) or len(self.levels_) != X.shape[1]:
            return None
        values = np.empty(X.shape)
        for j, levels in enumerate(self.levels_):
            column = X.iloc[:, j]
            if levels is None:
                values[:, j] = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                values[:, j] = _coded(column, levels, f"column {X.columns[j]!r}")
        if np.isinf(values).any():
            raise ValueError("'X' must be finite or NaN, got infinity")
        return values

    def _written(self, X: Any, values: Array) -> Any:
        """Return ``values`` as ``X`` came: a frame where it has levels that are no numbers."""
        if all(levels is None for levels in self.levels_):
            return values
        columns: list[Any] = []
        for j, levels in enumerate(self.levels_):
            if levels is None:
                columns.append(values[:, j])
            else:
                table = np.array([*levels, None], dtype=object)
                code = np.where(np.isnan(values[:, j]), len(levels), values[:, j]).astype(int)
                columns.append(table[np.clip(code, 0, len(levels))])
        if not isinstance(X, pd.DataFrame):
            return np.column_stack([np.asarray(c, dtype=np.float64) for c in columns])
        return pd.DataFrame(dict(zip(X.columns, columns, strict=True)), index=X.index)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _coded(column: pd.Series, levels: Sequence[Any], name: str) -> Array:
    """Return codes of ``levels``, NaN where missing.

    Raises
    ------
    ValueError
        A level was never seen; its row is named, its text is not.
    """
    code = {level: float(k) for k, level in enumerate(levels)}
    gone = column.isna().to_numpy()
    values = np.array(
        [np.nan if g else code.get(v, -1.0) for v, g in zip(column, gone, strict=True)]
    )
    if (values == -1).any():
        row = int(np.flatnonzero(values == -1)[0])
        raise ValueError(f"{name}, row {row}: holds a level that was not seen in fit")
    return values
