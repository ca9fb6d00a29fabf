"""The app's part of ``emulant demo``: the shipped emulator's maps beside those of theory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emulant.certify.page import Section, Table, style
from emulant.rng import numpy_rng
from emulant_apps.lensing.criteria import Layout, PixelUnits
from emulant_apps.lensing.data import lognormal_shift
from emulant_apps.lensing.field.random import RandomSky
from emulant_apps.lensing.maps import Maps
from emulant_apps.lensing.report import map_figure
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology

if TYPE_CHECKING:
    from emulant_apps.lensing.field.grid import Floats

__all__ = ["demo"]

OMEGA_M, SIGMA8, COUNT = 0.31, 0.78, 500


def demo(seed: int) -> Section:
    """Return the app's part of ``emulant demo``."""
    from emulant_apps.lensing.sample import Emulator  # here: torch is slow to import

    maps = Emulator.pretrained().sample(OMEGA_M, SIGMA8, COUNT, seed=seed)
    cosmology = Cosmology(OMEGA_M, SIGMA8)
    units = PixelUnits.of(maps.patch, cosmology, 1.0)
    sky = RandomSky(maps.patch, Convergence(cosmology).spectrum, lognormal_shift(units.sigma))
    lognormal = Maps(sky.draw(COUNT, numpy_rng(seed, "lensing demo")), maps.degrees)
    layout = Layout(maps.patch)
    ours, theirs = (layout.rows(m.kappa, units) for m in (maps, lognormal))
    power = _mean(ours, layout.slices["power"])
    rows = [
        [f"{ell:.0f}", f"{a:.3f}", f"{b:.3f}"]
        for ell, a, b in zip(
            layout.bands.centres, power, _mean(theirs, layout.slices["power"]), strict=True
        )
    ]
    peaks = [
        [f"{low:g} to {low + 1:g}", f"{a:.2f}", f"{b:.2f}"]
        for low, a, b in zip(
            range(6), _mean(ours, layout.slices["peaks"]), _mean(theirs, layout.slices["peaks"]),
            strict=False,
        )
    ]  # fmt: skip
    high = layout.bands.centres > 250
    with style():
        picture = map_figure(maps, lognormal, beside="lognormal")
    return Section(
        "Weak lensing: convergence maps at a cosmology of your choice",
        "Do these maps have the power of theory and the peaks of a simulation?",
        "reported",
        f"mean C_ℓ within {np.abs(power[high] - 1).max():.1%} of theory for ℓ > 250",
        f"{COUNT} new maps of 5° at Ω_m = {OMEGA_M}, σ₈ = {SIGMA8}, drawn by the network that came "
        "with the package, beside as many lognormal ones of the same C_ℓ, which is what most "
        "people use. docs/lensing.md has the certificate against simulations never trained on.",
        [picture],
        (
            Table(("ℓ", "C / theory, drawn", "C / theory, lognormal"), rows, "Mean band powers."),
            Table(("ν", "peaks/deg², drawn", "peaks/deg², lognormal"), peaks, "Peaks."),
        ),
        "emulant lensing sample --omega-m 0.3 --sigma8 0.8 --count 1000 --out maps.h5",
    )


def _mean(rows: Floats, columns: slice) -> Floats:
    mean: Floats = rows[:, columns].mean(0)
    return mean
