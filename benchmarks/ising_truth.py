"""Averages that rows of the Ising accuracy table are held against, and how they are judged.

u, c and ln Z are Kaufman's; |m| and χ come from Wolff states, one random stream a temperature,
with the exactly known mean and variance of u as control variates:

    O' = O - β_1 (u - ⟨u⟩) - β_2 ((u - ⟨u⟩)² - var u),   β by least squares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.parallel import chunked_map
from emulant.progress import Progress
from emulant.rng import derive
from emulant.store import load_arrays, plain, save_arrays
from emulant_apps.ising.bench import lower_worth
from emulant_apps.ising.config import CRITICAL
from emulant_apps.ising.exact import kaufman
from emulant_apps.ising.hamiltonian import bond_sums, spin_sums
from emulant_apps.ising.jackknife import jackknife
from emulant_apps.ising.observables import Summaries, estimate
from emulant_apps.ising.simulators import simulate
from emulant_apps.ising.weights import (
    Estimate,
    bias_by_weights,
    effective_sample_size,
    ln_mean_weight,
)

TEMPERATURES = (1.6, 1.8, 2.0, 2.1, 2.2, CRITICAL, 2.3, 2.35, 2.4, 2.6, 2.8, 3.0, 3.4)
Ints = NDArray[np.int32]
Floats = NDArray[np.float64]
Spins = NDArray[np.int8]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Measure the accuracy of the emulator and of its baselines."""

    work: Path = Path("runs/accuracy")
    """Directory of the cache: reference and finished rows."""
    reference: Path | None = None
    """File of the reference, .npz. Default: one for each lattice in --work."""
    lattices: tuple[int, ...] = (32,)
    """Sides L, in sites."""
    count: int = 20_000
    """States at each temperature, of every row."""
    reference_count: int = 100_000
    """Independent Wolff states of the reference at each temperature."""
    bank_count: int = 20_000
    """True states at each trained temperature that the banks hold."""
    sweeps: int = 4
    """Finishing sweeps."""
    model: Path | None = None
    """Directory of the emulator. Default: the shipped weights."""
    adversarial: Path | None = None
    """Directory of the purely adversarial network."""
    dcgan: Path | None = None
    """Directory of the network like the seed paper's."""
    temperatures: tuple[float, ...] = TEMPERATURES
    """Temperatures, J/k_B."""
    seed: int = 0
    """Seed of every stream."""
    workers: int | None = None
    """Processes. Default: one a core."""
    only: str = ""
    """Measure only the rows whose name has this in it."""
    markdown: Path | None = None
    """File whose lines between '<!-- MARK -->' and '<!-- /MARK -->' become the tables."""
    mark: str = "accuracy"
    """The MARK."""


@dataclass(frozen=True)
class Draws:
    """What a row needs of its states: total energies and magnetisations, and weights."""

    energy: Ints
    """E, (n,)."""
    magnetisation: Ints
    """M, (n,)."""
    log_weight: Floats | None = None
    """(n,), of states that are to be reweighted."""
    ln_weight: Floats | None = None
    """(n,), of states that know ln q, for ESS and ln Z only."""
    start_weight: Floats | None = None
    """(n,), of the emulator's own states that these are, or that these were finished from."""

    @classmethod
    def of(cls, spins: Spins, **weights: Floats | None) -> Draws:
        """Return the draws of ``spins`` (n, L, L)."""
        energy, order = -bond_sums(spins), spin_sums(spins)
        return cls(energy.astype(np.int32), order.astype(np.int32), **weights)

    def summaries(self, lattice: int) -> Summaries:
        """Return u and m of each state."""
        return Summaries(lattice, self.energy / lattice**2, self.magnetisation / lattice**2)


@dataclass(frozen=True)
class Truth:
    """Averages at one temperature: exact u, c, ln Z, and the best known |m| and χ."""

    energy: float
    heat_capacity: float
    ln_z: float
    magnetisation: Estimate
    susceptibility: Estimate


@dataclass(frozen=True)
class Result:
    """One row at one temperature: differences from the truth, with errors of both."""

    energy: Estimate
    """u - exact, J per spin."""
    magnetisation: Estimate
    """|m| - true, per spin."""
    heat_capacity: Estimate
    """c / exact - 1."""
    susceptibility: Estimate
    """χ / true - 1."""
    size: float | None = None
    """ESS / n."""
    effective: float | None = None
    """ESS, states."""
    ln_z: Estimate | None = None
    """ln Z - exact, nats."""
    worth: float | None = None
    """n* of u, point estimate; None where the bias is not resolved."""
    worth_shown: float = 0.0
    """n* of u, lower bound."""
    bias: Estimate | None = None
    """Bias of u, J per spin, through the weights where there are any; n* is made of it."""

    @classmethod
    def revive(cls, record: Mapping[str, Any]) -> Result:
        """Return the result of a JSON record."""
        values = {
            name: Estimate(**value) if isinstance(value, dict) else value
            for name, value in record.items()
        }
        return cls(**values)


