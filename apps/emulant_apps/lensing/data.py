"""Maps from the simulators: which cosmologies, which boxes, and who may see them.

A data set is boxes × cosmologies × maps, one box at each cosmology before the second at any: unit
number k is box k div C of cosmology k mod C. Box b of cosmology c has its own seed, derived from
the seed of the set, c and b; it is computed by whichever process comes first, kept in a file of
its own beside the data set until all are there, and not computed again after an interruption.

The split is by cosmology and by box, never by map: two of every seven cosmologies are for the
*test*; of the others every third box is for *validation* and the rest for *training*.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from emulant.errors import PASS, InputError
from emulant.memory import require_memory
from emulant.parallel import chunked_map
from emulant.progress import Progress
from emulant.rng import derive, numpy_rng
from emulant.store import (
    current,
    hash_json,
    load_arrays,
    new_directory,
    new_file,
    plain,
    save_arrays,
)
from emulant.threads import one_thread
from emulant_apps.lensing.config import SimulateConfig
from emulant_apps.lensing.field.grid import Patch
from emulant_apps.lensing.field.random import RandomSky, shift_of_skewness
from emulant_apps.lensing.maps import Maps
from emulant_apps.lensing.theory.convergence import Convergence, Sources
from emulant_apps.lensing.theory.cosmology import Cosmology

__all__ = [
    "RANGE",
    "design",
    "lognormal_shift",
    "part_of",
    "run",
    "simulate",
    "split",
]

Part = Literal["train", "validation", "test"]
RANGE = ((0.2, 0.4), (0.7, 0.9))
"""Ω_m and S₈ = σ₈ √(Ω_m/0.3) of the design."""
PIXEL_SKEWNESS = 1.2
"""Skewness of the lognormal baseline in pixels of 4.7 arcmin, near that of simulated maps."""


def design(count: int) -> tuple[Cosmology, ...]:
    """Return the first ``count`` cosmologies of the design, a Sobol sequence without its corner.

    >>> design(2)[0].omega_m
    0.3
    """
    power = max(1, math.ceil(math.log2(count + 1)))
    points = qmc.Sobol(2, scramble=False).random_base2(power)[1 : count + 1]
    (m0, m1), (s0, s1) = RANGE
    found = []
    for u, v in points:
        omega_m = m0 + (m1 - m0) * float(u)
        s8 = s0 + (s1 - s0) * float(v)
        found.append(Cosmology(round(omega_m, 6), round(s8 / math.sqrt(omega_m / 0.3), 6)))
    return tuple(found)


def part_of(cosmology: int, box: int) -> Part:
    """Return who may see box ``box`` of cosmology number ``cosmology``."""
    if cosmology % 7 in (3, 6):  # by sevens: Sobol points repeat their pattern by fours
        return "test"
    return "validation" if box % 3 == 2 else "train"


def split(maps: Maps, part: Part) -> Maps:
    """Return the maps of one part; ``box`` counts lines of sight across the whole set.

    Raises
    ------
    InputError
        The maps do not say their cosmology and box.
    """
    if maps.cosmology is None or maps.box is None or "cosmologies" not in maps.notes:
        raise InputError("the maps do not say their cosmology and box; make them with simulate")
    count = int(maps.notes["cosmologies"])
    own = [part_of(int(c), int(b) // count) for c, b in zip(maps.cosmology, maps.box, strict=True)]
    return maps.pick(np.array([name == part for name in own]))


def lognormal_shift(sigma: float, skewness: float = PIXEL_SKEWNESS) -> float:
    """Return λ of lognormal maps of standard deviation ``sigma`` and ``skewness``."""
    return sigma / shift_of_skewness(skewness)


@dataclass(frozen=True)
class _Job:
    """What a process must know to compute a box."""

    config: SimulateConfig
    cosmologies: tuple[tuple[int, Cosmology], ...]
    """Their numbers in the design, and they."""
    parts: Path | None
    """Directory of finished boxes; None: return the maps instead."""


def simulate(
    config: SimulateConfig,
    parts: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Maps:
    """Return the maps that ``config`` asks for, whatever the number of workers."""
    cosmologies = _cosmologies(config)
    job = _Job(config, cosmologies, parts)
    count = len(cosmologies) * config.boxes
    found = chunked_map(
        partial(_one_box, job), count, 1, config.seed, config.workers, progress=progress
    )
    if parts is not None:
        found = [_kept(_part(job, k)) for k in range(count)]
    index = np.repeat(np.arange(count), config.maps)
    place = index % len(cosmologies)
    box = index if config.source == "nbody" else np.arange(len(index))
    return Maps(
        np.concatenate([kappa for kappa, _ in found]),
        config.degrees,
        np.array([c.omega_m for _, c in cosmologies])[place],
        np.array([c.sigma8 for _, c in cosmologies])[place],
        box,
        np.array([number for number, _ in cosmologies])[place],
        current("lensing simulate", config, config.seed),
        {
            "source": config.source,
            "born": config.source == "nbody",
            "z_source": config.z_source,
            "cosmologies": len(cosmologies),
            "resolution": config.resolution if config.source == "nbody" else None,
            "h": cosmologies[0][1].h,
            "n_s": cosmologies[0][1].n_s,
            "omega_b": cosmologies[0][1].omega_b,
        },
        np.concatenate([linear for _, linear in found]) if config.pairs else None,
    )


def _cosmologies(config: SimulateConfig) -> tuple[tuple[int, Cosmology], ...]:
    if config.omega_m is not None and config.sigma8 is not None:
        return ((0, Cosmology(config.omega_m, config.sigma8)),)
    found = tuple(
        (number, cosmology)
        for number, cosmology in enumerate(design(config.cosmologies))
        if config.part == "all" or (config.part == "test") == (part_of(number, 0) == "test")
    )
    if not found:
        raise InputError("--part test: the first cosmology for the test is number 3; ask for 4")
    return found


def _part(job: _Job, index: int) -> Path:
    assert job.parts is not None
    box, place = divmod(index, len(job.cosmologies))
    number = job.cosmologies[place][0]
    cosmology = plain(job.cosmologies[place][1])
    settings = {
        k: v
        for k, v in plain(job.config).items()
        if k not in ("out", "workers", "cosmologies", "boxes", "part", "device")
    }
    name = hash_json({"cosmology": cosmology, "settings": settings}).split(":")[-1][:12]
    return job.parts / f"box_{number}_{box}_{name}.npz"


Drawn = tuple[NDArray[np.float32], NDArray[np.float32]]
"""κ of a box's maps, and L (none without --pairs)."""


