"""Draw new convergence maps at a cosmology, of any size, without seams.

A lognormal field of the C_ℓ of theory is drawn for the whole map and its margin, carried by the
network in one piece, filtered, and cut: nothing is tiled, and scales beyond the training maps are
those of theory. Maps come in chunks of a fixed size with seeds of their own, so that they depend
neither on the number of workers nor on how many more are asked for.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft

from emulant.errors import PASS, InputError
from emulant.memory import require_memory
from emulant.parallel import chunked_map
from emulant.progress import Progress
from emulant.rng import derive, numpy_rng, torch_rng
from emulant.store import Parts, Provenance, current, new_file
from emulant.threads import one_thread
from emulant_apps.lensing.config import DEGREES, PIXELS, Device, SampleConfig
from emulant_apps.lensing.data import lognormal_shift, split
from emulant_apps.lensing.field.grid import Patch
from emulant_apps.lensing.field.pixels import pixel_variance
from emulant_apps.lensing.field.random import RandomSky
from emulant_apps.lensing.field.shear import add_shape_noise
from emulant_apps.lensing.files import read_maps, require_suffix, write_maps
from emulant_apps.lensing.maps import Maps
from emulant_apps.lensing.model import Model, load_model
from emulant_apps.lensing.tables import maps_table
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology
from emulant_apps.lensing.transport import Transport

__all__ = ["MARGIN", "Emulator", "run"]

MARGIN = 20
"""Pixels of 4.7 arcmin around a map that are drawn and cut away: what the network and the filter
reach."""
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
    def pretrained(cls, pixels: int = PIXELS) -> Emulator:
        """Return the emulator of the shipped weights for ``pixels`` on five degrees.

        Raises
        ------
        InputError
            None are shipped for such pixels.
        """
        directory = resources.files("emulant_apps.lensing") / "pretrained"
        if pixels != PIXELS:
            directory = directory / str(pixels)
        if not directory.is_dir():
            raise InputError(
                f"--degrees: no weights come with the package for {pixels} pixels on {DEGREES:g} "
                "degrees; make some with train --pixels and name them with --model"
            )
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
        return cls(load_model(directory))

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
        start: int = 0,
    ) -> Maps:
        """Return ``count`` independent maps of ``size`` pixels a side.

        ``start``, a multiple of :func:`chunk_of` the size, is the number of the first of them.

        Raises
        ------
        InputError
            A cosmology that cannot be, a size that memory cannot hold, or no such device.
        """
        cosmology = Cosmology(omega_m, sigma8)
        cell = self.model.sizes.cell
        if periodic and size % cell:
            raise InputError(
                f"--size: a periodic map has a side of a multiple of {cell} pixels, got {size}"
            )
        if not self.model.any_size and (size != PIXELS or periodic):
            raise InputError(f"--size: this model draws {PIXELS} pixels, not periodic")
        pixels = self.model.sizes.pixels
        require_memory(
            required_memory(count, size, periodic, pixels),
            f"--count {count} --size {size}",
            "write many maps in parts with --per-file, or ask for less",
        )
        request = _Request(
            self.model, cosmology, size, periodic, noise, smoothing, _device(device), seed
        )
        chunk = chunk_of(size)
        few = math.ceil(count / chunk) < FEW_CHUNKS
        found = chunked_map(
            partial(_draw, request),
            count,
            chunk,
            seed,
            1 if few else workers,
            first=start,
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


def chunk_of(size: int) -> int:
    """Return how many maps of ``size`` pixels a side are drawn from one seed."""
    return max(1, CHUNK_PIXELS // size**2)


def _margin(pixels: int) -> int:
    return MARGIN * pixels // PIXELS


def required_memory(count: int, size: int, periodic: bool, pixels: int = PIXELS) -> float:
    """Return the bytes that drawing needs at most: the maps, the field, the network's maps."""
    inner = size if periodic else size + 2 * _margin(pixels)
    fine = 3 * inner * (1 if periodic else 4)  # points along a side of the correlation's grid
    field = 20.0 * fine**2
    batch = max(1, BATCH_PIXELS // inner**2)
    network = 4.0 * batch * inner**2 / 4 * 40 * 6
    return 3.0 * 4 * count * size**2 + field + network


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
    with one_thread():
        if not request.model.any_size:
            return _from_noise(request, size, seed)
        return _carried(request, size, seed)


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
    margin = 0 if request.periodic else _margin(model.sizes.pixels) + request.size % 2
    cell = model.sizes.cell
    inner = request.size if request.periodic else cell * ((request.size + 2 * margin) // cell)
    patch = Patch(inner, inner * model.pixel_degrees)
    sky, sigma = _sky(cosmology, patch, model.skewness, request.periodic)
    gain = _gain(request, patch)
    network = model.network.to(request.device)
    context = torch.tensor([[cosmology.omega_m, cosmology.s8]], device=request.device).float()
    if isinstance(network, Transport):
        passed, added = _passed(network, inner, cell), _added(network, context, request.periodic)
    scattered = _scattered(request, patch, margin)
    noise, fields = torch_rng(seed, "lensing noise"), numpy_rng(seed, "lensing fields")
    own, places = numpy_rng(seed, "lensing shapes"), numpy_rng(seed, "lensing places")
    found = np.empty((count, request.size, request.size), np.float32)
    step = max(1, BATCH_PIXELS // inner**2)
    for first in range(0, count, step):
        rows = slice(first, min(first + step, count))
        source = torch.from_numpy(sky.draw(rows.stop - first, fields) / np.float32(sigma))[:, None]
        chance = torch.randn(source.shape, generator=noise)
        cosmologies = context.expand(len(source), 2)
        source, chance = source.to(request.device), chance.to(request.device)
        with torch.no_grad():
            if isinstance(network, Transport):
                change = added(network.seen(source, chance))
                modes = _modes(source) + _modes(change) * passed
            else:
                modes = _modes(network(source, cosmologies, chance))
        modes *= _moved(places.integers(cell, size=(len(modes), 2)), inner)
        modes *= gain[0]
        if scattered is not None:
            modes *= scattered(modes, sigma)
        if request.noise:
            white = add_shape_noise(patch, np.zeros(source.shape, np.float32), request.noise, own)
            modes += fft.rfft2(white[:, 0] / np.float32(sigma))
        whole = fft.irfft2(modes * gain[1], s=(inner, inner))
        cut = slice(margin, margin + request.size)
        found[rows] = whole[:, cut, cut] * np.float32(sigma)
    return found


@lru_cache(maxsize=4)  # chunks of one request share it
def _sky(
    cosmology: Cosmology, patch: Patch, skewness: float, periodic: bool
) -> tuple[RandomSky, float]:
    """Return the lognormal fields, and the σ of a pixel on a patch of the trained size."""
    spectrum = Convergence(cosmology).spectrum
    trained = Patch(PIXELS, PIXELS * patch.degrees / patch.n)
    sigma = math.sqrt(pixel_variance(trained, spectrum))
    shift = lognormal_shift(sigma, skewness)
    return RandomSky(patch, spectrum, shift, torus=periodic), sigma


def _modes(x: torch.Tensor) -> NDArray[np.complex64]:
    """Return the modes (B, n, n/2 + 1) of maps (B, 1, n, n)."""
    modes: NDArray[np.complex64] = fft.rfft2(x[:, 0].cpu().numpy())
    return modes


def _moved(steps: NDArray[np.int64], inner: int) -> NDArray[np.complex64]:
    """Return what the modes of maps moved by ``steps`` (B, 2) pixels are multiplied by.

    A map does not know where the blocks of the network lay, whose pixels do not scatter alike.
    """
    turned = np.exp(-2j * np.pi * steps[:, :, None] * np.fft.fftfreq(inner)).astype(np.complex64)
    moved: NDArray[np.complex64] = turned[:, 0, :, None] * turned[:, 1, None, : inner // 2 + 1]
    return moved


def _added(
    network: Transport, context: torch.Tensor, periodic: bool
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what the network adds, before its high-pass, at one cosmology."""
    if not periodic:
        with torch.no_grad():
            return network.folded(context)
    return lambda seen: network.change(seen, context.expand(len(seen), 2))


def _passed(network: Transport, inner: int, cell: int) -> NDArray[np.float32]:
    """Return what the network's high-pass does to the modes of a torus, exactly.

    Modes that repeat with every block are left out: what a network on blocks adds has a mean that
    depends on the place within one, by a hundredth of σ.
    """
    kernel = network.smooth.cpu().numpy().astype(np.float64)
    lags = np.arange(len(kernel)) - len(kernel) // 2
    axis = np.cos(2 * np.pi * np.outer(np.fft.fftfreq(inner), lags)) @ kernel
    passed: NDArray[np.float32] = (1 - axis[:, None] * axis[: inner // 2 + 1]).astype(np.float32)
    passed[:: inner // cell, :: inner // cell] = 0.0
    return passed


def _gain(request: _Request, patch: Patch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the model's filter and the smoothing on the half plane of modes."""
    ell = patch.ell[:, : patch.n // 2 + 1]
    cosmology = request.cosmology
    gain = request.model.filter.gain(ell, cosmology.omega_m, cosmology.s8)
    theta = np.radians(request.smoothing / 60)
    smooth = np.exp(-0.5 * (ell * theta) ** 2)
    return gain.astype(np.float32), smooth.astype(np.float32)


def _scattered(
    request: _Request, patch: Patch, margin: int
) -> Callable[[NDArray[np.complex64], float], NDArray[np.float32]] | None:
    """Return what each map's modes are multiplied by, given these and σ; None for no such thing.

    The power is measured where the maps are cut.
    """
    scatter = request.model.scatter
    if scatter is None:
        return None
    inner = Patch(request.size, request.size * request.model.pixel_degrees)
    gains = scatter.on(inner, request.cosmology)
    weights = scatter.spread(patch.ell[:, : patch.n // 2 + 1]).astype(np.float32)
    cut = slice(margin, margin + request.size)

    def of(modes: NDArray[np.complex64], sigma: float) -> NDArray[np.float32]:
        maps = fft.irfft2(modes, s=(patch.n, patch.n))[:, cut, cut] * np.float32(sigma)
        g = gains.of(fft.rfft2(maps)).astype(np.float32)
        found: NDArray[np.float32] = np.exp(np.tensordot(g, weights, 1))
        return found

    return of


def joined(parts: Sequence[Maps]) -> Maps:
    """Return maps of several cosmologies as one record; extrapolated if any is."""
    if len(parts) == 1:
        return parts[0]
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


def _emulator(config: SampleConfig) -> Emulator:
    """Return the emulator that draws pixels of the size asked for."""
    asked = PIXELS if config.degrees is None else round(DEGREES * config.size / config.degrees)
    emulator = Emulator.pretrained(asked) if config.model is None else Emulator.load(config.model)
    if config.degrees is not None:
        drawn = config.size * emulator.model.pixel_degrees
        if not math.isclose(drawn, config.degrees, rel_tol=1e-3):
            raise InputError(
                f"--degrees: {config.size} pixels of this model span {drawn:g} degrees, got "
                f"{config.degrees:g}; change --size, or degrade larger maps with measure"
            )
    return emulator


def run(config: SampleConfig) -> int:
    """Run ``emulant lensing sample``."""
    if config.per_file is None:
        require_suffix(config.out)
        new_file(config.out)
    emulator = _emulator(config)
    pairs = ((config.omega_m, config.sigma8),) if config.like is None else _pairs(config.like)
    made = current("lensing sample", config, config.seed, weights=emulator.model.content)
    with Progress("sample", config.count * len(pairs)) as progress:
        if config.per_file is None:
            drawn = []
            for k, pair in enumerate(pairs):
                drawn.append(_drawn(emulator, config, pair, k))
                progress.advance(config.count)
            maps = joined(drawn)
            write_maps(config.out, replace(maps, provenance=made))
            told = maps_table(maps)
        else:
            told = _in_parts(emulator, config, pairs, made, progress)
    if not all(emulator.model.knows(*pair) for pair in pairs):
        sys.stderr.write(
            "warning: a cosmology lies outside the trained ones: the maps are extrapolated\n"
        )
    sys.stdout.write(told)
    return PASS


def _drawn(
    emulator: Emulator,
    config: SampleConfig,
    pair: tuple[float, float],
    k: int,
    start: int = 0,
    count: int | None = None,
) -> Maps:
    """Return ``count`` maps from number ``start`` on, or all, at cosmology number ``k``."""
    return emulator.sample(
        *pair,
        config.count if count is None else count,
        config.size,
        config.seed if k == 0 else derive(config.seed, "lensing cosmology", k),
        periodic=config.periodic,
        noise=config.noise,
        smoothing=config.smoothing,
        device=config.device,
        workers=config.workers,
        start=start,
    )


def _in_parts(
    emulator: Emulator,
    config: SampleConfig,
    pairs: Sequence[tuple[float, float]],
    made: Provenance,
    progress: Progress,
) -> str:
    """Write a directory of parts, each of one cosmology, and say what is in it."""
    assert config.per_file is not None
    chunk = chunk_of(config.size)
    step = math.ceil(config.per_file / chunk) * chunk
    jobs = [(k, start) for k in range(len(pairs)) for start in range(0, config.count, step)]
    with Parts(config.out, ".h5", made) as parts:
        if parts.listed:
            progress.advance(parts.count, "from before")
        for k, start in jobs[len(parts.listed) :]:
            count = min(step, config.count - start)
            maps = replace(_drawn(emulator, config, pairs[k], k, start, count), provenance=made)
            parts.add(partial(write_maps, maps=maps), count)
            progress.advance(count)
        parts.finish()
        return f"{parts.count:,} maps in {len(parts.listed):,} files: {config.out}\n"
