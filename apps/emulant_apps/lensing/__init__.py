"""Which convergence maps does weak lensing show at a cosmology of my choice?

New maps of the flat sky with the power spectrum of theory and the peaks of simulations, for
covariances, null tests and training, with a certificate of how far they may be trusted.

Convention: κ without unit, flat sky, ℓ in rad⁻¹, C_ℓ in rad², sides in degrees, lengths in
Mpc/h, Born approximation.

>>> from emulant_apps import lensing
>>> kappa = lensing.Convergence(lensing.Cosmology(omega_m=0.3, sigma8=0.8))
"""  # noqa: D400 - the first line of an application's package is its question

from __future__ import annotations

from emulant.lazy import lazy

_HOMES = {
    "Bands": "field.grid",
    "Convergence": "theory.convergence",
    "Cosmology": "theory.cosmology",
    "Emulator": "sample",
    "Maps": "maps",
    "Patch": "field.grid",
    "RandomSky": "field.random",
    "Sources": "theory.convergence",
    "read_maps": "files",
    "simulate": "data",
    "write_maps": "files",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy(__name__, _HOMES)
