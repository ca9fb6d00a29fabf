r"""Kick, drift, kick with factors that follow linear growth exactly.

From a₀ over a_m = (a₀ + a₁)/2 to a₁, with G = a³ E D' and g = dG/da = (3/2) Ω_m D / (a² E):

    kick   p += F(a_r) [G(a_f) - G(a_i)] / (g(a_r) a_r² E(a_r)) = F [G(a_f) - G(a_i)] / ((3/2) Ω_m D(a_r))
    drift  x += p [D(a₁) - D(a₀)] / G(a_m),

so that the growing mode of the linear theory is followed exactly at any step size (Feng et al.
2016, FastPM, eqs 2.14-2.17, https://arxiv.org/abs/1603.00476).
"""  # noqa: E501 - one formula a line

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from emulant_apps.lensing.nbody.initial import START, Particles
from emulant_apps.lensing.nbody.mesh import Mesh
from emulant_apps.lensing.theory.cosmology import Cosmology

__all__ = ["evolve", "schedule"]

EARLY = (0.1, 0.15, 0.21, 0.28, 0.36, 0.43, 0.5, 0.565, 0.63, 0.69)
LONGEST = 0.07
"""Longest step in a once structure is nonlinear; longer ones lose power at k > 0.5 h/Mpc."""
Landing = Callable[[Particles, Tensor], None]
"""Called as landing(particles, δ_k of the mesh) when a wanted scale factor is reached."""


def schedule(wanted: Sequence[float]) -> tuple[float, ...]:
    """Return ascending scale factors from START that land on each of ``wanted``.

    >>> schedule([0.97, 0.9])[-3:]
    (0.83, 0.9, 0.97)
    """
    targets = sorted(float(a) for a in wanted)
    steps = [a for a in EARLY if a < targets[0] - 0.03] or [START]
    for target in targets:
        gap = target - steps[-1]
        parts = max(1, int(np.ceil(gap / LONGEST - 1e-9))) if steps[-1] >= 0.43 else 1
        start = steps[-1]
        steps += [round(start + gap * j / parts, 12) for j in range(1, parts)] + [target]
    return tuple(steps)


def evolve(
    particles: Particles,
    mesh: Mesh,
    cosmology: Cosmology,
    steps: Sequence[float],
    landing: Landing | None = None,
    wanted: Sequence[float] = (),
) -> Particles:
    """Return the particles at the last of ``steps``, a list that begins at their own a."""
    if abs(particles.a - steps[0]) > 1e-9:
        raise ValueError(f"'steps' must begin at a = {particles.a:g}, got {steps[0]:g}")

    def impulse(a: float) -> float:
        growth = float(cosmology.growth(a) * cosmology.growth_rate(a))
        return float(a**2 * cosmology.expansion(a) * growth)

    def kick(start: float, stop: float, at: float) -> float:
        return (impulse(stop) - impulse(start)) / (
            1.5 * cosmology.omega_m * float(cosmology.growth(at))
        )

    x, p = particles.x, particles.p
    with torch.no_grad():
        force, _ = mesh.forces(x, cosmology.omega_m)
        for a0, a1 in pairwise(steps):
            middle = 0.5 * (a0 + a1)
            p = p + force * kick(a0, middle, a0)
            drift = float(cosmology.growth(a1) - cosmology.growth(a0)) / impulse(middle)
            x = torch.remainder(x + p * drift, mesh.side)
            force, delta = mesh.forces(x, cosmology.omega_m)
            p = p + force * kick(middle, a1, a1)
            if landing is not None and np.isclose(a1, wanted, rtol=0, atol=1e-9).any():
                landing(Particles(x, p, a1), delta)
    return Particles(x, p, steps[-1])
