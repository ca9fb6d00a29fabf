r"""The recommended imputer: two Gaussians, a network, what each row says of itself, small trees.

Notation: encoded rows x (n, D), O observed. Raw EM gives leave-one-out means A and variances V_A
of every cell (:mod:`emulant_apps.records.gaussian`); EM on normal scores gives B and V_B, taken
back to the unit of x; a denoising autoencoder gives C (:mod:`.restorers`). Every observed cell is
thereby a training cell that was hidden behind its row's *own* mask, and no mask has to be
simulated. With these of three folds, each judged by what the other two taught:

    M = w_1 A + w_2 B + w_3 C,   w on the simplex by least squares in each column (:mod:`.stacking`)
    F = M + lambda T(A, B, C, V_B, neighbours without j, their masks),   T boosted trees on x - M
    interval: F + q s,  q the quantiles of (x - F) / s over the training cells,
    s = (sqrt(V_A) + max(h, 0.15 sqrt(V_A))) / 2,  h half the copula's width

lambda is fitted out of fold and set to 0 below 0.15. Beyond the column's range of
observed cells A is believed as far as the row explains it: with R = 1 - V_A / S_jj, what lies
outside counts R^2-fold, and no column that was never negative becomes so.

A training cell counts in q by the odds, given the other columns, that it would have been missing,
at most ``CAP`` times their median: under missingness at random these are the cells that the holes
are like (conformal prediction under covariate shift; without the point mass of the new cell, which
matters for few cells only).

Missing cells are then shifted where their mask depends on their own value
(:mod:`emulant_apps.records.selection`).

Draws: F + s q(Phi(z)), z standard residuals with the correlation that the copula's Gaussian has
given the row, plus, for what is not known of the Gaussian itself, the change of A under one of
``bootstraps`` Gaussians fitted to resampled rows.

- Tibshirani, Barber, Candes and Ramdas, Conformal Prediction Under Covariate Shift, 2019,
  https://arxiv.org/abs/1904.06019
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from emulant.rng import derive, numpy_rng
from emulant_apps.records.contracts.base import RandomState, TableImputer
from emulant_apps.records.contracts.boosting import boost
from emulant_apps.records.contracts.restorers import Restorers, fit_restorers
from emulant_apps.records.contracts.stacking import convex_weights
from emulant_apps.records.copula import Quantiles, fit_quantiles
from emulant_apps.records.encoding import Encoding
from emulant_apps.records.gaussian import (
    Conditional,
    Gaussian,
    conditional,
    draw_missing,
    fit_gaussian,
)
from emulant_apps.records.selection import fit_tilt, odds_of_missing
from emulant_apps.records.trees import Forest, joined

__all__ = ["HybridImputer"]

Array = NDArray[np.float64]

FOLDS = 3
CAP = 50.0
"""Most that a training cell counts in the quantiles, in medians of its column."""
GATE = 0.15
"""Weight below which the trees of a column are left out."""
LEVELS = np.linspace(0.0025, 0.9975, 200)
"""Quantile levels at which residuals are kept."""
RATE = 0.08
LEAVES = 8
FEWEST = 40
"""Observed cells below which a column gets no trees."""
FIRST = 1500
"""Rows on which EM begins where there are at least twice as many."""
WORK = 12 * 10**9
"""Rows times columns cubed, the cost of one round of EM, beyond which fewer rows are drawn."""
CHUNK_CELLS = 1 << 23
"""Entries of the gains (n, D, D) that are held at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The raw Gaussian and the one of normal scores, fitted to the same rows."""

    raw: Gaussian
    scores: Gaussian
    quantiles: Quantiles


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a pair, and the network, say of each cell of some rows, all (n, D)."""

    observed: NDArray[np.bool_]
    a: Array
    b: Array
    va: Array
    vb: Array
    scores: Conditional
    c: Array | None = None

    @property
    def candidates(self) -> list[Array]:
        """What is stacked."""
        return [self.a, self.b, *([] if self.c is None else [self.c])]

    def width(self, m: Array, quantiles: Quantiles, j: int) -> Array:
        """Return s of column ``j`` around the predictions ``m`` (n,)."""
        sd = np.sqrt(self.va[:, j])
        return 0.5 * sd + 0.5 * np.maximum(quantiles.half_width(m, self.vb[:, j], j), 0.15 * sd)


