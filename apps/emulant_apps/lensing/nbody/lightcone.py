r"""Lens planes: where they lie, what they hold, and maps seen through them.

Slab i of the cone, [lo, hi], centre χ_i, is filled by the projection of a whole box of side L,
taken when a = a(χ_i). With δ_i(x) the mean of δ along the box and W_i = ∫ q dχ over the slab,

    κ(θ) = Σ_i W_i δ̂_i(χ_i θ),    δ̂_i,k = T_i(k) δ_i,k / [W_CIC W_bilinear](k)   for k < k_max,

k_max the Nyquist of the rays at χ_i. Each map takes, plane by plane, a random axis, shift, quarter
turn and flip; maps of one box share its structures and are *not* independent: the box is the unit.

Two kinds of layout: ``fine`` fills the cone with boxes of 200 Mpc/h; ``draft`` fills χ < 1200 with
boxes of half that side, which resolves peaks at a quarter of the cost and doubles the scatter from
box to box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.rng import derive, numpy_rng
from emulant_apps.lensing.field.grid import Floats, Patch
from emulant_apps.lensing.nbody.evolve import evolve, schedule
from emulant_apps.lensing.nbody.initial import Particles, displaced, linear_field
from emulant_apps.lensing.nbody.mesh import EDGES, Mesh, Spectrum3D
from emulant_apps.lensing.theory.convergence import Convergence

__all__ = ["LAYOUTS", "Box", "Layout", "Planes", "Slab", "render", "simulate_planes", "slabs"]

Name = Literal["tiny", "draft", "fine"]
DEEPEST = 10.0
"""Largest k of a plane, h/Mpc: beyond it the particles say nothing."""
SAMPLES = 3
"""Rays along a side of a pixel of 4.7 arcmin; finer pixels take fewer."""


@dataclass(frozen=True, slots=True)
class Box:
    """One simulation volume."""

    side: float
    """Mpc/h."""
    particles: int
    """N of N³."""
    mesh: int
    """M of the M³ cells of the force."""
    plane: int
    """G of the G × G pixels of a projected plane."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the cone is filled: ``near`` boxes up to a distance, ``far`` ones beyond."""

    far: Box
    near: Box | None = None
    limit: float = 1200.0
    """Distance up to which the near box is used, Mpc/h."""


LAYOUTS: dict[str, Layout] = {
    "tiny": Layout(Box(200.0, 32, 64, 512)),
    "draft": Layout(Box(200.0, 96, 192, 1024), Box(100.0, 64, 128, 512)),
    "fine": Layout(Box(200.0, 128, 256, 2048)),
}


@dataclass(frozen=True, slots=True)
class Slab:
    """One lens plane."""

    low: float
    high: float
    chi: float
    """Distance at which its box is placed, Mpc/h."""
    a: float
    weight: float
    """W = ∫ q dχ."""
    kind: Literal["near", "far"]


@dataclass(frozen=True)
class Planes:
    """Projected boxes of one line of sight, each seen along its three axes."""

    slabs: tuple[Slab, ...]
    contrast: tuple[Tensor, ...]
    """δ averaged along the box, (3, G, G), one for each slab."""
    spectra: tuple[Spectrum3D, ...]
    """P(k) of the box when each slab was taken."""
    boxes: tuple[Box, ...]
    """The box that fills each slab."""


def slabs(kappa: Convergence, layout: Layout) -> tuple[Slab, ...]:
    """Return the planes between here and the farthest source, nearest first."""
    found: list[Slab] = []
    reached = 0.0
    parts: list[tuple[Box, float, Literal["near", "far"]]] = []
    if layout.near is not None:
        whole = layout.near.side * np.floor(min(layout.limit, kappa.horizon) / layout.near.side)
        parts.append((layout.near, float(whole), "near"))
    parts.append((layout.far, kappa.horizon, "far"))
    for box, limit, kind in parts:
        while reached < limit - 1e-6:
            high = min(reached + box.side, limit)
            chi = reached + 0.5 * box.side
            chi = min(chi, 0.5 * (reached + high)) if high < reached + box.side else chi
            weight = kappa.weight(reached, high)
            found.append(Slab(reached, high, chi, float(kappa.scale_factor(chi)), weight, kind))
            reached = high
    return tuple(found)


