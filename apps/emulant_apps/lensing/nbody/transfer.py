r"""The transfer function that gives each plane the power of theory.

    T_i²(k) = [∫_slab q²/χ² P(ℓ/χ) dχ]_{ℓ = k χ_i} χ_i² L / W_i² / [R(k) P(k, a_i)],

P Halofit, R = P_PM / P what the particles lack (or, by shot noise, have too much of). The bracket
removes the error of a thick slab; R is one below k = 0.12, where a box tells nothing but its own
luck, and is blended in up to k = 0.25. R is smooth in cosmology and time, hence a fit

    ln R(k; s, m) = c₀ + c₁ s + c₂ s² + c₃ m,   s = ln(σ₈ D(a)),  m = ln(Ω_m / 0.3),

bin by bin in k, to boxes that make no data: fixed and paired ones at several cosmologies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np

from emulant.errors import InputError
from emulant_apps.lensing.field.grid import Floats
from emulant_apps.lensing.nbody.lightcone import (
    LAYOUTS,
    Box,
    Planes,
    Slab,
    Transfers,
    plane_spectrum,
    simulate_planes,
)
from emulant_apps.lensing.nbody.mesh import EDGES
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology

__all__ = ["Deficit", "Deficits", "calibrate", "load_deficits", "transfers"]

CENTRES = np.sqrt(EDGES[1:] * EDGES[:-1])
BLEND = (0.12, 0.25)
"""Below the first k, h/Mpc, R is one; above the second it is what was measured."""
SPLIT = 0.5
"""The three-dimensional spectrum is used up to this share of the mesh's Nyquist, planes beyond."""


@dataclass(frozen=True)
class Deficit:
    """ln R(k; s, m) of one kind of box."""

    coefficients: Floats
    """Shape (bins of k, 4)."""

    def log_ratio(self, cosmology: Cosmology, a: float) -> Floats:
        """Return ln R at :data:`CENTRES`, blended to zero on large scales."""
        value = self.coefficients @ _features(cosmology, a)
        low, high = np.log(BLEND)
        share = np.clip((np.log(CENTRES) - low) / (high - low), 0, 1)
        found: Floats = value * share
        return found


Deficits = Mapping[str, Deficit]
"""By kind of box, near and far."""


def _features(cosmology: Cosmology, a: float) -> Floats:
    s = np.log(cosmology.sigma8 * float(cosmology.growth(a)))
    return np.array([1.0, s, s * s, np.log(cosmology.omega_m / 0.3)])


def transfers(kappa: Convergence, planes: Planes, deficits: Deficits | None) -> Transfers:
    """Return T_i(k) of each slab; without ``deficits`` R is one."""
    found = []
    for slab, box in zip(planes.slabs, planes.boxes, strict=True):
        deficit = None if deficits is None else deficits[slab.kind]
        found.append(_transfer(kappa, slab, box, deficit))
    return found


def _transfer(
    kappa: Convergence, slab: Slab, box: Box, deficit: Deficit | None
) -> Callable[[Floats], Floats]:
    theory = kappa.matter.nonlinear(CENTRES, np.full_like(CENTRES, slab.a))
    wanted = kappa.slab_power(slab.low, slab.high, CENTRES * slab.chi)
    wanted = wanted * slab.chi**2 * box.side / slab.weight**2
    log_t = 0.5 * (np.log(wanted) - np.log(theory))
    if deficit is not None:
        log_t = log_t - 0.5 * deficit.log_ratio(kappa.cosmology, slab.a)

    def transfer(k: Floats) -> Floats:
        found: Floats = np.exp(np.interp(np.log(k), np.log(CENTRES), log_t))
        return found

    return transfer


def calibrate(
    layout: str,
    cosmologies: Iterable[Cosmology],
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Deficits:
    """Return R of each kind of box, from one fixed pair at each cosmology."""
    rows: dict[str, list[Floats]] = {"near": [], "far": []}
    values: dict[str, list[Floats]] = {"near": [], "far": []}
    for index, cosmology in enumerate(cosmologies):
        kappa = Convergence(cosmology)
        pair = [
            simulate_planes(
                kappa, LAYOUTS[layout], seed + index, fixed=True, flipped=flipped, spectra=True
            )
            for flipped in (False, True)
        ]
        for i, slab in enumerate(pair[0].slabs):
            theory = kappa.matter.nonlinear(CENTRES, np.full_like(CENTRES, slab.a))
            measured = np.mean([_measured(planes, i) for planes in pair], axis=0)
            rows[slab.kind].append(_features(cosmology, slab.a))
            values[slab.kind].append(np.log(measured / theory))
        if progress is not None:
            progress(index + 1)
    fits = {}
    for kind, x in rows.items():
        if x:
            y = np.array(values[kind])
            solved = np.linalg.lstsq(np.array(x), y, rcond=None)[0].T
            padded = np.pad(solved, ((1, 1), (0, 0)), "edge")
            smooth = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
            fits[kind] = Deficit(smooth)
    return fits


def _measured(planes: Planes, index: int) -> Floats:
    """Return P at :data:`CENTRES`: of the whole box on large scales, of its planes on small."""
    box, whole = planes.boxes[index], planes.spectra[index]
    across = plane_spectrum(planes, index)
    split = SPLIT * np.pi * box.mesh / box.side
    use_whole = (split > CENTRES) & (whole.modes > 0)
    power = np.where(use_whole, whole.power, across.power)
    known = power > 0
    filled: Floats = np.exp(
        np.interp(np.log(CENTRES), np.log(CENTRES[known]), np.log(power[known]))
    )
    return filled


def load_deficits(layout: str) -> Deficits | None:
    """Return the shipped R of a layout; None where none was measured (``tiny``)."""
    file = resources.files("emulant_apps.lensing.nbody") / f"transfer_{layout}.json"
    if layout not in LAYOUTS:
        raise InputError(f"--resolution: must be one of {', '.join(LAYOUTS)}, got {layout}")
    if not file.is_file():
        return None
    record = json.loads(file.read_text(encoding="utf-8"))
    return {kind: Deficit(np.array(table)) for kind, table in record["coefficients"].items()}
