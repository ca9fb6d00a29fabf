r"""Lens planes: where they lie, what they hold, and maps seen through them.

Slab i of the cone, [lo, hi], centre χ_i, is filled by the projection of a whole box of side L,
taken when a = a(χ_i). With δ_i(x) the mean of δ along the box and W_i = ∫ q dχ over the slab,

    κ(θ) = Σ_i W_i δ̂_i(χ_i θ),    δ̂_i,k = T_i(k) Π(k_x) Π(k_y) δ_i,k / [W_CIC W_bilinear](k),

for k < 10 h/Mpc. Π(k) = sinc(k χ_i Δ / 2) averages over a pixel of side Δ before one ray a pixel is
taken, so that a pixel holds its exact mean: power beyond the pixels' Nyquist folds back as the
effective C_ℓ of theory says. Each map takes, plane by plane, a random axis, shift, quarter turn and
flip; maps of one box share its structures and are *not* independent: the box is the unit.

The same views of the *linear* density of the boxes make, with

    L(θ) = Σ_i Π Π √(s(ℓ) C_i(ℓ) χ_i² L / P_lin(k)) δ_lin,i(χ_i θ),   ℓ = k χ_i,  s = e^(-(ℓ/700)⁴),

a Gaussian map of spectrum s C_ℓ (C_i is the slab's part of C_ℓ) that shows what of the map was in
the initial conditions: the pair from which an emulator can start.

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
from emulant_apps.lensing.nbody.compiled import deposit_plane
from emulant_apps.lensing.nbody.evolve import evolve, schedule
from emulant_apps.lensing.nbody.initial import Particles, displaced, linear_field
from emulant_apps.lensing.nbody.mesh import EDGES, Mesh, Spectrum3D
from emulant_apps.lensing.theory.convergence import Convergence

__all__ = [
    "LAYOUTS",
    "Box",
    "Layout",
    "Planes",
    "Slab",
    "View",
    "linear_power",
    "render",
    "simulate_planes",
    "slabs",
]

Name = Literal["tiny", "draft", "fine"]
DEEPEST = 10.0
"""Largest k of a plane, h/Mpc: beyond it the particles say nothing."""
FINER = 4
"""Points of a linear plane between two of its lattice, so that bilinear reading is exact."""
REMEMBERED = 700.0
"""ℓ beyond which the linear density says nothing of a map."""


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
    boxes: tuple[Box, ...]
    """The box that fills each slab."""
    linear: tuple[Tensor, ...] = ()
    """Linear δ today averaged along the box, (3, N, N), one for each slab."""
    spectra: tuple[Spectrum3D, ...] = ()
    """P(k) of the box when each slab was taken, where it was asked for."""


@dataclass(frozen=True)
class View:
    """Maps of one box, and what its initial conditions say of them."""

    kappa: NDArray[np.float32]
    """(N, n, n), no unit."""
    linear: NDArray[np.float32]
    """L (N, n, n), no unit, with the same turns and shifts."""


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
    norm = grid * grid / particles.x.shape[1]
    if particles.x.device.type == "cpu":
        plane = torch.zeros((grid, grid))
        deposit_plane(across[0].numpy(), across[1].numpy(), grid / side, plane.numpy())
        return plane * norm - 1
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
    return out.reshape(grid, grid) * norm - 1


def linear_views(modes: Tensor) -> Tensor:
    """Return the linear δ averaged along each axis, (3, N, N), of its modes (N, N, N/2 + 1)."""
    count = modes.shape[0]
    planes = (modes[0], modes[:, 0], modes[:, : count // 2 + 1, 0])
    return torch.stack([torch.fft.irfft2(p, s=(count, count)) for p in planes]) / count


def simulate_planes(
    kappa: Convergence,
    layout: Layout,
    seed: int,
    fixed: bool = False,
    flipped: bool = False,
    device: str = "cpu",
    spectra: bool = False,
) -> Planes:
    """Return the planes of one line of sight through one box of each kind.

    ``spectra`` measures the P(k) of the boxes as well, for a calibration.
    """
    where = slabs(kappa, layout)
    contrast: dict[int, Tensor] = {}
    linear: dict[int, Tensor] = {}
    measured: dict[int, Spectrum3D] = {}
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
        linear |= dict.fromkeys(own, linear_views(modes))

        def landing(
            now: Particles, delta: Tensor, own: dict[int, Slab] = own, box: Box = box,
            mesh: Mesh = mesh,
        ) -> None:  # fmt: skip
            for i, slab in own.items():
                if abs(slab.a - now.a) < 1e-9:
                    views = [project(now, axis, box.side, box.plane) for axis in range(3)]
                    contrast[i] = torch.stack(views)
                    if spectra:
                        measured[i] = mesh.spectrum(delta)

        evolve(particles, mesh, kappa.cosmology, schedule(wanted), landing, wanted)
    order = range(len(where))
    return Planes(
        where,
        tuple(contrast[i] for i in order),
        tuple(layout.far if s.kind == "far" else _present(layout.near) for s in where),
        tuple(linear[i] for i in order),
        tuple(measured[i] for i in order) if spectra else (),
    )


def _present(box: Box | None) -> Box:
    if box is None:
        raise ValueError("'layout' has no near box")
    return box


def _axes(box: Box, pixels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return k_x (G, 1) and k_y (1, G/2 + 1) of a plane's modes."""
    step = box.side / pixels
    line = 2 * np.pi * torch.fft.fftfreq(pixels, step, device=device)
    half = 2 * np.pi * torch.fft.rfftfreq(pixels, step, device=device)
    return line[:, None], half[None]