def project(particles: Particles, axis: int, side: float, grid: int) -> Tensor:
    """Return δ averaged along ``axis``, cloud-in-cell on grid × grid pixels."""
    across = [particles.x[i] for i in range(3) if i != axis]
    u = [torch.remainder(x, side) * (grid / side) for x in across]
    low = [torch.floor(v) for v in u]
    share = [v - w for v, w in zip(u, low, strict=True)]
    first = [w.to(torch.int64) % grid for w in low]
    out = torch.zeros(grid * grid, dtype=torch.float32, device=particles.x.device)
    for a in (0, 1):
        for b in (0, 1):
            index = ((first[0] + a) % grid) * grid + (first[1] + b) % grid
            wa = share[0] if a else 1 - share[0]
            wb = share[1] if b else 1 - share[1]
            out.index_add_(0, index, wa * wb)
    return out.reshape(grid, grid) * (grid * grid / particles.x.shape[1]) - 1


def simulate_planes(
    kappa: Convergence,
    layout: Layout,
    seed: int,
    fixed: bool = False,
    flipped: bool = False,
    device: str = "cpu",
) -> Planes:
    """Return the planes of one line of sight through one box of each kind."""
    where = slabs(kappa, layout)
    contrast: dict[int, Tensor] = {}
    spectra: dict[int, Spectrum3D] = {}
    boxes = {"far": layout.far, "near": layout.near}
    for kind, box in boxes.items():
        own = {i: s for i, s in enumerate(where) if s.kind == kind}
        if box is None or not own:
            continue
        mesh = Mesh(box.side, box.mesh, device)
        modes = linear_field(
            kappa.matter, box.side, box.particles, derive(seed, kind), fixed, flipped, device
        )
        particles = displaced(kappa.matter, modes, box.side)
        wanted = [s.a for s in own.values()]

        def landing(
            now: Particles, delta: Tensor, own: dict[int, Slab] = own, box: Box = box,
            mesh: Mesh = mesh,
        ) -> None:  # fmt: skip
            for i, slab in own.items():
                if abs(slab.a - now.a) < 1e-9:
                    views = [project(now, axis, box.side, box.plane) for axis in range(3)]
                    contrast[i] = torch.stack(views)
                    spectra[i] = mesh.spectrum(delta)

        evolve(particles, mesh, kappa.cosmology, schedule(wanted), landing, wanted)
    order = range(len(where))
    return Planes(
        where,
        tuple(contrast[i] for i in order),
        tuple(spectra[i] for i in order),
        tuple(layout.far if s.kind == "far" else _present(layout.near) for s in where),
    )


def _present(box: Box | None) -> Box:
    if box is None:
        raise ValueError("'layout' has no near box")
    return box


