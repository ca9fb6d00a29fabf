"""Measure maps of anybody: what ``emulant lensing measure`` writes.

Everything is in units of the map's own standard deviation σ. Missing pixels: C_ℓ by the masked
estimator with a tapered weight, pixels and peaks of what is known; Minkowski functionals,
bispectrum and wavelets need whole maps and are left out.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from emulant.certify.page import Page, Section, Table, figure, palette, style
from emulant.errors import PASS
from emulant.store import current, new_directory, plain, write_json
from emulant.tables import aligned
from emulant_apps.lensing.config import MeasureConfig
from emulant_apps.lensing.field import masks, onepoint
from emulant_apps.lensing.field.bispectrum import default_triangles
from emulant_apps.lensing.field.extrema import PEAK_EDGES, counts
from emulant_apps.lensing.field.grid import Floats, default_bands
from emulant_apps.lensing.field.minkowski import THRESHOLDS, minkowski
from emulant_apps.lensing.field.shear import smoothed
from emulant_apps.lensing.field.wavelets import Scattering, starlet
from emulant_apps.lensing.files import read_maps
from emulant_apps.lensing.maps import Maps, cut, degraded

__all__ = ["measured", "run"]

TAPER = 0.06
"""Width of the taper at edges and gaps, as a share of the side."""


def run(config: MeasureConfig) -> int:
    """Run ``emulant lensing measure``."""
    maps = read_maps(config.map, config.fov_deg, config.field)
    maps = degraded(maps, config.degrade)
    if config.cut is not None:
        maps = cut(maps, config.cut)
    if config.smoothing:
        from dataclasses import replace

        from emulant.errors import InputError

        if maps.masked:
            raise InputError("--smoothing: a map with missing pixels cannot be smoothed; cut first")
        kappa = smoothed(maps.patch, maps.kappa, config.smoothing)
        maps = replace(maps, kappa=kappa)
    directory = new_directory(config.out)
    found = measured(maps)
    made = plain(current("lensing measure", config, None, maps.fingerprint))
    write_json(directory / "statistics.json", {**found, "provenance": made})
    _page(maps, found, made).write(directory / "index.html")
    sys.stdout.write(_text(found))
    return PASS


def measured(maps: Maps) -> dict[str, Any]:
    """Return every statistic as plain numbers, means over the maps with their errors."""
    patch, kappa = maps.patch, maps.kappa
    deviation = kappa - np.nanmean(kappa)
    sigma = float(np.nanstd(kappa))
    bands = default_bands(patch)
    known = ~np.isnan(kappa)
    power = np.array(
        [
            bands.mean(masks.masked_power(patch, values, masks.taper(there, TAPER * patch.n)))
            for values, there in zip(kappa, known, strict=True)
        ]
    )
    found: dict[str, Any] = {
        "maps": len(maps),
        "pixels": patch.n,
        "degrees": maps.degrees,
        "missing": float(1 - known.mean()),
        "sigma": sigma,
        "skewness": float(np.nanmean(deviation.astype(np.float64) ** 3)) / sigma**3,
        "kurtosis": float(np.nanmean(deviation.astype(np.float64) ** 4)) / sigma**4 - 3,
        "power": {
            "ell": bands.centres,
            "modes": bands.counts,
            "C_ell": _mean(power),
            "error": _error(power, bands.counts),
        },
        "pdf": {
            "edges": onepoint.PDF_EDGES[::4],
            "share": onepoint.fractions(deviation, sigma, onepoint.PDF_EDGES[::4]).mean(0),
        },
        "peaks": {
            "edges": PEAK_EDGES,
            "per_deg2": _mean(counts(patch, deviation, sigma)),
            "minima_per_deg2": _mean(counts(patch, deviation, sigma, minima=True)),
        },
    }
    if not maps.masked:
        triangles = default_triangles(patch)
        functionals = minkowski(patch, deviation, sigma).mean(0)
        scales = max(1, min(4, int(np.log2(patch.n)) - 3))
        planes = starlet(deviation, scales)[:, :-1]
        found |= {
            "minkowski": {
                "nu": THRESHOLDS,
                **{f"V{k}": row for k, row in enumerate(functionals)},
            },
            "bispectrum": {
                "triangles": triangles.names,
                "B": _mean(triangles.measure(deviation)),
            },
            "starlet_l1": {"scales": scales, "norm": np.abs(planes).mean((0, 2, 3)) / sigma},
            "scattering": _mean(Scattering(patch.n, scales).measure(deviation)) / sigma,
        }
    plain_found: dict[str, Any] = plain(found)
    return plain_found


def _mean(rows: Floats) -> Floats:
    mean: Floats = rows.mean(0)
    return mean


def _error(power: Floats, modes: Any) -> Floats:
    """Return the error of the mean: from the scatter, or of a Gaussian field where there is one."""
    if len(power) > 2:
        scatter: Floats = power.std(0, ddof=1) / np.sqrt(len(power))
        return scatter
    gaussian: Floats = power.mean(0) * np.sqrt(2 / modes / len(power))
    return gaussian


def _text(found: dict[str, Any]) -> str:
    power = found["power"]
    rows = [
        [f"{ell:.0f}", str(modes), f"{c:.4g}", f"{e:.2g}", f"{ell * (ell + 1) * c / 2 / np.pi:.4g}"]
        for ell, modes, c, e in zip(
            power["ell"], power["modes"], power["C_ell"], power["error"], strict=True
        )
    ]
    text = aligned(("ell", "modes", "C_ell", "error", "l(l+1)C/2pi"), rows)
    peaks = found["peaks"]
    edges = peaks["edges"]
    rows = [
        [f"{low:g} to {high:g}", f"{p:.3f}", f"{m:.3f}"]
        for low, high, p, m in zip(
            edges, edges[1:], peaks["per_deg2"], peaks["minima_per_deg2"], strict=False
        )
    ]
    text += "\n" + aligned(("nu", "peaks/deg2", "minima/deg2"), rows)
    return text + (
        f"\nsigma {found['sigma']:.5f}, skewness {found['skewness']:.3f}, "
        f"kurtosis {found['kurtosis']:.2f}, {found['maps']} maps of {found['pixels']} pixels, "
        f"{found['missing']:.1%} missing\n"
    )


def _page(maps: Maps, found: dict[str, Any], made: Any) -> Page:
    from matplotlib.figure import Figure as Drawing

    power, pdf = found["power"], found["pdf"]
    with style():
        drawing = Drawing(figsize=(7.0, 2.6), layout="constrained")
        axes = drawing.add_subplot(1, 3, 1)
        axes.imshow(maps.kappa[0], cmap="magma", origin="lower",
                    vmin=-2 * found["sigma"], vmax=5 * found["sigma"])  # fmt: skip
        axes.set(xticks=[], yticks=[], title="the first map")
        axes = drawing.add_subplot(1, 3, 2)
        scale = np.array(power["ell"]) * (np.array(power["ell"]) + 1) / (2 * np.pi)
        axes.errorbar(power["ell"], scale * power["C_ell"], scale * power["error"],
                      fmt="o", ms=3, color=palette()["samples"])  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="ℓ, rad⁻¹", title="ℓ(ℓ+1)C/2π")
        axes = drawing.add_subplot(1, 3, 3)
        width = np.diff(pdf["edges"])
        axes.stairs(np.array(pdf["share"]) / width, pdf["edges"], color=palette()["samples"])
        axes.set(yscale="log", ylim=(1e-5, 1), xlabel="κ / σ", title="pixels")
        picture = figure(drawing, alt="Map, band powers and pixels", wide=True, format="png")
    rows = [
        [f"{ell:.0f}", f"{c:.4g}", f"{e:.2g}"]
        for ell, c, e in zip(power["ell"], power["C_ell"], power["error"], strict=True)
    ]
    section = Section(
        "What this map shows",
        "Which statistics does this convergence map have?",
        "reported",
        f"σ = {found['sigma']:.5f}, skewness {found['skewness']:.2f}",
        f"{found['maps']} map(s) of {found['pixels']} pixels on {found['degrees']:g} degrees. "
        "All numbers are in statistics.json.",
        [picture],
        (Table(("ℓ", "C_ℓ, rad²", "error"), rows, "Band powers, by mode count."),),
        "emulant lensing validate maps.h5 --truth sims.h5 --out report",
    )
    return Page("Convergence map", [section], made, "")