class HybridImputer(TableImputer):
    """Impute by Gaussian EM, a Gaussian copula, a network and boosted residuals, stacked.

    Parameters
    ----------
    nominal : "auto" or list
        Columns of named levels: by name or place; "auto" takes a frame's texts and categories.
    network : int
        Training steps of each fold's denoising autoencoder; 0 for none.
    boosting : int
        Trees a fold and column; 0 for none.
    shrinkage : float
        Pseudo-rows without correlation in both EMs.
    mnar : bool
        Whether to look for masks that depend on their own value.
    bootstraps : int
        Resampled Gaussians behind the draws.
    neighbours : int
        Other columns that a column's trees look at.
    max_rows : int
        Rows, drawn at random, from which is learned where there are more; fewer, but not below
        1,000, where there are more than a hundred columns.
    random_state : int, RandomState or None

    Examples
    --------
    >>> x = np.array([[0.0, 0.1], [1.0, 1.1], [2.0, 1.9], [3.0, np.nan]] * 10)
    >>> HybridImputer(random_state=0).fit_transform(x)[3].round()
    array([3., 2.])
    """

    def __init__(
        self,
        nominal: str | Sequence[Any] = "auto",
        network: int = 400,
        boosting: int = 30,
        shrinkage: float = 5.0,
        mnar: bool = True,
        bootstraps: int = 5,
        neighbours: int = 20,
        max_rows: int = 8000,
        random_state: RandomState = None,
    ) -> None:
        self.nominal = nominal
        self.network = network
        self.boosting = boosting
        self.shrinkage = shrinkage
        self.mnar = mnar
        self.bootstraps = bootstraps
        self.neighbours = neighbours
        self.max_rows = max_rows
        self.random_state = random_state

    def _learn(self, values: Array, seed: int) -> None:
        most = min(self.max_rows, max(1000, WORK // len(self.encoding_.mean) ** 3))
        if len(values) > most:
            rng = numpy_rng(seed, "hybrid", "rows")
            values = values[np.sort(rng.choice(len(values), most, replace=False))]
        x = self.encoding_.forth(values)
        self.pair_ = _fit_pair(x, self.shrinkage)
        self.low_, self.high_ = _ends_of(self.pair_.quantiles, x.shape[1])
        self.floor_ = self._floor()
        fold = numpy_rng(seed, "hybrid", "folds").permutation(len(x)) % FOLDS
        folds = FOLDS if len(x) >= 10 else 1
        parts = [(fold % folds) == k for k in range(folds)]
        pairs = [
            self.pair_ if folds == 1 else _fit_pair(x[~part], self.shrinkage, self.pair_)
            for part in parts
        ]
        whole = self._crossed(x, parts, pairs, seed)
        self.weight_ = convex_weights(x, whole.candidates, whole.observed)
        m = self._stacked(whole)
        fitted = self._boost(x, m, parts, pairs, fold % folds, whole, seed)
        self.quantiles_ = self._quantiles(x, m, fitted, whole)
        candidates = self.encoding_.numbers if self.mnar else np.zeros(x.shape[1], bool)
        self.tilt_ = fit_tilt(self.pair_.raw, x, candidates)
        self.bootstraps_ = []
        for k in range(self.bootstraps):
            rng = numpy_rng(seed, "hybrid", "bootstrap", k)
            counts = np.bincount(rng.integers(len(x), size=len(x)), minlength=len(x))
            self.bootstraps_.append(
                fit_gaussian(x, self.pair_.raw, 4, self.shrinkage, weight=counts.astype(float))
            )

    def _floor(self) -> Array:
        """Return the least that each encoded number may be: zero where none was negative."""
        zero = -self.encoding_.mean / self.encoding_.scale
        return np.where(self.low_ >= zero, zero, -np.inf)

    def _crossed(
        self, x: Array, parts: list[NDArray[np.bool_]], pairs: list[Pair], seed: int
    ) -> View:
        """Return what each fold's pair and network, fitted to the other rows, say of its cells."""
        self.restorers_: Restorers | None = None
        views = [self._view(x[p], pair, gain=False) for p, pair in zip(parts, pairs, strict=True)]
        a, b, va, vb = (
            _merged(parts, [getattr(v, k) for v in views]) for k in ("a", "b", "va", "vb")
        )
        c = None
        if self.network and len(parts) > 1 and x.shape[1] > 1:
            self.restorers_ = fit_restorers(x, parts, self.network, seed)
            asked = enumerate(parts)
            blocks = self.encoding_.blocks
            made = [self.restorers_.left_out(k, x[p], blocks) for k, p in asked]
            c = np.clip(_merged(parts, made), self.low_, self.high_)
        return View(~np.isnan(x), a, b, va, vb, views[0].scores, c)

    def _stacked(self, view: View) -> Array:
        """Return M (n, D)."""
        m: Array = np.einsum("kj,knj->nj", self.weight_, np.stack(view.candidates))
        return m

    def _quantiles(self, x: Array, m: Array, fitted: Array, whole: View) -> Array:
        """Return q of each column at ``LEVELS``, (D, levels)."""
        odds = odds_of_missing(np.where(whole.observed, x, whole.a), whole.observed)
        found = np.zeros((x.shape[1], len(LEVELS)))
        for j in range(x.shape[1]):
            seen = whole.observed[:, j]
            s = whole.width(m[:, j], self.pair_.quantiles, j)[seen]
            weight = np.minimum(odds[seen, j] / np.median(odds[seen, j]), CAP)
            found[j] = _weighed_quantiles((x[seen, j] - fitted[seen, j]) / s, weight)
        return found

    def _view(self, x: Array, pair: Pair, gain: bool) -> View:
        blocks = self.encoding_.blocks
        raw = conditional(pair.raw, x, blocks)
        scores = conditional(pair.scores, pair.quantiles.forth(x), blocks, gain)
        near = np.clip(raw.mean, self.low_, self.high_)
        explained = np.clip(1 - raw.variance / np.diag(pair.raw.covariance), 0.0, 1.0)
        a = np.maximum(near + explained**2 * (raw.mean - near), self.floor_)
        b = pair.quantiles.mean(scores.mean, scores.variance)
        return View(~np.isnan(x), a, b, raw.variance, scores.variance, scores)

    def _boost(
        self,
        x: Array,
        m: Array,
        parts: list[NDArray[np.bool_]],
        pairs: list[Pair],
        fold: NDArray[np.int64],
        whole: View,
        seed: int,
    ) -> Array:
        """Fit the trees of each column; return the predictions with them, out of fold."""
        width, observed = x.shape[1], whole.observed
        self.forests_: list[Forest | None] = [None] * width
        self.gate_ = np.zeros(width)
        self.near_ = self._nearest(width)
        enough = observed.sum(0) >= FEWEST
        if not self.boosting or len(parts) == 1 or not enough.any():
            return m
        rng = numpy_rng(seed, "hybrid", "tree rows")
        most = min(len(x), 4000, max(300, CHUNK_CELLS * 4 // (width * width)))
        chosen = np.zeros(len(x), bool)
        chosen[rng.permutation(len(x))[:most]] = True
        views = [
            replace(
                self._view(x[p & chosen], pair, gain=True),
                c=None if whole.c is None else whole.c[p & chosen],
            )
            for p, pair in zip(parts, pairs, strict=True)
        ]
        order = np.concatenate([np.flatnonzero(p & chosen) for p in parts])
        group = fold[order]
        fitted = m.copy()
        for j in map(int, np.flatnonzero(enough)):
            features = np.concatenate([self._features(j, v) for v in views])
            target = (x - m)[order, j]
            here = observed[order, j]
            reach = 4 * np.std(target[here])
            guess, forests = np.zeros(len(order)), []
            for k in range(len(parts)):
                train = here & (group != k)
                forest = boost(
                    features[train],
                    np.clip(target[train], -reach, reach),
                    self.boosting,
                    RATE,
                    LEAVES,
                    derive(seed, "hybrid", "trees", j, k) % (1 << 31),
                )
                forests.append(forest)
                guess[group == k] = forest(features[group == k])
            bend = float(target[here] @ guess[here]) / (float(guess[here] @ guess[here]) + 1e-9)
            if bend >= GATE:
                self.gate_[j] = min(bend, 1.0)
                self.forests_[j] = joined(forests)
                fitted[order, j] += self.gate_[j] * guess
        return fitted

    def _nearest(self, width: int) -> NDArray[np.int64]:
        """Return, for each column, the others with the largest correlations, (D, K)."""
        s = self.pair_.scores.covariance
        link = np.abs(s) / np.sqrt(np.outer(np.diag(s), np.diag(s)))
        owner = self.encoding_.owner
        link[owner[:, None] == owner[None, :]] = -1.0
        count = min(self.neighbours, width - 1)
        return np.argsort(-link, axis=1, kind="stable")[:, :count]

    def _features(self, j: int, view: View) -> Array:
        """Return what the trees of column ``j`` see, (n, 3 or 4, + 2 K)."""
        near = self.near_[j]
        if self.encoding_.levels[self.encoding_.owner[j]]:
            others = np.where(view.observed, view.scores.filled, 0.0)[:, near]
        else:
            others = view.scores.without(j, view.observed)[:, near]
        own = [*(c[:, j] for c in view.candidates), np.sqrt(view.vb[:, j])]
        return np.column_stack([*own, others, view.observed[:, near]])

    def _predicted(self, x: Array) -> tuple[Array, Array, View]:
        """Return F and s of every cell (n, D), and the view behind them."""
        missing = np.isnan(x)
        trees = [int(j) for j in np.flatnonzero(self.gate_) if missing[:, j].any()]
        view = self._view(x, self.pair_, gain=bool(trees))
        if self.restorers_ is not None:
            view = replace(view, c=np.clip(self.restorers_(x), self.low_, self.high_))
        m = self._stacked(view)
        low, high = np.minimum(m, self.low_), np.maximum(m, self.high_)
        s = np.column_stack(
            [view.width(m[:, j], self.pair_.quantiles, j) for j in range(x.shape[1])]
        )
        for j in trees:
            forest, rows = self.forests_[j], missing[:, j]
            assert forest is not None
            m[rows, j] += self.gate_[j] * forest(self._features(j, view)[rows])
        return np.clip(m + self.tilt_.shift(x), low, high), s, view

    def _chunks(self, values: Array) -> list[Array]:
        width = len(self.encoding_.mean)
        size = max(1, CHUNK_CELLS // (width * width))
        return [values[k : k + size] for k in range(0, len(values), size)]

    def _fill(self, values: Array) -> Array:
        parts = []
        for part in self._chunks(values):
            f, _, _ = self._predicted(self.encoding_.forth(part))
            parts.append(self.encoding_.back(f))
        return np.concatenate(parts)

    def _ends(self, values: Array, coverage: float) -> tuple[Array, Array]:
        tail = (1 - coverage) / 2
        q = np.array([np.interp([tail, 1 - tail], LEVELS, own) for own in self.quantiles_])
        ends: tuple[list[Array], list[Array]] = ([], [])
        for part in self._chunks(values):
            f, s, _ = self._predicted(self.encoding_.forth(part))
            for k in (0, 1):
                ends[k].append(_numbers(self.encoding_, f + q[:, k] * s))
        return np.concatenate(ends[0]), np.concatenate(ends[1])

    def _draws(self, values: Array, m: int, seed: int) -> list[Array]:
        drawn: list[list[Array]] = [[] for _ in range(m)]
        for c, part in enumerate(self._chunks(values)):
            x = self.encoding_.forth(part)
            f, s, view = self._predicted(x)
            scores = self.pair_.quantiles.forth(x)
            for k in range(m):
                rng = numpy_rng(seed, "hybrid", "draw", k, c)
                z = ndtr(draw_missing(self.pair_.scores, scores, rng))
                noise = np.column_stack(
                    [np.interp(z[:, j], LEVELS, own) for j, own in enumerate(self.quantiles_)]
                )
                centre = f
                if self.bootstraps_:
                    law = self.bootstraps_[k % len(self.bootstraps_)]
                    other = conditional(law, x).mean
                    centre = f + np.clip(other, self.low_, self.high_) - view.a
                low, high = np.minimum(f, self.low_), np.maximum(f, self.high_)
                one = np.clip(centre + s * noise, low, high)
                drawn[k].append(self._levelled(one, f, part, rng))
        return [np.concatenate(parts) for parts in drawn]

    def _levelled(self, one: Array, f: Array, part: Array, rng: np.random.Generator) -> Array:
        """Return columns (n, d): numbers as drawn, levels drawn by their probabilities."""
        out = self.encoding_.back(one)
        for block in self.encoding_.blocks:
            share = self.encoding_.shares(f, block).cumsum(1)
            level = (rng.random((len(part), 1)) > share[:, :-1]).sum(1)
            out[:, self.encoding_.owner[block[0]]] = level
        return out


def _fit_pair(x: Array, shrinkage: float, start: Pair | None = None) -> Pair:
    quantiles = fit_quantiles(x) if start is None else _quantiles_like(x, start)
    scores = quantiles.forth(x)
    if start is None:
        raw, own = _fit_anew(x, shrinkage), _fit_anew(scores, shrinkage)
    else:
        raw = fit_gaussian(x, start.raw, 4, shrinkage)
        own = fit_gaussian(scores, start.scores, 4, shrinkage)
    return Pair(raw, own, quantiles)


def _fit_anew(x: Array, shrinkage: float) -> Gaussian:
    """Return EM's Gaussian; of many rows, from where EM came to on every few of them."""
    some = x[:: max(1, len(x) // FIRST)]
    if len(some) == len(x) or ((~np.isnan(some)).sum(0) < FEWEST).any():
        return fit_gaussian(x, shrinkage=shrinkage)
    return fit_gaussian(x, fit_gaussian(some, shrinkage=shrinkage), 8, shrinkage)


def _quantiles_like(x: Array, start: Pair) -> Quantiles:
    """Return the knots of ``x``; those of ``start`` where a fold lacks a whole column."""
    return start.quantiles if np.isnan(x).all(0).any() else fit_quantiles(x)


def _ends_of(quantiles: Quantiles, width: int) -> tuple[Array, Array]:
    ends = [quantiles.knots(j)[0][[0, -1]] for j in range(width)]
    return np.array([e[0] for e in ends]), np.array([e[1] for e in ends])


def _merged(parts: list[NDArray[np.bool_]], pieces: list[Array]) -> Array:
    out = np.empty((len(parts[0]), pieces[0].shape[1]))
    for part, piece in zip(parts, pieces, strict=True):
        out[part] = piece
    return out


def _weighed_quantiles(residual: Array, weight: Array) -> Array:
    """Return quantiles at ``LEVELS``: the k-th smallest lies at its share of W (1 + 1 / n_eff)."""
    order = np.argsort(residual, kind="stable")
    mass = np.cumsum(weight[order])
    effective = mass[-1] ** 2 / float(weight @ weight)
    return np.interp(LEVELS, mass / (mass[-1] * (1 + 1 / effective)), residual[order])


def _numbers(encoding: Encoding, z: Array) -> Array:
    """Return the columns (n, d) that hold numbers in their own unit, NaN for levels."""
    out = np.full((len(z), len(encoding.levels)), np.nan)
    own = encoding.numbers
    out[:, encoding.owner[own]] = z[:, own] * encoding.scale[own] + encoding.mean[own]
    return out
