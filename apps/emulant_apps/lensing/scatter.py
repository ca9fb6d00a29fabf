r"""The scatter of a map's band powers, brought to that of true maps.

A network that is taught by a critic puts too much of its small-scale power into some maps and too
little into others. Notation: P_b the mean power of a map in band b, E_b its expectation at the
cosmology, m_b the mean of ln(P_b/E_b), d_b = ln(P_b/E_b) - m_b; S the covariance of d over the
emulator's maps, T that of true maps. Each map is multiplied, mode by mode, by e^g,

    g_b = [(A - 1) d]_b / 2 + h_b,    A = S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2),

the smallest linear change of d after which its covariance is T (optimal transport of normal laws);
h keeps the mean power. Between the centres of the bands g is linear in ln ℓ, beyond them constant.
Gains are a few per cent. On a larger patch d scatters less, m and h by the ratio of the areas.

- Peyré and Cuturi, Computational Optimal Transport, 2019, remark 2.31,
  https://arxiv.org/abs/1803.00567
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from emulant_apps.lensing.field.grid import Bands, Floats, Patch, default_bands
from emulant_apps.lensing.field.pixels import torus_power
from emulant_apps.lensing.maps import Maps
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology

__all__ = ["LEAST_BOXES", "Gains", "Scatter", "calibrated_scatter"]

LEAST_BOXES = 24
"""Lines of sight from which the scatter of true maps is taken; fewer do not know it."""
ROUNDS = 2
"""Of calibration: the second mends what interpolation between the bands left."""
Draw = Callable[[float, float, int], NDArray[np.floating]]
"""``draw(Ω_m, σ₈, seed)``: maps (N, n, n) on the patch of the true ones."""


@dataclass(frozen=True)
class Scatter:
    """What is done to the band powers of a map."""

    degrees: float
    """Side of the patch on which it was calibrated."""
    edges: Floats
    """Of the bands, (K + 1,), rad⁻¹."""
    centres: Floats
    """(K,), rad⁻¹."""
    mean: Floats
    """m, (K,)."""
    matrix: Floats
    """A, (K, K)."""
    shift: Floats
    """h, (K,)."""

    def on(self, patch: Patch, cosmology: Cosmology) -> Gains:
        """Return what the gains of maps of ``patch`` are computed from."""
        expected = _expected(self.key, patch, cosmology)
        share = (self.degrees / patch.degrees) ** 2
        return Gains(self, expected, _means(self.key, patch), patch.pixel, share)

    @property
    def key(self) -> tuple[float, ...]:
        """The edges, to be remembered by."""
        return tuple(self.edges.tolist())

    def spread(self, ell: Floats) -> Floats:
        """Return the weights (K, ...) that interpolate numbers of bands to each ``ell``."""
        log_l, knots = np.log(np.maximum(ell, 1.0)), np.log(self.centres)
        units = np.eye(len(knots))
        return np.stack([np.interp(log_l, knots, unit) for unit in units])


@dataclass(frozen=True)
class Gains:
    """The gains of maps of one cosmology on one patch."""

    scatter: Scatter
    expected: Floats
    """E (K,), NaN where the patch has no such mode."""
    means: NDArray[np.float32]
    """Weights of the modes of the half plane in the mean power of each band, (n (n/2 + 1), K)."""
    pixel: float
    """Side of a pixel, radians."""
    share: float
    """Area of calibration over that of the patch."""

    def of(self, modes: NDArray[np.complexfloating]) -> Floats:
        """Return g (B, K) of the modes (B, n, n/2 + 1) of ``rfft2`` of maps (B, n, n)."""
        power = modes.real**2 + modes.imag**2
        bands = power.reshape(len(power), -1) @ self.means * (self.pixel**2 / modes.shape[1] ** 2)
        known = np.isfinite(self.expected)
        d = np.zeros(bands.shape)
        ratio = bands[:, known] / self.expected[known]
        d[:, known] = np.log(ratio) - self.share * self.scatter.mean[known]
        change = self.scatter.matrix - np.eye(len(self.scatter.centres))
        found: Floats = 0.5 * d @ change.T + self.share * self.scatter.shift
        return found


@lru_cache(maxsize=16)
def _expected(edges: tuple[float, ...], patch: Patch, cosmology: Cosmology) -> Floats:
    """Return E of each band, (K,), NaN where there is no mode."""
    power = torus_power(patch, Convergence(cosmology).spectrum)[:, : patch.n // 2 + 1]
    means = _means(edges, patch)
    expected: Floats = power.ravel() @ means.astype(np.float64)
    return np.where(means.any(axis=0), expected, np.nan)


@lru_cache(maxsize=4)
def _means(edges: tuple[float, ...], patch: Patch) -> NDArray[np.float32]:
    """Return the weights of the modes of ``rfft2`` in the mean of each band, (n (n/2 + 1), K)."""
    half = patch.n // 2 + 1
    weight = np.full((patch.n, half), 2.0)  # a mode and its conjugate
    weight[:, 0] = 1.0
    if patch.n % 2 == 0:
        weight[:, -1] = 1.0
    band = np.digitize(patch.ell[:, :half].ravel(), edges)[:, None] - 1
    rows = np.where(band == np.arange(len(edges) - 1), weight.reshape(-1, 1), 0.0)
    found: NDArray[np.float32] = (rows / np.maximum(rows.sum(0), 1)).astype(np.float32)
    return found


def calibrated_scatter(
    draw: Callable[[Scatter | None], Draw], truth: Maps, seed: int
) -> Scatter | None:
    """Return the scatter of the true maps for a generator; None where there are too few boxes.

    Parameters
    ----------
    draw
        ``draw(scatter)`` returns the maker of maps to which ``scatter`` was done.
    truth
        True maps with their cosmologies and boxes, on the patch where they will be judged.
    """
    if truth.box is None or len(np.unique(truth.box)) < LEAST_BOXES:
        return None
    bands = default_bands(truth.patch)
    columns = np.stack(truth.known_cosmologies("truth"), axis=1)
    pairs = [(float(m), float(s)) for m, s in np.unique(columns, axis=0)]
    true = [_powers(bands, truth.kappa[np.all(columns == pair, axis=1)], pair) for pair in pairs]
    target = _covariance(true)

    def drawn(scatter: Scatter | None) -> list[Floats]:
        make = draw(scatter)
        return [_powers(bands, make(*pair, seed + k), pair) for k, pair in enumerate(pairs)]

    plain = drawn(None)
    before = np.mean([p.mean(0) for p in plain], axis=0)
    found = Scatter(
        truth.degrees,
        np.asarray(bands.edges),
        bands.centres,
        np.mean([np.log(p).mean(0) for p in plain], axis=0),
        _transport(_covariance(plain), target),
        np.zeros(len(bands.centres)),
    )
    for _ in range(ROUNDS):
        ours = drawn(found)
        after = np.mean([p.mean(0) for p in ours], axis=0)
        found = replace(
            found,
            matrix=_transport(_covariance(ours), target) @ found.matrix,
            shift=found.shift - 0.5 * np.log(after / before),
        )
    return found


def _powers(bands: Bands, maps: NDArray[np.floating], pair: tuple[float, float]) -> Floats:
    """Return P/E of maps of one cosmology, (N, K)."""
    expected = _expected(tuple(bands.edges), bands.patch, Cosmology(*pair))
    return bands.mean(bands.patch.power(maps)) / expected


def _covariance(powers: Sequence[Floats]) -> Floats:
    """Return the covariance of ln(P/E) around its mean over all cosmologies.

    The mean of each would be that of its few boxes, and their own scatter would be lost: E is known
    for each, so that what is left depends on cosmology by a per cent, and on the box by ten.
    """
    found: Floats = np.cov(np.log(np.concatenate(powers)).T)
    return found


def _transport(ours: Floats, true: Floats) -> Floats:
    """Return A, which is symmetric, with A S A = T."""
    root = sqrtm(ours).real
    inverse = np.linalg.inv(root)
    found: Floats = inverse @ sqrtm(root @ true @ root).real @ inverse
    return found