def _kept(part: Path) -> Drawn:
    arrays = load_arrays(part).arrays
    return arrays["kappa"], arrays.get("linear", np.empty(0, np.float32))


def _one_box(job: _Job, start: int, size: int, seed: int) -> Drawn:
    """Compute box number ``start``, or find it; its seed is its place's, not the chunk's."""
    del size, seed
    config, nothing = job.config, np.empty(0, np.float32)
    if job.parts is not None and _part(job, start).exists():
        return nothing, nothing
    box, place = divmod(start, len(job.cosmologies))
    number, cosmology = job.cosmologies[place]
    kappa = Convergence(cosmology, Sources.plane(config.z_source))
    own = derive(config.seed, "lensing box", number, box)
    if config.source == "nbody":
        found = _nbody(kappa, config, own)
    else:
        found = _random(kappa, config, own), nothing
    if job.parts is None:
        return found
    names = ("kappa", "linear") if config.pairs else ("kappa",)
    save_arrays(_part(job, start), dict(zip(names, found, strict=False)))
    return nothing, nothing


def _nbody(kappa: Convergence, config: SimulateConfig, seed: int) -> Drawn:
    from emulant_apps.lensing.nbody.lightcone import LAYOUTS, render, simulate_planes
    from emulant_apps.lensing.nbody.restore import restored
    from emulant_apps.lensing.nbody.transfer import load_deficits, transfers

    with one_thread():
        device, layout = _device(config.device), LAYOUTS[config.resolution]
        planes = simulate_planes(kappa, layout, seed, device=device)
        gains = transfers(kappa, planes, load_deficits(config.resolution))
        patch = Patch(config.size, config.degrees)
        pairs = kappa if config.pairs else None
        view = render(planes, gains, patch, config.maps, seed, pairs)
        return restored(view.kappa, patch, kappa, layout), view.linear


def _device(name: str) -> str:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: there is no GPU here; leave it out")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def _random(kappa: Convergence, config: SimulateConfig, seed: int) -> NDArray[np.float32]:
    patch = Patch(config.size, config.degrees)
    sky = RandomSky(patch, kappa.spectrum)
    if config.source == "lognormal":
        shift = lognormal_shift(math.sqrt(sky.variance))
        sky = RandomSky(patch, kappa.spectrum, shift)
    return sky.draw(config.maps, numpy_rng(seed, "lensing random"))


def required_memory(config: SimulateConfig) -> float:
    """Return the bytes that a process of ``config`` needs at most, measured and rounded up.

    >>> required_memory(SimulateConfig(out=Path("a.h5"))) < 3e9
    True
    """
    maps = len(_cosmologies(config)) * config.boxes * config.maps
    held = 3.0 * 4 * maps * config.size**2
    held *= 2 if config.pairs else 1
    if config.source != "nbody":
        return held + 20.0 * (4 * 3 * config.size) ** 2
    particles = {"tiny": 32, "draft": 96, "fine": 128}[config.resolution]
    plane = {"tiny": 512, "draft": 1024, "fine": 2048}[config.resolution]
    return held + particles**3 * 600.0 + 24 * 3 * plane**2 * 4 * 2.5 + 24 * 8 * config.size**2


def run(config: SimulateConfig) -> int:
    """Run ``emulant lensing simulate``."""
    from emulant_apps.lensing.files import require_suffix, write_maps
    from emulant_apps.lensing.tables import maps_table

    require_suffix(config.out)
    new_file(config.out)
    if config.device == "cuda":
        _device(config.device)
    require_memory(required_memory(config), f"--size {config.size}")
    boxes = len(_cosmologies(config)) * config.boxes
    parts = config.out.with_name(config.out.name + ".boxes")
    if config.source == "nbody":
        new_directory(parts, overwrite=True)
    with Progress("simulate", total=boxes) as progress:
        kept = parts if config.source == "nbody" else None
        maps = simulate(config, kept, progress.update)
    write_maps(config.out, maps)
    if config.source == "nbody":
        shutil.rmtree(parts)
    sys.stdout.write(maps_table(maps))
    return PASS
