"""Every number of a run: the flags of the commands are the fields of these records.

Units: lengths in lattice spacings, temperatures in J/k_B, energies and fields in J.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from emulant.errors import InputError

__all__ = [
    "CRITICAL",
    "BenchConfig",
    "ExactConfig",
    "SampleConfig",
    "SimulateConfig",
    "TrainConfig",
    "ValidateConfig",
    "require_at_least",
    "require_lattice",
    "require_temperatures",
]

CRITICAL = 2.0 / math.log(1.0 + math.sqrt(2.0))
"""Onsager's critical temperature of the infinite square lattice, J/k_B."""

COLDEST, HOTTEST = 0.01, 1e4
"""Range of the exact results in floating point, J/k_B."""

Algorithm = Literal["wolff", "swendsen-wang", "heat-bath", "metropolis"]
Device = Literal["auto", "cpu", "cuda", "mps"]


def require_lattice(lattice: int, where: str = "--lattice") -> None:
    """Raise InputError unless ``lattice`` is even and at least 4."""
    if lattice < 4 or lattice % 2:
        raise InputError(f"{where}: the side must be even and at least 4, got {lattice}")


def require_temperatures(temperatures: Sequence[float], where: str = "--temperatures") -> None:
    """Raise InputError unless each temperature is above 0, where f is computed, and given once."""
    if len(temperatures) == 0:
        raise InputError(f"{where}: give at least one temperature, in units of J/k_B")
    for value in temperatures:
        if not 0 < value < math.inf:
            raise InputError(f"{where}: a temperature must be finite and above 0, got {value:g}")
        if not COLDEST <= value <= HOTTEST:
            raise InputError(f"{where}: must lie between {COLDEST} and {HOTTEST:g}, got {value:g}")
    repeated = {float(value) for value in temperatures if list(temperatures).count(value) > 1}
    if repeated:
        raise InputError(f"{where}: {min(repeated):g} is given more than once; give it once")


def require_at_least(least: float, value: float | None, where: str) -> None:
    """Raise InputError if ``value`` is given and is not a finite number >= ``least``."""
    if value is not None and not (math.isfinite(value) and value >= least):
        raise InputError(f"{where}: must be at least {least:g}, got {value:g}")


