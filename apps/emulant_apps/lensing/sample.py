"""Draw new convergence maps at a cosmology, of any size, without seams.

A lognormal field of the C_ℓ of theory is drawn for the whole map and its margin, carried by the
network in one piece, filtered, and cut: nothing is tiled, and scales beyond the training maps are
those of theory. Maps come in chunks of a fixed size with seeds of their own, so that they depend
neither on the number of workers nor on how many more are asked for.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emulant.errors import PASS, InputError
from emulant.parallel import chunked_map
from emulant.progress import Progress
from emulant.rng import derive, numpy_rng, torch_rng
from emulant.store import current, new_file
from emulant_apps.lensing.config import PIXELS, Device, SampleConfig
from emulant_apps.lensing.data import lognormal_shift, require_memory, split
from emulant_apps.lensing.field.grid import Floats, Patch
from emulant_apps.lensing.field.pixels import pixel_variance
from emulant_apps.lensing.field.random import RandomSky
from emulant_apps.lensing.field.shear import add_shape_noise
from emulant_apps.lensing.files import read_maps, require_suffix, write_maps
from emulant_apps.lensing.maps import Maps
from emulant_apps.lensing.model import Model, load_model
from emulant_apps.lensing.tables import maps_table
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology

__all__ = ["MARGIN", "Emulator", "run"]

MARGIN = 20
"""Pixels around a map that are drawn and cut away: what the network and the filter reach."""
CHUNK_PIXELS = 1 << 17
"""Pixels in a chunk: 32 maps of 64 × 64."""
BATCH_PIXELS = 1 << 17
FEW_CHUNKS = 16
"""Fewer chunks than these do not repay the start of processes."""


@dataclass(frozen=True)
class _Request:
    """What a process must know to draw a chunk."""

    model: Model
    cosmology: Cosmology
    size: int
    periodic: bool
    noise: float
    smoothing: float
    device: str
    seed: int


class Emulator:
    """A trained model that draws maps.

    >>> emulator = Emulator.pretrained()                     # doctest: +SKIP
    >>> emulator.sample(0.3, 0.8, count=10).kappa.shape      # doctest: +SKIP
    (10, 64, 64)
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    @classmethod
    def pretrained(cls) -> Emulator:
        """Return the emulator of the shipped weights."""
        directory = resources.files("emulant_apps.lensing") / "pretrained"
        with resources.as_file(directory) as path:
            return cls.load(path)

    @classmethod
    def load(cls, directory: str | Path) -> Emulator:
        """Return the emulator whose weights are in ``directory``.

        Raises
        ------
        InputError
            If there is no such directory, or no weights in it, or they are damaged.
        """
        if not Path(directory).is_dir():
            raise InputError(
                f"{directory}: there is no such directory of weights; make one with "
                "'emulant lensing train'"
            )
        return cls(load_model(Path(directory)))

    def sample(
        self,
        omega_m: float = 0.3,
        sigma8: float = 0.8,
        count: int = 100,
        size: int = PIXELS,
        seed: int = 0,
        *,
        periodic: bool = False,
        noise: float = 0.0,
        smoothing: float = 0.0,
        device: Device = "cpu",
        workers: int | None = 1,
    ) -> Maps:
        """Return ``count`` independent maps of ``size`` pixels a side.

        Raises
        ------
        InputError
            A cosmology that cannot be, a size that memory cannot hold, or no such device.
        """
        cosmology = Cosmology(omega_m, sigma8)
        if periodic and size % 2:
            raise InputError(f"--size: a periodic map must have an even side, got {size}")
        if self.model.sizes.kind == "noise" and (size != PIXELS or periodic):
            raise InputError(f"--size: this model draws {PIXELS} pixels, not periodic")
        require_memory(required_memory(count, size, periodic), f"--size {size}")
        request = _Request(
            self.model, cosmology, size, periodic, noise, smoothing, _device(device), seed
        )
        chunk = max(1, CHUNK_PIXELS // size**2)
        few = math.ceil(count / chunk) < FEW_CHUNKS
        found = chunked_map(
            partial(_draw, request),
            count,
            chunk,
            seed,
            1 if few else workers,
        )
        return Maps(
            np.concatenate(found),
            size * self.model.pixel_degrees,
            np.full(count, cosmology.omega_m),
            np.full(count, cosmology.sigma8),
            None,
            None,
            None,
            {
                "source": "emulator",
                "born": True,
                "z_source": 1.0,
                "h": cosmology.h,
                "n_s": cosmology.n_s,
                "omega_b": cosmology.omega_b,
                "model": self.model.content,
                "extrapolated": not self.model.knows(omega_m, sigma8),
                "noise": noise,
                "smoothing": smoothing,
            },
        )


def required_memory(count: int, size: int, periodic: bool) -> float:
    """Return the bytes that drawing needs at most: the maps, the field, the network's maps."""
    inner = size if periodic else size + 2 * MARGIN
    fine = 3 * inner * (1 if periodic else 4)  # points along a side of the correlation's grid
    field = 20.0 * fine**2
    batch = max(1, BATCH_PIXELS // inner**2)
    network = 4.0 * batch * inner**2 / 4 * 40 * 6
    return 2.0 * 4 * count * size**2 + field + network


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: there is no GPU here; leave it out")
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("--device mps: there is no such device here; leave it out")
    return name


def _draw(request: _Request, start: int, size: int, seed: int) -> NDArray[np.float32]:
    """Return the chunk of ``size`` maps that begins at ``start``."""
    del start
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, whatever the number of workers
    try:
        if request.model.sizes.kind == "noise":
            return _from_noise(request, size, seed)
        return _carried(request, size, seed)
    finally:
        torch.set_num_threads(threads)


def _from_noise(request: _Request, count: int, seed: int) -> NDArray[np.float32]:
    cosmology = request.cosmology
    patch = Patch(PIXELS, PIXELS * request.model.pixel_degrees)
    sigma = math.sqrt(pixel_variance(patch, Convergence(cosmology).spectrum))
    context = torch.tensor([[cosmology.omega_m, cosmology.s8]]).float().expand(count, 2)
    with torch.no_grad():
        x = request.model.network.draw(count, torch_rng(seed, "lensing"), context)  # type: ignore[operator] # Draws
    maps: NDArray[np.float32] = x[:, 0].numpy() * np.float32(sigma)
    return maps


def _carried(request: _Request, count: int, seed: int) -> NDArray[np.float32]:
    cosmology, model = request.cosmology, request.model
    margin = 0 if request.periodic else MARGIN + request.size % 2
    inner = request.size if request.periodic else 2 * ((request.size + 2 * margin) // 2)
    patch = Patch(inner, inner * model.pixel_degrees)
    kappa = Convergence(cosmology)
    sigma = math.sqrt(pixel_variance(Patch(PIXELS, PIXELS * model.pixel_degrees), kappa.spectrum))
    shift = lognormal_shift(sigma, model.skewness)
    sky = RandomSky(patch, kappa.spectrum, shift, torus=request.periodic)
    gain = _gain(request, patch)
    network = model.network.to(request.device)
    context = torch.tensor([[cosmology.omega_m, cosmology.s8]], device=request.device)
    noise, fields = torch_rng(seed, "lensing noise"), numpy_rng(seed, "lensing fields")
    own = numpy_rng(seed, "lensing shapes")
    found = np.empty((count, request.size, request.size), np.float32)
    step = max(1, BATCH_PIXELS // inner**2)
    for first in range(0, count, step):
        rows = slice(first, min(first + step, count))
        source = torch.from_numpy(sky.draw(rows.stop - first, fields) / np.float32(sigma))[:, None]
        chance = torch.randn(source.shape, generator=noise)
        with torch.no_grad():
            x = network(
                source.to(request.device),
                context.float().expand(len(source), 2),
                chance.to(request.device),
            )
        maps = x[:, 0].cpu().numpy() * np.float32(sigma)
        modes = np.fft.rfft2(maps) * gain[0]
        if request.noise:
            white = add_shape_noise(patch, np.zeros_like(maps), request.noise, own)
            modes += np.fft.rfft2(white)
        whole = np.fft.irfft2(modes * gain[1], s=(inner, inner))
        cut = slice(margin, margin + request.size)
        found[rows] = whole[:, cut, cut]
    return found


def _gain(request: _Request, patch: Patch) -> tuple[Floats, Floats]:
    """Return the model's filter and the smoothing on the half plane of modes."""
    ell = patch.ell[:, : patch.n // 2 + 1]
    cosmology = request.cosmology
    gain = request.model.filter.gain(ell, cosmology.omega_m, cosmology.s8)
    theta = np.radians(request.smoothing / 60)
    smooth: Floats = np.exp(-0.5 * (ell * theta) ** 2)
    return gain, smooth


def joined(parts: Sequence[Maps]) -> Maps:
    """Return maps of several cosmologies as one record; extrapolated if any is."""
    columns = [part.known_cosmologies("maps") for part in parts]
    notes = {
        **parts[0].notes,
        "extrapolated": any(bool(part.notes["extrapolated"]) for part in parts),
    }
    return replace(
        parts[0],
        kappa=np.concatenate([part.kappa for part in parts]),
        omega_m=np.concatenate([m for m, _ in columns]),
        sigma8=np.concatenate([s for _, s in columns]),
        notes=notes,
    )


def _pairs(like: Path) -> tuple[tuple[float, float], ...]:
    """Return the cosmologies of a data set that were held out of training."""
    maps = read_maps(like)
    held = split(maps, "test")
    omega_m, sigma8 = (held if len(held) else maps).known_cosmologies(str(like))
    found = dict.fromkeys(zip(omega_m.tolist(), sigma8.tolist(), strict=True))
    return tuple(found)


def run(config: SampleConfig) -> int:
    """Run ``emulant lensing sample``."""
    require_suffix(config.out)
    new_file(config.out)
    emulator = Emulator.pretrained() if config.model is None else Emulator.load(config.model)
    pairs = ((config.omega_m, config.sigma8),) if config.like is None else _pairs(config.like)
    parts = []
    with Progress("sample", config.count * len(pairs)) as progress:
        for k, (omega_m, sigma8) in enumerate(pairs):
            part = emulator.sample(
                omega_m,
                sigma8,
                config.count,
                config.size,
                config.seed if k == 0 else derive(config.seed, "lensing cosmology", k),
                periodic=config.periodic,
                noise=config.noise,
                smoothing=config.smoothing,
                device=config.device,
                workers=config.workers,
            )
            parts.append(part)
            progress.advance(config.count)
    maps = joined(parts)
    made = current("lensing sample", config, config.seed, weights=emulator.model.content)
    write_maps(config.out, replace(maps, provenance=made))
    if maps.notes["extrapolated"]:
        sys.stderr.write(
            "warning: a cosmology lies outside the trained ones: the maps are extrapolated\n"
        )
    sys.stdout.write(maps_table(maps))
    return PASS