def _window(axes: tuple[Tensor, Tensor], side: float, power: int) -> Tensor:
    """Return [sinc(k_x a / 2) sinc(k_y a / 2)]^power of a square of side a, Mpc/h."""
    x, y = (torch.sinc(k * side / (2 * np.pi)) ** power for k in axes)
    return x * y


def plane_spectrum(planes: Planes, index: int) -> Spectrum3D:
    """Return P(k) of the modes across the line of sight, from the plane's three views."""
    box, views = planes.boxes[index], planes.contrast[index]
    axes = _axes(box, box.plane, views.device)
    k, window = torch.hypot(*axes), _window(axes, box.side / box.plane, 4)
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


def linear_power(kappa: Convergence, layout: Layout, ell: Floats) -> Floats:
    """Return the spectrum of L at ``ell``, rad²: s C_ℓ but for what the boxes cannot hold."""
    total = np.zeros_like(ell)
    for slab in slabs(kappa, layout):
        box = layout.far if slab.kind == "far" else _present(layout.near)
        part = kappa.slab_power(slab.low, slab.high, np.maximum(ell, 1.0))
        total += part * _held(box, ell / slab.chi)
    found: Floats = total * _remembered(ell)
    return found


def _remembered(ell: Floats) -> Floats:
    share: Floats = np.exp(-((ell / REMEMBERED) ** 4))
    return share


def _held(box: Box, k: Floats) -> NDArray[np.bool_]:
    """Return whether the lattice of a box has modes of that k."""
    return k < 0.95 * np.pi * box.particles / box.side


def _gain(k: Tensor, gain: Callable[[Floats], Floats]) -> Tensor:
    """Return a function of k on a plane of modes, by a table."""
    table = np.geomspace(1e-3, 2 * DEEPEST, 400)
    safe = torch.clamp(k, min=1e-3).cpu().numpy()
    found = np.interp(np.log(safe), np.log(table), gain(table)).astype(np.float32)
    return torch.from_numpy(found).to(k.device)


def filtered(planes: Planes, transfers: Transfers, pixel: float) -> list[Tensor]:
    """Return the planes with their T and the window of pixels of ``pixel`` rad, to be read."""
    found = []
    for slab, box, views, transfer in zip(
        planes.slabs, planes.boxes, planes.contrast, transfers, strict=True
    ):
        axes = _axes(box, box.plane, views.device)
        k = torch.hypot(*axes)
        made = _window(axes, box.side / box.plane, 4).clamp(min=0.05)
        shape = _gain(k, transfer) * _window(axes, pixel * slab.chi, 1) * (k < DEEPEST) / made
        shape[0, 0] = 0
        found.append(torch.fft.irfft2(torch.fft.rfft2(views) * shape, s=views.shape[-2:]))
    return found


def filtered_linear(planes: Planes, kappa: Convergence, pixel: float) -> list[Tensor]:
    """Return the linear planes, finer by :data:`FINER`, whose sum over the slabs is L."""
    found = []
    for slab, box, views in zip(planes.slabs, planes.boxes, planes.linear, strict=True):
        count, fine = views.shape[-1], FINER * views.shape[-1]

        def gain(k: Floats, slab: Slab = slab, box: Box = box) -> Floats:
            ell = k * slab.chi
            wanted = kappa.slab_power(slab.low, slab.high, ell) * _remembered(ell)
            ratio: Floats = wanted * slab.chi**2 * box.side / kappa.matter.linear(k)
            return np.sqrt(ratio) * _held(box, k)

        axes = _axes(box, count, views.device)
        read = _window(axes, box.side / fine, 2)
        shape = _gain(torch.hypot(*axes), gain) * _window(axes, pixel * slab.chi, 1) / read
        shape[0, 0] = 0
        modes = torch.fft.rfft2(views) * shape
        wide = torch.zeros((3, fine, fine // 2 + 1), dtype=modes.dtype, device=modes.device)
        half = count // 2
        wide[:, :half, : half + 1] = modes[:, :half]
        wide[:, -half:, : half + 1] = modes[:, half:]
        found.append(torch.fft.irfft2(wide, s=(fine, fine)) * FINER**2)
    return found


def render(
    planes: Planes,
    transfers: Transfers,
    patch: Patch,
    count: int,
    seed: int,
    kappa: Convergence | None = None,
) -> View:
    """Return ``count`` maps of one box, each with its own random planes; L given ``kappa``."""
    layers = [filtered(planes, transfers, patch.pixel)]
    if kappa is not None:
        layers.append(filtered_linear(planes, kappa, patch.pixel))
    angle = ((np.arange(patch.n) + 0.5) / patch.n - 0.5) * patch.side
    maps = np.zeros((len(layers), count, patch.n, patch.n), dtype=np.float32)
    for m in range(count):
        rng = numpy_rng(seed, "lensing view", m)
        sky = torch.zeros((len(layers), patch.n, patch.n), device=layers[0][0].device)
        for i, (slab, box) in enumerate(zip(planes.slabs, planes.boxes, strict=True)):
            axis, turns, flip = (int(rng.integers(high)) for high in (3, 4, 2))
            shift = rng.random(2)
            at = angle * (slab.chi / box.side)
            for row, layer, weight in zip(sky, layers, (slab.weight, 1.0), strict=False):
                view = layer[i][axis]
                x, y = ((at + s) * view.shape[0] for s in shift)
                seen = torch.rot90(_bilinear(view, x, y), turns)
                row += weight * (seen.T if flip else seen)
        maps[:, m] = sky.cpu().numpy()
    return View(maps[0], maps[1] if kappa is not None else maps[0][:0])


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