def _wavenumbers(box: Box, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return |k| of a plane's modes and the windows of its making and reading."""
    step = box.side / box.plane
    line = 2 * np.pi * torch.fft.fftfreq(box.plane, step, device=device)
    half = 2 * np.pi * torch.fft.rfftfreq(box.plane, step, device=device)
    windows = [torch.sinc(k * step / (2 * np.pi)) ** 4 for k in (line, half)]
    return torch.hypot(line[:, None], half[None]), windows[0][:, None] * windows[1][None]


def plane_spectrum(planes: Planes, index: int) -> Spectrum3D:
    """Return P(k) of the modes across the line of sight, from the plane's three views."""
    box, views = planes.boxes[index], planes.contrast[index]
    k, window = _wavenumbers(box, views.device)
    power = torch.fft.rfft2(views).abs().square().mean(0) / window
    power = power * (box.side**3 / box.plane**4)
    bins = torch.bucketize(k.reshape(-1), torch.as_tensor(EDGES, dtype=k.dtype, device=k.device))
    sums = torch.zeros(len(EDGES) + 1, dtype=torch.float64, device=k.device)
    counts = sums.clone()
    sums.index_add_(0, bins, power.reshape(-1).double())
    counts.index_add_(0, bins, torch.ones_like(power).reshape(-1).double())
    mean = (sums / counts.clamp(min=1))[1:-1].cpu().numpy()
    return Spectrum3D(mean, 3 * counts[1:-1].cpu().numpy())


Transfers = Sequence[Callable[[Floats], Floats]]
"""T_i(k) of each slab, k in h/Mpc."""


def rays_per_pixel(patch: Patch) -> int:
    """Return how many rays along a pixel's side are averaged."""
    return max(1, min(SAMPLES, round(SAMPLES * patch.arcmin / 4.6875)))


def filtered(planes: Planes, transfers: Transfers, spacing: float) -> list[Tensor]:
    """Return the planes with their T, windows divided out, band-limited for rays at ``spacing``."""
    found = []
    for slab, box, views, transfer in zip(
        planes.slabs, planes.boxes, planes.contrast, transfers, strict=True
    ):
        k, window = _wavenumbers(box, views.device)
        highest = min(DEEPEST, 0.95 * np.pi / (spacing * slab.chi))
        table = np.geomspace(1e-3, 2 * DEEPEST, 400)
        safe = torch.clamp(k, min=1e-3).cpu().numpy()
        gain = np.interp(np.log(safe), np.log(table), transfer(table)).astype(np.float32)
        shape = torch.from_numpy(gain).to(views.device) * (k < highest) / window.clamp(min=0.05)
        shape[0, 0] = 0
        found.append(torch.fft.irfft2(torch.fft.rfft2(views) * shape, s=views.shape[-2:]))
    return found


def render(
    planes: Planes, transfers: Transfers, patch: Patch, count: int, seed: int
) -> NDArray[np.float32]:
    """Return ``count`` maps (count, n, n) of one box, each with its own random planes."""
    rays = rays_per_pixel(patch)
    total = patch.n * rays
    ready = filtered(planes, transfers, patch.pixel / rays)
    angle = ((np.arange(total) + 0.5) / total - 0.5) * patch.side
    maps = np.empty((count, patch.n, patch.n), dtype=np.float32)
    for m in range(count):
        rng = numpy_rng(seed, "lensing view", m)
        sky = torch.zeros((total, total), device=ready[0].device)
        for slab, box, views in zip(planes.slabs, planes.boxes, ready, strict=True):
            axis, turns, flip = (int(rng.integers(high)) for high in (3, 4, 2))
            shift = rng.random(2)
            at = angle * slab.chi * box.plane / box.side
            seen = _bilinear(views[axis], at + shift[0] * box.plane, at + shift[1] * box.plane)
            seen = torch.rot90(seen, turns)
            sky += slab.weight * (seen.T if flip else seen)
        maps[m] = sky.reshape(patch.n, rays, patch.n, rays).mean((1, 3)).cpu().numpy()
    return maps


def _bilinear(plane: Tensor, x: Floats, y: Floats) -> Tensor:
    """Return a periodic plane on the grid x × y, in units of its pixels."""
    grid = plane.shape[0]

    def split(u: Floats) -> tuple[Tensor, Tensor, Tensor]:
        low = np.floor(u)
        index = torch.from_numpy(low.astype(np.int64) % grid).to(plane.device)
        share = torch.from_numpy((u - low).astype(np.float32)).to(plane.device)
        return index, (index + 1) % grid, share

    i, i1, f = split(x)
    j, j1, g = split(y)
    rows = plane[i] * (1 - f)[:, None] + plane[i1] * f[:, None]
    return rows[:, j] * (1 - g) + rows[:, j1] * g
