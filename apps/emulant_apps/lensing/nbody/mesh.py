r"""Density and force on a periodic mesh, by cloud-in-cell.

Notation: box side L, M³ cells, N³ particles, k = 2π fftfreq(M, L/M):

    δ(x) = ρ/ρ̄ - 1,     F_k = i k / (k² W(k)) (3/2) Ω_m δ_k,     W = Π_i sinc²(k_i L / 2πM),

the acceleration in units of H₀² without its factor 1/a; one of the two cloud-in-cell windows is
divided out.

- Hockney and Eastwood, Computer Simulation Using Particles, 1988
- Feng et al., FastPM, 2016, https://arxiv.org/abs/1603.00476
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emulant_apps.lensing.nbody.compiled import deposit, gather

__all__ = ["Mesh", "Spectrum3D"]

EDGES = np.geomspace(0.03, 60.0, 56)
"""Edges of the bins of all matter spectra, h/Mpc."""


@dataclass(frozen=True)
class Spectrum3D:
    """Binned P(k) and the number of modes in each bin of :data:`EDGES`."""

    power: np.ndarray
    """(Mpc/h)³; 0 where there is no mode."""
    modes: np.ndarray
    """Modes in the bin."""


class Mesh:
    """M³ cells on a periodic box of side L."""

    def __init__(self, side: float, cells: int, device: str = "cpu") -> None:
        self.side, self.cells = side, cells
        line = 2 * np.pi * torch.fft.fftfreq(cells, side / cells, device=device)
        half = 2 * np.pi * torch.fft.rfftfreq(cells, side / cells, device=device)
        self.k = (line[:, None, None], line[None, :, None], half[None, None, :])
        self.k2 = self.k[0] ** 2 + self.k[1] ** 2 + self.k[2] ** 2
        self.window = torch.ones((), device=device)
        for k in self.k:
            self.window = self.window * torch.sinc(k * side / cells / (2 * np.pi)) ** 2
        green = 1 / (self.k2 * self.window)
        green[0, 0, 0] = 0
        self._green = green

    def _corners(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield flat cell indices and weights of the eight cells that each particle touches."""
        m = self.cells
        u = torch.remainder(x, self.side) * (m / self.side)
        low = torch.floor(u)
        high_share = u - low
        first = low.to(torch.int64) % m
        index = (first, (first + 1) % m)
        share = (1 - high_share, high_share)
        for a in (0, 1):
            for b in (0, 1):
                row = (index[a][0] * m + index[b][1]) * m
                part = share[a][0] * share[b][1]
                for c in (0, 1):
                    yield row + index[c][2], part * share[c][2]

    def contrast(self, x: Tensor) -> Tensor:
        """Return δ (M, M, M) of particles at ``x`` (3, n)."""
        if x.device.type == "cpu":
            cells = torch.zeros((self.cells,) * 3)
            deposit(x.numpy(), self.cells / self.side, cells.numpy())
        else:
            flat = torch.zeros(self.cells**3, device=x.device)
            for index, weight in self._corners(x):
                flat.index_add_(0, index, weight)
            cells = flat.reshape((self.cells,) * 3)
        return cells * (self.cells**3 / x.shape[1]) - 1

    def forces(self, x: Tensor, omega_m: float) -> tuple[Tensor, Tensor]:
        """Return F (3, n) at the particles and δ_k, the transform of δ."""
        delta = torch.fft.rfftn(self.contrast(x))
        potential = delta * (self._green * (1.5 * omega_m))
        force = torch.empty_like(x)
        for axis, k in enumerate(self.k):
            field = torch.fft.irfftn(potential * (1j * k), s=(self.cells,) * 3)
            self._read(field, x, force[axis])
        return force, delta

    def _read(self, field: Tensor, x: Tensor, out: Tensor) -> None:
        """Set ``out`` (n,) to a field at the particles."""
        if x.device.type == "cpu":
            gather(x.numpy(), self.cells / self.side, field.numpy(), out.numpy())
            return
        out.zero_()
        flat = field.reshape(-1)
        for index, weight in self._corners(x):
            out += flat[index] * weight

    def spectrum(self, delta: Tensor) -> Spectrum3D:
        """Return the binned P(k) of δ_k, the window divided out, up to 0.55 of Nyquist."""
        volume = self.side**3 / self.cells**6
        power = (delta.real**2 + delta.imag**2) / self.window**2 * volume
        twice = torch.full_like(self.k2, 2.0)
        twice[..., 0] = 1
        k = self.k2.sqrt()
        kept = (k > 0) & (k < 0.55 * np.pi * self.cells / self.side)
        edges = torch.as_tensor(EDGES, dtype=k.dtype, device=k.device)
        bins = torch.bucketize(k[kept], edges)
        weight = twice.expand_as(k)[kept].double()
        sums = torch.zeros(len(EDGES) + 1, dtype=torch.float64, device=k.device)
        counts = sums.clone()
        sums.index_add_(0, bins, power[kept].double() * weight)
        counts.index_add_(0, bins, weight)
        mean = sums / counts.clamp(min=1)
        return Spectrum3D(mean[1:-1].cpu().numpy(), counts[1:-1].cpu().numpy())
