r"""What planes lose by their cut, given back to the maps.

Planes are cut at k = 10 h/Mpc, beyond which the particles say nothing. A map lacks

    C_cut(ℓ) = Σ_i C_i(ℓ) [ℓ > 10 h/Mpc χ_i],

C_i the part of slab i: small scales of the nearest planes, 1 % of the power at ℓ = 2,000 and 5 % at
4,000. Its modes are multiplied by

    T(ℓ) = √(P[C] / P[C - C_cut]),   P the effective power of pixels,

so that what is left of them, at the same ℓ, stands for what is not. The modes are those of the
cosine transform, in which a patch is even at its edges and nothing wraps around.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from emulant_apps.lensing.field.grid import Floats, Patch
from emulant_apps.lensing.field.pixels import torus_power
from emulant_apps.lensing.nbody.lightcone import DEEPEST, Layout, slabs
from emulant_apps.lensing.theory.convergence import Convergence

__all__ = ["lost_share", "restored"]

MOST = 1.25
"""Bound on T²: pixels in which more is lost show what the particles do not know."""


def lost_share(kappa: Convergence, layout: Layout, ell: Floats) -> Floats:
    """Return C_cut / C at each ℓ, by a table."""
    table = np.geomspace(50.0, 2e5, 400)
    lost = np.zeros_like(table)
    for slab in slabs(kappa, layout):
        part = kappa.slab_power(slab.low, slab.high, table)
        lost += part * (table / slab.chi > DEEPEST)
    share = np.minimum(lost / kappa.spectrum(table), 1.0)
    found: Floats = np.interp(np.log(np.maximum(ell, 1.0)), np.log(table), share, left=0.0)
    return found


def restored(
    maps: NDArray[np.float32], patch: Patch, kappa: Convergence, layout: Layout
) -> NDArray[np.float32]:
    """Return maps (N, n, n) of a light cone with the power that the cut of its planes took."""
    modes = fft.dctn(maps, axes=(1, 2), norm="ortho") * _gain(patch, kappa, layout)
    found: NDArray[np.float32] = fft.idctn(modes, axes=(1, 2), norm="ortho")
    return found


def _gain(patch: Patch, kappa: Convergence, layout: Layout) -> NDArray[np.float32]:
    """Return T of the modes of the cosine transform, (n, n)."""
    double = Patch(2 * patch.n, 2 * patch.degrees)  # whose modes are these
    n = slice(patch.n)

    def left(ell: Floats) -> Floats:
        kept: Floats = kappa.spectrum(ell) * (1 - lost_share(kappa, layout, ell))
        return kept

    whole, some = (torus_power(double, c)[n, n] for c in (kappa.spectrum, left))
    whole[0, 0] = some[0, 0] = 1.0
    return np.sqrt(np.clip(whole / some, 1.0, MOST)).astype(np.float32)
