"""What does the judge see? Planted faults, and how many samples it takes to see them.

    python benchmarks/certificates_power.py --docs docs/certificates.md

Each fault is planted in samples of a known world; *detected* means that the certificate says fail,
with the tolerances named in the table and Holm's adjustment over all that it judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from certificates_calibration import share
from certificates_worlds import field, judged, kept, power_law, table
from emulant.certify import (
    STANDARD,
    Case,
    FunctionOfMeans,
    Statistic,
    Tolerance,
    certify,
    correlations,
    variances,
)
from emulant.certify.summaries import grid_statistics, table_statistics
from emulant.rng import numpy_rng
from emulant.tables import markdown
from emulant_apps.ising.observables import summarise
from emulant_apps.ising.simulators import simulate
from pages import insert

Rng = np.random.Generator
BY = "this benchmark"
SIDE = 32
SLOPE = -2.0


@dataclass(frozen=True, kw_only=True)
class Config:
    """How much to compute, and where the table goes."""

    trials: int = 40
    """Certificates at the stated n; half of it at the other n, a quarter with comparisons."""
    seed: int = 0
    docs: Path | None = None
    """Markdown file with a place for the table."""
    only: tuple[int, ...] = ()
    """Numbers of the faults to plant; all by default."""
    work: Path | None = None
    """Directory that keeps what is done, so that an interrupted run goes on where it stopped."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, how it is planted, and what judges it."""

    name: str
    criterion: str
    """The statistics and tolerances in words."""
    sizes: tuple[int, ...]
    """Samples, and as many of truth; the last is the stated n."""
    draw: Callable[[Rng, int], Case]
    statistics: Callable[[Case], tuple[Statistic, ...]]
    comparisons: tuple[Any, ...] = ()


