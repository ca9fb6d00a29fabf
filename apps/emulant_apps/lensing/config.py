"""Every number of a run: the flags of the commands are the fields of these records.

Units: angles in degrees, multipoles ℓ in rad⁻¹, κ without unit, lengths in Mpc/h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from emulant.errors import InputError

__all__ = [
    "DEGREES",
    "PIXELS",
    "MeasureConfig",
    "SampleConfig",
    "SimulateConfig",
    "TrainConfig",
    "ValidateConfig",
    "require_at_least",
]

PIXELS: Literal[64] = 64
"""Pixels along the side of a simulated map."""
DEGREES = 5.0
"""Side of a simulated map, degrees."""

Device = Literal["auto", "cpu", "cuda", "mps"]
Source = Literal["nbody", "lognormal", "gaussian"]
Resolution = Literal["tiny", "draft", "fine"]


def require_at_least(least: float, value: float | None, where: str) -> None:
    """Raise InputError if ``value`` is given and is not a finite number >= ``least``."""
    if value is not None and not (math.isfinite(value) and value >= least):
        raise InputError(f"{where}: must be at least {least:g}, got {value:g}")


def require_above(least: float, value: float | None, where: str) -> None:
    """Raise InputError if ``value`` is given and is not a finite number > ``least``."""
    if value is not None and not (math.isfinite(value) and value > least):
        raise InputError(f"{where}: must be above {least:g}, got {value:g}")


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """Simulate convergence maps: particle-mesh light cones, or random fields of known C_ℓ."""

    out: Path
    """File to write, .h5 or .npz; boxes that are done are kept beside it until all are."""
    source: Source = "nbody"
    """nbody: particle mesh, Born. lognormal, gaussian: fields of exact C_ℓ."""
    resolution: Resolution = "draft"
    """Of nbody: tiny for trials, draft (64³ near, 96³ far) for 4.7 arcmin pixels, fine (128³)."""
    cosmologies: int = 4
    """Points of a Sobol sequence over 0.2 < Ω_m < 0.4, 0.7 < S₈ < 0.9; the first ones are the
    same however many are asked for."""
    part: Literal["all", "training", "test"] = "all"
    """Which of these cosmologies: two of every seven are kept for the test."""
    boxes: int = 2
    """Independent lines of sight at each cosmology."""
    maps: int = 40
    """Maps of each line of sight, by random shifts, turns and flips."""
    pairs: bool = False
    """Keep beside each map of nbody what the box's linear density says of it, for
    train --preset paired; the file doubles."""
    omega_m: float | None = None
    """Matter density of one cosmology of your own, instead of the sequence."""
    sigma8: float | None = None
    """σ₈ of that cosmology."""
    size: int = PIXELS
    """Pixels along a side."""
    degrees: float = DEGREES
    """Side of a map, degrees; a box of 200 Mpc/h fills 5 at z = 1."""
    z_source: float = 1.0
    """Redshift of the sources."""
    seed: int = 0
    """Seed of every random stream."""
    device: Device = "cpu"
    """Where the particles move."""
    workers: int | None = None
    """Processes; the maps do not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        require_at_least(1, self.cosmologies, "--cosmologies")
        require_at_least(1, self.boxes, "--boxes")
        require_at_least(1, self.maps, "--maps")
        require_at_least(16, self.size, "--size")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")
        require_above(0, self.degrees, "--degrees")
        if self.pairs and self.source != "nbody":
            raise InputError(f"--pairs: needs --source nbody, got {self.source}; leave it out")
        if self.degrees > 30:
            raise InputError(f"--degrees: a flat sky reaches 30 degrees, got {self.degrees:g}")
        if (self.omega_m is None) != (self.sigma8 is None):
            raise InputError("--omega-m: needs --sigma8 as well, and the other way round")
        if not 0.3 <= self.z_source <= 2.3:
            raise InputError(f"--z-source: must lie in [0.3, 2.3], got {self.z_source:g}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train an emulator of simulated maps."""

    data: Path
    """Maps with their cosmologies and boxes, as written by simulate."""
    out: Path
    """Directory of the run: weights, log, checkpoint; new, or an old one with --resume."""
    preset: Literal["quick", "full", "paired", "dcgan", "wgan", "white"] = "quick"
    """quick: minutes. full: the shipped weights. paired: flow matching between maps and the fields
    of their own initial conditions (simulate --pairs), then the critic. dcgan, wgan, white (flow
    matching): baselines from white noise."""
    pixels: Literal[64, 128] = PIXELS
    """Pixels along 5 degrees of the maps to learn; finer data are averaged into them."""
    steps: int | None = None
    """Budget in steps, of each stage. Default: the preset's."""
    minutes: float | None = None
    """Budget in minutes of wall clock instead."""
    seed: int = 0
    """Seed of every random stream."""
    resume: bool = False
    """Go on with the run that is in --out."""
    device: Device = "auto"
    """Where to compute."""

    def __post_init__(self) -> None:
        require_at_least(1, self.steps, "--steps")
        require_above(0, self.minutes, "--minutes")
        require_at_least(0, self.seed, "--seed")


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Draw new convergence maps at a cosmology of your choice."""

    out: Path
    """File to write: .h5, .npz, or .fits (one map an image); with --per-file a directory."""
    per_file: int | None = None
    """Write files of about so many maps into a directory, one by one, so that memory holds one of
    them; the same command goes on after an interruption. Default: one file."""
    omega_m: float = 0.3
    """Matter density today."""
    sigma8: float = 0.8
    """RMS of the linear density contrast in 8 Mpc/h today."""
    like: Path | None = None
    """Data set whose cosmologies held out of training are drawn instead, --count maps at each."""
    count: int = 100
    """Maps."""
    size: int = PIXELS
    """Pixels along a side; any number, without seams."""
    degrees: float | None = None
    """Side of a map, degrees. Default: --size pixels of the trained size, 4.7 arcmin; --size 128
    --degrees 5 asks for pixels of 2.3 arcmin, for which there are other weights."""
    periodic: bool = False
    """Draw maps that wrap around, instead of patches of a larger sky."""
    noise: float = 0.0
    """Galaxies' shape noise per arcmin², σ_e/√(2 n_gal) with n_gal in arcmin⁻²; added to κ."""
    smoothing: float = 0.0
    """Standard deviation of a Gaussian by which the maps are smoothed after noise, arcmin."""
    model: Path | None = None
    """Directory of a trained model. Default: the shipped weights."""
    seed: int = 0
    """Seed of every random stream."""
    device: Device = "auto"
    """Where the network computes."""
    workers: int | None = None
    """Processes; the maps do not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        require_at_least(1, self.count, "--count")
        require_at_least(1, self.per_file, "--per-file")
        require_at_least(16, self.size, "--size")
        require_above(0, self.degrees, "--degrees")
        require_at_least(0, self.noise, "--noise")
        require_at_least(0, self.smoothing, "--smoothing")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")


@dataclass(frozen=True, kw_only=True)
class ValidateConfig:
    """Certify maps against true ones: pass, fail or underpowered."""

    maps: Positional[Path]
    """Maps to judge: .h5, .npz, .npy or .fits, or a directory written by sample --per-file."""
    truth: Path
    """True maps at the same cosmologies; those in the training set are left out."""
    out: Path
    """Directory to write: certificate.json and index.html; new or empty."""
    fov_deg: float | None = None
    """Side of the maps in degrees, where the file does not say it."""
    seed: int = 0
    """Seed of the bootstrap."""
    workers: int | None = None
    """Threads; the certificate does not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        require_above(0, self.fov_deg, "--fov-deg")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """Measure a map of your own: C_ℓ, PDF, peaks, Minkowski functionals, bispectrum, wavelets."""

    map: Positional[Path]
    """Map or maps: .fits, .h5, .npz or .npy."""
    out: Path
    """Directory to write: statistics.json and index.html; new or empty."""
    fov_deg: float | None = None
    """Side of the map in degrees, where the file does not say it."""
    field: str | None = None
    """Name of the array in a .h5 or .npz of another program. Default: the only one."""
    cut: int | None = None
    """Cut the map into squares of so many pixels. Default: whole."""
    degrade: int = 1
    """Average so many pixels along each side into one."""
    smoothing: float = 0.0
    """Standard deviation of a Gaussian by which the map is smoothed first, arcmin."""

    def __post_init__(self) -> None:
        require_above(0, self.fov_deg, "--fov-deg")
        require_at_least(16, self.cut, "--cut")
        require_at_least(1, self.degrade, "--degrade")
        require_at_least(0, self.smoothing, "--smoothing")