def require_sides(lattices: Iterable[int], where: str) -> None:
    """Raise InputError unless ``lattices`` names one or more sides that exist."""
    sides = tuple(lattices)
    if not sides:
        raise InputError(f"{where}: give at least one side")
    for side in sides:
        require_lattice(side, where)


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """Simulate true states by Monte Carlo, thinned to independence."""

    out: Path
    """File to write, .npz or .h5."""
    lattice: int = 32
    """Side L of the periodic square lattice, in sites; even."""
    temperatures: tuple[float, ...] = (2.0, CRITICAL, 2.6)
    """Temperatures, J/k_B."""
    count: int = 2000
    """Independent states at each temperature."""
    algorithm: Algorithm = "wolff"
    """Update: by clusters (wolff, swendsen-wang) or by spins; Wolff's needs --field 0."""
    field: float = 0.0
    """External field h, J per spin."""
    seed: int = 0
    """Seed of every random stream."""
    workers: int | None = None
    """Processes; the states do not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        require_lattice(self.lattice)
        require_temperatures(self.temperatures)
        require_at_least(1, self.count, "--count")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")
        if not math.isfinite(self.field):
            raise InputError(f"--field: must be finite, got {self.field:g}")
        if self.field and self.algorithm == "wolff":
            raise InputError("--algorithm wolff: needs --field 0; use swendsen-wang or heat-bath")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train an emulator, from simulated states or from a file of your own."""

    out: Path
    """Directory of the run: weights, log, checkpoint; new, or an old one with --resume."""
    preset: Literal["quick", "full", "adversarial", "dcgan"] = "quick"
    """quick: 32x32 within 10 minutes. full: the shipped weights. adversarial and dcgan: the
    purely adversarial baselines."""
    lattices: tuple[int, ...] | None = None
    """Sides to train on, in sites. Default: the preset's."""
    data: Path | None = None
    """States to train on, .npz, .h5 or .npy. Default: simulate them."""
    temperatures: tuple[float, ...] | None = None
    """Temperatures to train at, J/k_B; with a bare .npy, those of its rows. Default: the
    preset's, or the file's."""
    steps: int | None = None
    """Budget in steps. Default: the preset's."""
    minutes: float | None = None
    """Budget in minutes of wall clock. Default: the preset's."""
    seed: int = 0
    """Seed of every random stream."""
    resume: bool = False
    """Go on with the run that is in --out."""
    device: Device = "auto"
    """Where to compute."""
    workers: int | None = None
    """Processes that simulate training states. Default: one a core."""

    def __post_init__(self) -> None:
        if self.lattices is not None:
            require_sides(self.lattices, "--lattices")
        if self.temperatures is not None:
            require_temperatures(self.temperatures)
        require_at_least(1, self.steps, "--steps")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")
        if self.minutes is not None and not (math.isfinite(self.minutes) and self.minutes > 0):
            raise InputError(f"--minutes: must be above 0, got {self.minutes:g}")


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Draw new states from an emulator."""

    out: Path
    """File to write, .npz or .h5."""
    lattice: int = 32
    """Side L of the periodic square lattice, in sites; one that the model supports."""
    temperatures: tuple[float, ...] = (2.0, CRITICAL, 2.6)
    """Temperatures, J/k_B."""
    count: int = 2000
    """States at each temperature."""
    sweeps: int = 4
    """Finishing sweeps of exact Monte Carlo, Swendsen-Wang and heat bath in turn. 0: the
    emulator's own states, each with its weight."""
    field: float = 0.0
    """External field h of the finishing sweeps, J per spin; the emulator itself knows none."""
    model: Path | None = None
    """Directory of a trained model. Default: the shipped weights."""
    seed: int = 0
    """Seed of every random stream."""
    device: Device = "auto"
    """Where the network computes."""
    workers: int | None = None
    """Processes of the finishing sweeps; the states do not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        require_lattice(self.lattice)
        require_temperatures(self.temperatures)
        require_at_least(1, self.count, "--count")
        require_at_least(0, self.sweeps, "--sweeps")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")
        if not math.isfinite(self.field):
            raise InputError(f"--field: must be finite, got {self.field:g}")


@dataclass(frozen=True, kw_only=True)
class ValidateConfig:
    """Certify a file of states against exact results and true states."""

    states: Positional[Path]
    """States to judge, .npz, .h5 or .npy."""
    out: Path
    """Directory to write: certificate.json and index.html; new or empty."""
    truth: Path | None = None
    """File of true states at the same temperatures. Default: exact results, and a Wolff
    reference simulated here."""
    temperatures: tuple[float, ...] | None = None
    """Temperatures of the rows of a bare .npy, J/k_B."""
    reference: int = 20_000
    """Independent Wolff states at each temperature when there is no --truth; 0: exact results
    only."""
    tolerance: Literal["raw", "finished", "quick"] | None = None
    """Tolerances to judge by: those set for the emulator's own states, for finished states, or
    for a ten-minute emulator. Default: raw for states that carry weights, else finished."""
    training: Path | None = None
    """States that the emulator was trained on; copies of them are then looked for at the
    temperatures that both files have."""
    quick: bool = False
    """Only the observables and the checks: no classifiers, distances, coverage or memorisation."""
    correct: bool = False
    """Also show, side by side: the states as given, after 4 sweeps of exact Monte Carlo, with the
    weights that they carry, and weighted by an estimated density ratio, which is fitted on one
    half of the true states and judged on the other."""
    field: float | None = None
    """External field h of the states, J per spin. Default: what their provenance says, else 0."""
    seed: int = 0
    """Seed of the reference and of the bootstrap."""
    workers: int | None = None
    """Processes; the certificate does not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        if self.temperatures is not None:
            require_temperatures(self.temperatures)
        require_at_least(0, self.reference, "--reference")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")
        if self.correct and self.truth is None and not self.reference:
            raise InputError("--correct: needs true states; give --truth, or --reference above 0")
        if 0 < self.reference < 100:
            raise InputError(f"--reference: give 0, or at least 100 states, got {self.reference}")
        if self.field is not None and not math.isfinite(self.field):
            raise InputError(f"--field: must be finite, got {self.field:g}")


@dataclass(frozen=True, kw_only=True)
class ExactConfig:
    """Print the exact results of the finite and of the infinite lattice."""

    lattice: int = 32
    """Side L of the periodic square lattice, in sites; even."""
    temperatures: tuple[float, ...] = (2.0, CRITICAL, 2.6)
    """Temperatures, J/k_B."""
    out: Path | None = None
    """File to write them to as well, .json."""

    def __post_init__(self) -> None:
        require_lattice(self.lattice)
        require_temperatures(self.temperatures)


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Measure independent states per second, in one run, on this machine."""

    lattice: tuple[int, ...] = (32,)
    """Sides L of the periodic square lattice, in sites; even."""
    temperatures: tuple[float, ...] = (2.0, CRITICAL, 2.6)
    """Temperatures, J/k_B."""
    seconds: float = 3.0
    """Time given to each measurement of speed, s."""
    count: int = 10_000
    """States of each emulator row whose error is measured."""
    sweeps: int = 4
    """Finishing sweeps of the finished emulator."""
    model: Path | None = None
    """Directory of a trained model. Default: the shipped weights."""
    seed: int = 0
    """Seed of every random stream."""
    device: Device = "cpu"
    """Where the network computes; the simulators use one core."""
    markdown: Path | None = None
    """File to write the table to as Markdown; between the lines '<!-- bench -->' and
    '<!-- /bench -->' if it has them."""

    def __post_init__(self) -> None:
        require_sides(self.lattice, "--lattice")
        require_temperatures(self.temperatures)
        require_at_least(100, self.count, "--count")
        require_at_least(1, self.sweeps, "--sweeps")
        require_at_least(0, self.seed, "--seed")
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise InputError(f"--seconds: must be above 0, got {self.seconds:g}")
