"""The rows of the Ising accuracy table: the emulator, other networks, banks, starts, truth.

A row yields its draws temperature by temperature, so that few states are held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from emulant.parallel import chunked_map, worker_count
from emulant.progress import Progress
from emulant.ratio import fit_ratio
from emulant.rng import derive, numpy_rng
from emulant_apps.ising.data import States
from emulant_apps.ising.exact import kaufman
from emulant_apps.ising.observables import Summaries
from emulant_apps.ising.sample import Emulator, finish
from emulant_apps.ising.simulators import simulate
from ising_truth import Config, Draws, Spins

REWEIGHTED = "emulator, reweighted"
RATIO = "density ratio to true states"


def _from_emulator(
    emulator: Emulator, config: Config, lattice: int, sweeps: int, reweight: bool = False
) -> Iterator[Draws]:
    def draw(t: float, k: int) -> States:
        return emulator.sample([t], config.count, lattice, config.seed, k, workers=config.workers)

    for t in config.temperatures:
        own = draw(t, 0) if sweeps == 0 or emulator.model.exact_density else None
        known = None if own is None or own.log_weight is None else own.log_weight[0]
        # the same seed: these states were finished from those draws
        spins = (draw(t, sweeps) if own is None or sweeps else own).spins[0]
        if reweight:
            yield Draws.of(spins, log_weight=known, ln_weight=known)
        else:
            yield Draws.of(spins, ln_weight=None if sweeps else known, start_weight=known)


def _true_one(
    lattice: int, temperatures: Sequence[float], count: int, seed: int, start: int, *unused: int
) -> Spins:
    del unused
    return simulate(lattice, temperatures[start], count, seed=seed).spins


def _true(config: Config, lattice: int, temperatures: Sequence[float], purpose: str) -> list[Spins]:
    """Return true states at each of ``temperatures``."""
    count = config.count if purpose == "floor" else config.bank_count
    work = partial(_true_one, lattice, temperatures, count, derive(config.seed, purpose))
    with Progress(f"{purpose}, L = {lattice}", len(temperatures)) as progress:
        return chunked_map(work, len(temperatures), 1, config.seed, config.workers, progress.update)


def _swept(start: Callable[[int], Spins], config: Config, sweeps: int) -> Iterator[Draws]:
    """Yield the draws that ``sweeps`` make of start(k), k the number of the temperature."""

    def work(k: int) -> Draws:
        t = config.temperatures[k]
        return Draws.of(finish(start(k), t, sweeps, derive(config.seed, "swept", t.hex())))

    with ThreadPoolExecutor(worker_count(config.workers)) as pool:  # the kernels hold no lock
        yield from pool.map(work, range(len(config.temperatures)))


def _uniform(config: Config, lattice: int, hot: bool, k: int) -> Spins:
    """Return random spins, or all up."""
    shape = (config.count, lattice, lattice)
    if not hot:
        return np.ones(shape, dtype=np.int8)
    bits = numpy_rng(config.seed, "accuracy hot", k).integers(0, 2, shape, dtype=np.int8)
    return 2 * bits - 1


def _corrected(emulator: Emulator, config: Config, lattice: int) -> Iterator[Draws]:
    """Yield a network's own states weighted by an estimated density ratio of (u, |m|).

    The ratio is fitted on true states at the very temperature, which the reference has not seen.
    """
    drawn = _from_emulator(emulator, config, lattice, 0)
    true = _true(config, lattice, config.temperatures, "floor")
    for draws, spins in zip(drawn, true, strict=True):
        sides = [_features(side.summaries(lattice)) for side in (draws, Draws.of(spins))]
        ratio = fit_ratio(*sides, seed=derive(config.seed, "accuracy ratio"))
        yield replace(draws, log_weight=ratio.samples, ln_weight=None, start_weight=None)


def _features(found: Summaries) -> NDArray[np.float64]:
    return np.stack([found.energy, np.abs(found.magnetisation)], axis=1)


@dataclass
class Banks:
    """True states at the trained temperatures, made when they are first asked for."""

    config: Config
    lattice: int
    trained: tuple[float, ...]
    _spins: list[Spins] = field(default_factory=list)

    @property
    def spins(self) -> list[Spins]:
        """States at each trained temperature."""
        if not self._spins:
            self._spins = _true(self.config, self.lattice, self.trained, "banks")
        return self._spins

    def nearest(self, k: int) -> Spins:
        """Return the states of the trained temperature nearest to number k, but not its own."""
        t = self.config.temperatures[k]
        others = [j for j, trained in enumerate(self.trained) if abs(trained - t) > 1e-9]
        near = min(others, key=lambda j: abs(self.trained[j] - t))
        return self.spins[near][: self.config.count]

    def reweighted(self) -> Iterator[Draws]:
        """Yield, for each temperature, all banks but its own with multiple-histogram weights.

        w(E) = e^(-E/T) / Σ_k n_k e^(-E/T_k) / Z_k.
        """
        draws = [Draws.of(spins) for spins in self.spins]
        ln_z = [kaufman(self.lattice, t).log_z for t in self.trained]
        for t in self.config.temperatures:
            used = [k for k, s in enumerate(self.trained) if abs(s - t) > 1e-9]
            # interleaved, so that each block of the jackknife holds a share of every bank
            energy = np.stack([draws[k].energy for k in used], axis=1).reshape(-1)
            order = np.stack([draws[k].magnetisation for k in used], axis=1).reshape(-1)
            terms = np.stack([-energy / self.trained[k] - ln_z[k] for k in used])
            log_weight = -energy / t - np.logaddexp.reduce(terms, axis=0)
            yield Draws(energy, order, log_weight)


@dataclass(frozen=True)
class Row:
    """One row: its name, what makes its draws, and what they depend on beside the config."""

    name: str
    make: Callable[[], Iterator[Draws]]
    depends: str


def rows(config: Config, lattice: int) -> Iterator[Row]:
    """Yield every row that there is for one lattice."""
    emulator = Emulator.pretrained() if config.model is None else Emulator.load(config.model)
    model, k = emulator.model, config.sweeps
    if lattice in model.lattices:
        raw = partial(_from_emulator, emulator, config, lattice)
        yield Row("emulator, raw", partial(raw, 0), model.content)
        yield Row(f"emulator, {k} sweeps (as shipped)", partial(raw, k), model.content)
        if model.exact_density:
            yield Row(REWEIGHTED, partial(raw, 0, reweight=True), model.content)
    for name, directory in (("adversarial", config.adversarial), ("tanh DCGAN", config.dcgan)):
        if directory is not None:
            other = Emulator.load(directory)
            if lattice in other.model.lattices:
                make = partial(_from_emulator, other, config, lattice)
                yield Row(f"{name}, raw", partial(make, 0), other.model.content)
                yield Row(f"{name}, {k} sweeps", partial(make, k), other.model.content)
                correct = partial(_corrected, other, config, lattice)
                yield Row(f"{name}, {RATIO}", correct, other.model.content)
    trained = model.temperatures
    banks = Banks(config, lattice, trained)
    for name, sweeps in (("nearest other bank", 0), (f"nearest other bank, {k} sweeps", k)):
        yield Row(name, partial(_swept, banks.nearest, config, sweeps), str(trained))
    yield Row("all other banks, reweighted", banks.reweighted, str(trained))
    for start, hot in (("hot", True), ("cold", False)):
        begin = partial(_uniform, config, lattice, hot)
        yield Row(f"{start} start, {k} sweeps", partial(_swept, begin, config, k), "")
    yield Row("true states (floor)", partial(_floor, config, lattice), "")


def _floor(config: Config, lattice: int) -> Iterator[Draws]:
    return map(Draws.of, _true(config, lattice, config.temperatures, "floor"))