def _spin_rows(temperature: float, count: int) -> Callable[[], Any]:
    """Return a bank of (u, u², |m|, m²) of independent Wolff states, made when first needed."""
    bank: list[Any] = []

    def rows() -> Any:
        if not bank:
            for k in range(count // 20_000):
                s = summarise(simulate(SIDE, temperature, 20_000, "wolff", seed=k).spins)
                m = abs(s.magnetisation)
                bank.append(np.stack([s.energy, s.energy**2, m, m**2], axis=1))
        return np.concatenate(bank)

    return rows


COLD, WARM = _spin_rows(2.27, 240_000), _spin_rows(2.29, 240_000)


def _wrong_temperature(rng: Rng, n: int) -> Case:
    """States of T = 2.29 for T = 2.27: consecutive states from a random place of each bank."""
    (cold, warm), start = (COLD(), WARM()), rng.integers(240_000 - n, size=2)
    x, y = warm[start[0] : start[0] + n], cold[start[1] : start[1] + n]
    return Case("a", x, truth=y)


def _spin_statistics(_case: Case) -> tuple[Statistic, ...]:
    return (
        Statistic("u", lambda x: x[:, :1], tolerance=Tolerance(0.003)),
        Statistic("|m|", lambda x: x[:, 2:3], tolerance=Tolerance(0.006)),
        Statistic(
            "c", lambda x: x, FunctionOfMeans(lambda m: m[..., 1:2] - m[..., :1] ** 2),
            tolerance=Tolerance(0.06, "relative"),
        ),
        Statistic(
            "χ", lambda x: x, FunctionOfMeans(lambda m: m[..., 3:4] - m[..., 2:3] ** 2),
            tolerance=Tolerance(0.12, "relative"),
        ),
    )  # fmt: skip


def _spectrum(tilt: float, amplitude: float) -> Callable[[Rng, int], Case]:
    true, wrong = power_law(SIDE, SLOPE), power_law(SIDE, SLOPE, tilt, amplitude)
    return lambda rng, n: Case("a", field(rng, n, wrong), truth=field(rng, n, true))


def _power_only(case: Case) -> tuple[Statistic, ...]:
    assert case.truth is not None
    (power,) = (s for s in grid_statistics(case.truth, 0.005, BY) if s.name == "power")
    return (power,)


def _peaks(x: Any) -> Any:
    """Return how many cells exceed 1 and their eight neighbours, per sample."""
    highest = np.ones(x.shape, dtype=bool)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            if i or j:
                highest &= x > np.roll(x, (i, j), axis=(1, 2))
    return (highest & (x > 1.0)).sum(axis=(1, 2))[:, None].astype(float)


def _more_peaks(rng: Rng, n: int) -> Case:
    """Raise single cells until a field has 5 % more peaks on average."""
    root = power_law(SIDE, SLOPE)
    x, y = field(rng, n, root), field(rng, n, root)
    extra = rng.poisson(0.05 * float(_peaks(x).mean()), size=n)
    for k in np.flatnonzero(extra):
        quiet = np.argwhere(x[k] < 0.5)
        for i, j in quiet[rng.permutation(len(quiet))[: extra[k]]]:
            x[k, i, j] = 1.0 + x[k].max()
    return Case("a", x, truth=y)


def _covariance(rng: Rng, n: int) -> Case:
    """Scatter six correlated numbers by 10 % less variance about the same mean."""
    mix = np.eye(6) + 0.5 * np.eye(6, k=1)
    return Case("a", 0.9**0.5 * rng.normal(size=(n, 6)) @ mix, truth=rng.normal(size=(n, 6)) @ mix)


def _covariance_statistics(_case: Case) -> tuple[Statistic, ...]:
    labels = tuple("abcdef")
    return (
        variances(lambda x: x, labels, tolerance=Tolerance(0.02, "relative")),
        correlations(lambda x: x, labels, tolerance=Tolerance(0.02)),
    )


def _missing_mode(rng: Rng, n: int) -> Case:
    angle = 2 * np.pi * np.arange(10) / 10
    centres = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def modes(count: int) -> Any:
        return centres[rng.integers(count, size=n)] + 0.3 * rng.normal(size=(n, 2))

    return Case("a", modes(9), truth=modes(10))


def _duplicates(rng: Rng, n: int) -> Case:
    x, y, training = (table(rng, n) for _ in range(3))
    x[: n // 20] = training[: n // 20]
    return Case("a", x, truth=y, training=training)


def _copier(rng: Rng, n: int) -> Case:
    y, training = table(rng, n), table(rng, n)
    x = training[rng.integers(n, size=n)]
    x[:, :4] += 0.01 * rng.normal(size=(n, 4))
    return Case("a", x, truth=y, training=training)


def _uncorrelated(rng: Rng, n: int) -> Case:
    """Shuffle the first column alone: every column keeps its own distribution."""
    x, y = table(rng, n), table(rng, n)
    x[:, 0] = rng.permutation(x[:, 0])
    return Case("a", x, truth=y)


def _first_mean(_case: Case) -> tuple[Statistic, ...]:
    return (Statistic("mean", lambda x: x[:, :1], tolerance=Tolerance(0.5, "scatter")),)


def _table_only(case: Case) -> tuple[Statistic, ...]:
    assert case.truth is not None
    return table_statistics(case.truth, 0.1, BY)


def _mirrored(rng: Rng, n: int) -> Case:
    """Bright spots with a tail to the right, turned round: the same power, the same values."""

    def spots() -> Any:
        bright = np.fft.fft(rng.random((n, 16, 16)) < 0.05, axis=2)
        tail = np.fft.ifft(bright * np.fft.fft(np.exp(-np.arange(16) / 3.0)), axis=2).real
        return tail + 0.5 * rng.normal(size=(n, 16, 16))

    return Case("a", spots()[:, :, ::-1], truth=spots())


def _grid_only(case: Case) -> tuple[Statistic, ...]:
    assert case.truth is not None
    return grid_statistics(case.truth, 0.1, BY)


WHOLE = judged(STANDARD)
CLASSIFIERS = judged(STANDARD, ("classifier", "network"))

FAULTS = (
    Fault(
        "Ising L = 32 at T = 2.29 for 2.27", "u .003, |m| .006, c 6 %, χ 12 %",
        (100, 300, 1000, 3000, 10_000), _wrong_temperature, _spin_statistics,
    ),
    Fault(
        "spectrum tilted by .03", "power .5 % in each of 12 bins", (30, 100, 300),
        _spectrum(-0.03, 1.0), _power_only,
    ),
    Fault(
        "spectrum's amplitude off by 2 %", "power .5 % in each of 12 bins", (100, 300, 1000),
        _spectrum(0.0, 1.02), _power_only,
    ),
    Fault(
        "5 % more peaks", "peak count 1 %", (300, 1000, 3000), _more_peaks,
        lambda _: (Statistic("peaks", _peaks, tolerance=Tolerance(0.01, "relative")),),
    ),
    Fault(
        "10 % of the covariance lost", "6 variances 2 %, 15 correlations .02",
        (1000, 3000, 5000), _covariance, _covariance_statistics,
    ),
    Fault(
        "one mode of ten dropped", "the standard comparisons alone", (1000, 2000, 4000),
        _missing_mode, _first_mean, WHOLE,
    ),
    Fault(
        "5 % duplicates of training rows", "the standard comparisons alone", (300, 1000, 2000),
        _duplicates, _first_mean, WHOLE,
    ),
    Fault(
        "a copier of the training set", "the standard comparisons alone", (100, 300, 1000),
        _copier, _first_mean, WHOLE,
    ),
    Fault(
        "a column's correlation removed", "the standard comparisons alone", (300, 1000, 2000),
        _uncorrelated, _first_mean, WHOLE,
    ),
    Fault(
        "a column's correlation removed", "the table's default statistics", (100, 300, 1000),
        _uncorrelated, _table_only,
    ),
    Fault(
        "fields mirrored left to right", "the grid's default statistics and both classifiers",
        (500, 2000), _mirrored, _grid_only, CLASSIFIERS,
    ),
)  # fmt: skip


def detections(fault: Fault, n: int, trials: int, seed: int) -> list[Any]:
    """Return how many certificates fail, and how many by what."""
    failed, by = 0, dict[str, int]()
    for k in range(trials):
        case = fault.draw(numpy_rng(seed, fault.name, n, k), n)
        found = certify(
            [case], fault.statistics(case), k, replicates=400, comparisons=fault.comparisons
        )
        failed += found.verdict == "fail"
        report = found.cases[0]
        for item in (*report.statistics, *report.distances):
            if item.verdict == "fail":
                by[item.name] = by.get(item.name, 0) + 1
    return [failed, by]


def main(config: Config) -> None:
    """Make the table."""
    rows = []
    for number, fault in enumerate(FAULTS):
        if config.only and number not in config.only:
            continue
        curve = []
        for n in fault.sizes:
            fewer = 4 if fault.comparisons else 2
            trials = config.trials if n == fault.sizes[-1] else config.trials // fewer
            key = {"fault": number, "name": fault.name, "n": n, "trials": trials}
            failed, by = kept(
                config.work, key | {"seed": config.seed},
                partial(detections, fault, n, trials, config.seed),
            )  # fmt: skip
            curve.append(f"{n:,}: {100 * failed / trials:.0f} %")
        seen = ", ".join(sorted(by, key=lambda name: -by[name])[:3])
        rows.append(
            (
                fault.name, fault.criterion, " · ".join(curve[:-1]), f"{fault.sizes[-1]:,}",
                share(failed, trials), seen,
            )
        )  # fmt: skip
        print(rows[-1], flush=True)
    head = (
        "planted fault", "judged by (tolerance)", "detected at n", "stated n", "detected there",
        "seen by",
    )  # fmt: skip
    insert(
        config.docs, "certificates:power", "Power", "certificates_power.py", markdown(head, rows)
    )


if __name__ == "__main__":
    main(tyro.cli(Config))
