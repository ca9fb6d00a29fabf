"""Worlds whose truth can be drawn at will, on which the certificate is put to the test.

A world draws samples and their independent units, and says what is measured on them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify import FunctionOfMeans, Statistic, Tolerance, TwoSample
from emulant.certify.summaries import grid_statistics, table_statistics
from emulant.store import hash_json, plain, read_json, write_json
from emulant_apps.ising.observables import summarise
from emulant_apps.ising.simulators import simulate

__all__ = [
    "WORLDS",
    "Drawn",
    "World",
    "field",
    "power_law",
    "strict",
    "table",
]

BY = "this benchmark"


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Samples and the independent unit of each; None: each its own."""

    samples: NDArray[Any]
    groups: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class World:
    """A truth, and what is measured on it."""

    name: str
    draw: Callable[[np.random.Generator, int], Drawn]
    """Returns about n samples."""
    statistics: Callable[[Drawn], tuple[Statistic, ...]]
    """Given truth; tolerances as shipped."""


def power_law(side: int, slope: float, tilt: float = 0.0, amplitude: float = 1.0) -> NDArray[Any]:
    """Return √P(k) on the FFT's grid: P = amplitude · k^(slope+tilt), 0 at k = 0."""
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(side) * side, np.fft.fftfreq(side) * side))
    k[0, 0] = 1.0
    root = np.sqrt(amplitude * (k / (side / 8)) ** (slope + tilt))
    root[0, 0] = 0.0
    return root


def field(rng: np.random.Generator, n: int, root: NDArray[Any]) -> NDArray[Any]:
    """Return n Gaussian fields of variance one whose spectrum is root²."""
    white = rng.normal(size=(n, *root.shape))
    made = np.fft.ifft2(np.fft.fft2(white) * root).real
    return made / np.sqrt((power_law(len(root), -2.0) ** 2).mean())


def table(rng: np.random.Generator, n: int) -> NDArray[Any]:
    """Return a mixed table: three correlated numbers, a skewed one, a rare and a common flag."""
    x = rng.normal(size=(n, 3)) @ np.array([[1.0, 0.6, 0.0], [0.0, 0.8, 0.3], [0.0, 0.0, 0.954]])
    skewed = rng.exponential(np.exp(0.3 * x[:, 0]))
    flags = rng.random((n, 2)) < np.array([0.08, 0.4])
    return np.column_stack([x, skewed, flags])


def _ising(rng: np.random.Generator, n: int) -> Drawn:
    """64 independent heat-bath chains of n/64 correlated states at L = 16, T = 2.5."""
    length = max(1, n // 64)
    seed = int(rng.integers(2**62))
    made = simulate(16, 2.5, 64 * length, "heat-bath", seed=seed, spacing=4, burn_in=300, chains=64)
    return Drawn(made.spins, np.repeat(np.arange(64), length))


def _spins(_truth: Drawn) -> tuple[Statistic, ...]:
    def rows(spins: NDArray[Any]) -> NDArray[Any]:
        s = summarise(spins)
        return np.stack([s.energy, s.energy**2, abs(s.magnetisation), s.magnetisation**2], axis=1)

    return (
        Statistic("u", lambda x: rows(x)[:, :1], tolerance=Tolerance(0.003, by=BY)),
        Statistic("|m|", lambda x: rows(x)[:, 2:3], tolerance=Tolerance(0.006, by=BY)),
        Statistic(
            "c", rows, FunctionOfMeans(lambda m: 256 / 2.5**2 * (m[..., 1:2] - m[..., :1] ** 2)),
            tolerance=Tolerance(0.04, "relative", by=BY),
        ),
        Statistic(
            "χ", rows, FunctionOfMeans(lambda m: 256 / 2.5 * (m[..., 3:] - m[..., 2:3] ** 2)),
            tolerance=Tolerance(0.04, "relative", by=BY),
        ),
    )  # fmt: skip


ROOT = power_law(16, -2.0)

WORLDS = (
    World("Ising, 64 independent chains", _ising, _spins),
    World(
        "Gaussian field, 16×16",
        lambda rng, n: Drawn(field(rng, n, ROOT)),
        lambda truth: grid_statistics(truth.samples, 0.1, BY),
    ),
    World(
        "lognormal field, 16×16",
        lambda rng, n: Drawn(np.exp(0.8 * field(rng, n, ROOT))),
        lambda truth: grid_statistics(truth.samples, 0.1, BY),
    ),
    World(
        "mixed table, 6 columns",
        lambda rng, n: Drawn(table(rng, n)),
        lambda truth: table_statistics(truth.samples, 0.1, BY),
    ),
)


def strict(things: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return statistics or comparisons with next to no tolerance: any difference is a fault."""
    kinds = {True: Tolerance(1e-9, "scatter", BY), False: Tolerance(1e-9, "absolute", BY)}
    return tuple(
        dataclasses.replace(s, tolerance=kinds[isinstance(s, Statistic)])
        for s in things
        if s.tolerance is not None
    )


def judged(comparisons: tuple[TwoSample, ...], names: tuple[str, ...] = ()) -> tuple[Any, ...]:
    """Return the comparisons that have a tolerance, all or by name."""
    return tuple(
        c for c in comparisons if c.tolerance is not None and (not names or c.name in names)
    )


def kept(work: Path | None, key: dict[str, Any], make: Callable[[], list[Any]]) -> list[Any]:
    """Return what ``make`` gives, from ``work`` if it was made there before for the same key.

    Nothing but the key decides: begin a new directory when the judge has changed.
    """
    if work is None:
        return make()
    file = work / f"{hash_json(plain(key))[7:23]}.json"
    if not file.exists():
        work.mkdir(parents=True, exist_ok=True)
        write_json(file, {"key": key, "made": make()})
    made: list[Any] = read_json(file)["made"]
    return made
