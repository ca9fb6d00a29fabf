r"""What a certificate of maps measures, and the tolerances.

Every map becomes one row of numbers, each free of the cosmology as far as theory knows it, so that
maps of many cosmologies can be judged together. Notation: σ the theoretical standard deviation of
a pixel at the map's cosmology, E_b the effective C_ℓ of band b (window, aliasing, leakage):

    C_ℓ / theory          P_b / E_b             exact answer 1
    pixels                share of ν = κ/σ in bins
    peaks, minima         per deg² in bins of ν
    Minkowski             V₀, V₁, V₂ at thresholds of ν
    bispectrum            B / B_tree, B_tree = (E₁E₂ + E₂E₃ + E₃E₁)/λ of a lognormal field
    starlet ℓ₁-norm       per scale, in units of σ

and from the same rows the variance of P_b/E_b over maps and the correlations of bands.
Tolerances are those of the project's issue on lensing maps: 2 % of C_ℓ for ℓ ≥ 250 and 4 % below,
W₁ of pixels .02 σ, 5 % of peaks and minima to ν = 4 and 10 % to 6, Minkowski functionals 3 % of
their maximum, 10 % of the bispectrum and of variances, .1 of correlations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify import Statistic, Tolerance, correlations, variances
from emulant_apps.lensing.data import lognormal_shift
from emulant_apps.lensing.field.bispectrum import Triangles, default_triangles
from emulant_apps.lensing.field.extrema import PEAK_EDGES, counts
from emulant_apps.lensing.field.grid import Bands, Floats, Patch, default_bands
from emulant_apps.lensing.field.minkowski import THRESHOLDS, minkowski
from emulant_apps.lensing.field.onepoint import PDF_EDGES, fractions
from emulant_apps.lensing.field.pixels import patch_power, pixel_variance
from emulant_apps.lensing.field.wavelets import starlet
from emulant_apps.lensing.theory.convergence import Convergence, Sources
from emulant_apps.lensing.theory.cosmology import Cosmology

__all__ = ["Layout", "PixelUnits", "plain_statistics", "statistics"]

BY = "issue on lensing maps"
LOW_ELL = 250.0
"""ℓ below which the mean C_ℓ may be 4 % off instead of 2 %."""
SCALES = 3
"""Starlet scales."""


@dataclass(frozen=True)
class PixelUnits:
    """σ, E_b and B_tree of one cosmology on one patch."""

    sigma: float
    bands: Floats
    tree: Floats

    @classmethod
    def of(cls, patch: Patch, cosmology: Cosmology, z_source: float) -> PixelUnits:
        """Return the units of theory."""
        kappa = Convergence(cosmology, Sources.plane(z_source))
        layout = Layout(patch)
        power = patch_power(patch, kappa.spectrum)
        sigma = math.sqrt(pixel_variance(patch, kappa.spectrum))
        shift = lognormal_shift(sigma)
        means = np.array(
            [
                [power[(patch.ell >= low) & (patch.ell < high)].mean() for low, high in rings]
                for rings in layout.triangles.rings
            ]
        )
        a, b, c = means.T
        return cls(sigma, layout.bands.mean(power), (a * b + b * c + c * a) / shift)


@dataclass(frozen=True)
class Layout:
    """Which column of a row is what."""

    patch: Patch

    @cached_property
    def bands(self) -> Bands:
        """Bands of C_ℓ."""
        return default_bands(self.patch)

    @cached_property
    def triangles(self) -> Triangles:
        """Triples of the bispectrum."""
        return default_triangles(self.patch)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Columns of each part."""
        sizes = {
            "power": len(self.bands.centres),
            "pdf": len(PDF_EDGES) - 1,
            "peaks": len(PEAK_EDGES) - 1,
            "minima": len(PEAK_EDGES) - 1,
            "minkowski": 3 * len(THRESHOLDS),
            "bispectrum": len(self.triangles.names),
            "starlet": SCALES,
        }
        found, start = {}, 0
        for name, size in sizes.items():
            found[name] = slice(start, start + size)
            start += size
        return found

    def rows(self, maps: NDArray[np.floating], units: PixelUnits) -> Floats:
        """Return the row of each map (N, K)."""
        values = maps.astype(np.float64)
        parts = [
            self.bands.mean(self.patch.power(values)) / units.bands,
            fractions(values, units.sigma),
            counts(self.patch, values, units.sigma),
            counts(self.patch, values, units.sigma, minima=True),
            minkowski(self.patch, values, units.sigma).reshape(len(maps), -1),
            self.triangles.measure(values) / units.tree,
            np.abs(starlet(values, SCALES)[:, :-1]).mean((2, 3)) / units.sigma,
        ]
        return np.concatenate(parts, axis=1)


class _Columns:
    """Features that are columns of the rows."""

    def __init__(self, columns: slice, pick: Sequence[int] | None = None) -> None:
        self.columns, self.pick = columns, pick

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        found = rows[:, self.columns]
        return found if self.pick is None else found[:, list(self.pick)]


