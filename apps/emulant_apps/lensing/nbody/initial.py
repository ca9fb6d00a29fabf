r"""Initial conditions: a Gaussian field and second-order Lagrangian displacements.

Notation: linear contrast today δ_k = √P(k) w_k with white noise w, displacements

    x = q + D ψ¹ + D² ψ²,   ψ¹_k = i k δ_k / k²,   ψ²_k = (3/7) i k s_k / k²,
    s = Σ_{i<j} (φ_ii φ_jj - φ_ij²),   φ_ij,k = k_i k_j δ_k / k²,
    p = a² E f (D ψ¹ + 2 D² ψ²).

The sign and size of ψ² follow D₂ = -(3/7) D² (Bouchet et al. 1995,
https://arxiv.org/abs/astro-ph/9406013). *Fixed* noise has |w_k| = 1, and a *pair* is w and -w:
their mean spectrum has almost no sample variance (Angulo and Pontzen 2016,
https://arxiv.org/abs/1603.05253).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emulant.rng import numpy_rng
from emulant_apps.lensing.nbody.mesh import Mesh
from emulant_apps.lensing.theory.matter import MatterPower

__all__ = ["START", "Particles", "displaced", "linear_field"]

START = 0.1
"""Scale factor of the initial conditions."""


@dataclass
class Particles:
    """Positions and momenta (3, N³) at scale factor ``a``."""

    x: Tensor
    p: Tensor
    a: float


def linear_field(
    power: MatterPower,
    side: float,
    count: int,
    seed: int,
    fixed: bool = False,
    flipped: bool = False,
    device: str = "cpu",
) -> Tensor:
    """Return δ_k today, the transform of an N³ field; Nyquist planes are zero."""
    noise = numpy_rng(seed, "lensing initial").standard_normal((count,) * 3, dtype=np.float32)
    modes: Tensor = torch.fft.rfftn(torch.from_numpy(noise).to(device))
    if fixed:
        modes = modes / modes.abs().clamp(min=1e-9) * count**1.5
    if flipped:
        modes = -modes
    k = Mesh(side, count, device).k2.sqrt()
    k[0, 0, 0] = 1
    grid = np.geomspace(1e-3, 100, 2000)
    table = np.log(power.linear(grid))
    log_k = torch.log(k).cpu().numpy()
    amplitude = np.exp(0.5 * np.interp(log_k, np.log(grid), table)) * (count / side) ** 1.5
    modes = modes * torch.from_numpy(amplitude.astype(np.float32)).to(device)
    modes[0, 0, 0] = 0
    middle = count // 2  # odd derivatives are undefined on the Nyquist planes
    modes[middle], modes[:, middle], modes[:, :, middle] = 0, 0, 0
    return modes


def displaced(power: MatterPower, modes: Tensor, side: float, a: float = START) -> Particles:
    """Return particles on a displaced grid at ``a``, from the linear δ_k today."""
    count = modes.shape[0]
    mesh = Mesh(side, count, str(modes.device))
    k2 = mesh.k2.clone()
    k2[0, 0, 0] = 1

    def inverse(field: Tensor) -> Tensor:
        found: Tensor = torch.fft.irfftn(field, s=(count,) * 3)
        return found

    tides = {
        (i, j): inverse(mesh.k[i] * mesh.k[j] / k2 * modes) for i in range(3) for j in range(i, 3)
    }
    second = torch.zeros_like(tides[0, 0])
    for i in range(3):
        for j in range(i + 1, 3):
            second += tides[i, i] * tides[j, j] - tides[i, j] ** 2
    source = torch.fft.rfftn(second) * (3 / 7)
    cosmology = power.cosmology
    d, f, e = (
        float(value)
        for value in (cosmology.growth(a), cosmology.growth_rate(a), cosmology.expansion(a))
    )
    line = torch.arange(count, device=modes.device, dtype=torch.float32) * (side / count)
    grid = torch.stack(torch.meshgrid(line, line, line, indexing="ij"))
    x, p = torch.empty_like(grid), torch.empty_like(grid)
    for i, k in enumerate(mesh.k):
        first = inverse(1j * k / k2 * modes) * d
        later = inverse(1j * k / k2 * source) * d**2
        x[i] = grid[i] + first + later
        p[i] = a**2 * e * f * (first + 2 * later)
    return Particles(x.reshape(3, -1), p.reshape(3, -1), a)