def _reference_one(config: Config, lattice: int, start: int, size: int, unused: int) -> Draws:
    del size, unused
    seed = derive(config.seed, "accuracy reference")
    found = simulate(lattice, config.temperatures[start], config.reference_count, seed=seed)
    return Draws.of(found.spins)


def reference(config: Config, lattice: int) -> list[Truth]:
    """Return the truth at every temperature, from the cache if it is there."""
    file = config.reference or config.work / f"reference-{lattice}.npz"
    key = {"temperatures": config.temperatures, "count": config.reference_count, "side": lattice}
    if file.exists():
        stored = load_arrays(file)
        if stored.attributes != plain(key):
            raise SystemExit(f"{file}: is the reference of another run, {stored.attributes}")
        draws = [Draws(e, m) for e, m in zip(*stored.arrays.values(), strict=True)]
    else:
        with Progress(f"reference, L = {lattice}", len(config.temperatures)) as progress:
            draws = chunked_map(
                partial(_reference_one, config, lattice),
                len(config.temperatures),
                1,
                config.seed,
                config.workers,
                progress.update,
            )
        arrays = {
            "energy": np.stack([d.energy for d in draws]),
            "magnetisation": np.stack([d.magnetisation for d in draws]),
        }
        save_arrays(file, arrays, attributes=key)
    return [_truth(d, lattice, t) for d, t in zip(draws, config.temperatures, strict=True)]


def _truth(draws: Draws, lattice: int, t: float) -> Truth:
    """Return |m| and χ improved by the known mean and variance of u."""
    exact, sites = kaufman(lattice, t), lattice**2
    found = draws.summaries(lattice)
    du = found.energy - exact.energy
    control = np.stack([du, du**2 - t**2 * exact.heat_capacity / sites], axis=1)
    m = np.abs(found.magnetisation)
    both = np.stack([m, m**2], axis=1)
    slope = np.linalg.lstsq(control - control.mean(0), both - both.mean(0), rcond=None)[0]
    improved = both - control @ slope

    def values(mean: Floats) -> Floats:
        return np.stack([mean[:, 0], sites / t * (mean[:, 1] - mean[:, 0] ** 2)], axis=1)

    result = jackknife(values, improved, tau=0.5)
    pairs = zip(result.values, result.errors, strict=True)
    order, susceptibility = (Estimate(float(v), float(e)) for v, e in pairs)
    return Truth(exact.energy, exact.heat_capacity, exact.log_z, order, susceptibility)


def judge(draws: Draws, truth: Truth, lattice: int, t: float) -> Result:
    """Return the differences of one row at one temperature from the truth."""
    weights = None
    if draws.log_weight is not None:
        weights = np.exp(draws.log_weight - draws.log_weight.max())
    found = estimate(draws.summaries(lattice), t, weights, tau=0.5)
    sigma = t * math.sqrt(truth.heat_capacity) / lattice
    bias = Estimate(found.energy.value - truth.energy, found.energy.error)
    best = bias
    if draws.start_weight is not None:
        u = draws.summaries(lattice).energy
        best = min(best, bias_by_weights(u, draws.start_weight, truth.ln_z), key=lambda x: x.error)
    known = draws.log_weight if draws.ln_weight is None else draws.ln_weight
    ln_z = None
    if draws.ln_weight is not None:
        mean = ln_mean_weight(draws.ln_weight)
        ln_z = Estimate(mean.value - truth.ln_z, mean.error)
    return Result(
        bias,
        Estimate(
            found.magnetisation.value - truth.magnetisation.value,
            math.hypot(found.magnetisation.error, truth.magnetisation.error),
        ),
        Estimate(
            found.heat_capacity.value / truth.heat_capacity - 1,
            found.heat_capacity.error / truth.heat_capacity,
        ),
        Estimate(
            found.susceptibility.value / truth.susceptibility.value - 1,
            math.hypot(
                found.susceptibility.error / truth.susceptibility.value,
                found.susceptibility.value
                * truth.susceptibility.error
                / truth.susceptibility.value**2,
            ),
        ),
        None if known is None else float(effective_sample_size(known)),
        None if known is None else float(effective_sample_size(known)) * len(known),
        ln_z,
        (sigma / best.value) ** 2 if abs(best.value) > 2 * best.error else None,
        lower_worth(best, sigma),
        best,
    )