def statistics(layout: Layout, truth: Floats, own: Floats | None = None) -> tuple[Statistic, ...]:
    """Return what is judged on rows.

    ``truth`` rows set the scale of the Minkowski tolerances; bins in which they, or ``own``, do
    not vary from map to map are left out.
    """
    where = layout.slices
    varies = truth.std(0) > 0 if own is None else (truth.std(0) > 0) & (own.std(0) > 0)
    ells = [f"ℓ = {ell:.0f}" for ell in layout.bands.centres]
    allowed = tuple(0.04 if ell < LOW_ELL else 0.02 for ell in layout.bands.centres)
    found = [
        Statistic(
            "C_ℓ / theory",
            _Columns(where["power"]),
            labels=tuple(ells),
            tolerance=Tolerance(allowed, by=BY),
            description="mean band power over the effective theory of the same cosmology",
        )
    ]
    for name in ("peaks", "minima"):
        edges = list(pairwise(PEAK_EDGES))
        for what, bins in (("", _judged(name)), (", rare", _rare(name))):
            pick = [k for k in bins if varies[where[name].start + k]]
            if not pick:
                continue
            labels = tuple(f"{edges[k][0]:g} < ν < {edges[k][1]:g}" for k in pick)
            widths = tuple(0.05 if edges[k][1] <= 4 else 0.10 for k in pick)
            found.append(
                Statistic(
                    name + what,
                    _Columns(where[name], pick),
                    labels=labels,
                    unit="deg⁻²",
                    tolerance=None if what else Tolerance(widths, "relative", by=BY),
                    description="counts per square degree",
                )
            )
    functional = truth[:, where["minkowski"]].mean(0).reshape(3, -1)
    for k, name in enumerate(("V₀", "V₁", "V₂")):
        start = where["minkowski"].start + k * len(THRESHOLDS)
        pick = [j for j in range(len(THRESHOLDS)) if varies[start + j]]
        found.append(
            Statistic(
                f"Minkowski {name}",
                _Columns(slice(start, start + len(THRESHOLDS)), pick),
                labels=tuple(f"ν = {THRESHOLDS[j]:g}" for j in pick),
                unit=("", "arcmin⁻¹", "arcmin⁻²")[k],
                tolerance=Tolerance(0.03 * float(np.abs(functional[k]).max()), by=BY),
            )
        )
    found.append(
        Statistic(
            "bispectrum / tree",
            _Columns(where["bispectrum"]),
            labels=layout.triangles.names,
            tolerance=Tolerance(0.10, "relative", by=BY),
            description="bispectrum over that of a lognormal field to leading order",
        )
    )
    found.append(
        Statistic(
            "starlet ℓ₁-norm",
            _Columns(where["starlet"]),
            labels=tuple(f"scale {j}" for j in range(SCALES)),
            unit="σ",
        )
    )
    power = _Columns(where["power"])
    found.append(
        variances(power, ells, name="variance of C_ℓ", tolerance=Tolerance(0.10, "relative", by=BY))
    )
    found.append(
        correlations(power, ells, name="correlation of C_ℓ", tolerance=Tolerance(0.10, by=BY))
    )
    return tuple(found)


def _judged(name: str) -> list[int]:
    """Return the bins of peaks to ν = 6, of minima to ν = 4: there are none deeper."""
    highest = 6.0 if name == "peaks" else 3.0
    return [k for k, high in enumerate(PEAK_EDGES[1:]) if high <= highest]


def _rare(name: str) -> list[int]:
    judged = _judged(name)
    return [k for k in range(len(PEAK_EDGES) - 1) if k not in judged]


def plain_statistics(truth: NDArray[Any], names: Sequence[str] = ()) -> tuple[Statistic, ...]:
    """Return statistics of anybody's square maps (n, N, N), for ``emulant certify``.

    No angular size is known: a map is one degree wide. Units are the truth's own.
    """
    del names  # of a table's columns: maps have none
    from emulant.errors import InputError

    if truth.ndim != 3 or truth.shape[1] != truth.shape[2] or truth.shape[1] < 16:
        raise InputError(f"lensing statistics need maps (n, N, N), N >= 16, got {truth.shape}")
    layout = Layout(Patch(int(truth.shape[1]), 1.0))
    sigma = float(np.asarray(truth, dtype=np.float64).std())
    bands = layout.bands.mean(layout.patch.power(truth)).mean(0)
    tree = np.abs(layout.triangles.measure(truth).mean(0))
    units = PixelUnits(sigma, bands, tree)
    measured = statistics(layout, layout.rows(truth, units))

    def of_maps(inner: Statistic) -> Statistic:
        def features(maps: NDArray[Any]) -> NDArray[Any]:
            rows: NDArray[Any] = inner.features(layout.rows(maps, units))
            return rows

        return Statistic(
            inner.name, features, inner.reduce, inner.labels, inner.unit, inner.tolerance,
            inner.description,
        )  # fmt: skip

    return tuple(of_maps(statistic) for statistic in measured)
