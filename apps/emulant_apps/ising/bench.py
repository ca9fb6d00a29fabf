r"""Independent states per second of processor time, weighted by what they are worth.

Every sampler is measured in the same run, on one core (the network on ``--device``).

A Markov chain that makes r states a second gives r_ind = r / 2τ independent ones, τ the larger
of the integrated autocorrelation times of u and |m|, measured here. An emulator's states are
independent, r_ind = r, but carry a bias b, so that the mean of n of them errs by

.. math:: \frac{\sigma^2}{n} + b^2 = \frac{\sigma^2}{n_\mathrm{eff}}, \qquad
    n_\mathrm{eff} = \frac{n}{1 + n / n^*}, \qquad n^* = (\sigma / b)^2

Beyond n* states more of them do not help. The last column is the rate of effective states,
r_ind / (1 + n / n*), for n = 10,000. n* is the lower bound that was shown, with |b| + 2 standard
errors for b, and the worse one of u and |m|. Reweighted states have no bias: r ESS of them.

The truth of u is Kaufman's; where q is known, b is measured through the weights, see
:func:`emulant_apps.ising.weights.bias_by_weights`.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emulant.errors import PASS
from emulant.progress import Progress
from emulant.store import read_text, write_text
from emulant.tables import aligned, markdown
from emulant_apps.ising.autocorrelation import integrated_autocorrelation_time
from emulant_apps.ising.config import Algorithm, BenchConfig
from emulant_apps.ising.exact import Thermodynamics, kaufman
from emulant_apps.ising.hamiltonian import energies, magnetisations
from emulant_apps.ising.simulators import simulate
from emulant_apps.ising.tables import with_error
from emulant_apps.ising.weights import (
    FLOOR,
    Estimate,
    bias_by_weights,
    effective_sample_size,
)

if TYPE_CHECKING:
    from emulant_apps.ising.sample import Emulator

__all__ = ["ASKED", "Row", "bench", "lower_worth", "replace_between", "run"]

Floats = NDArray[np.float64]

ASKED = 10_000
"""States that the user of the last column wants to average over, n."""
PILOT = 200
"""States of the run that measures τ."""
HEAD = ("L", "T", "sampler", "2τ", "independent/s", "Δu", "n* ≥", "effective/s")


@dataclass(frozen=True, slots=True)
class Row:
    """One sampler at one lattice and temperature."""

    lattice: int
    temperature: float
    sampler: str
    independent: float
    """Independent states per second of processor time."""
    steps: float | None = None
    """2τ of a chain, in sweeps or in Wolff's clusters; None for an emulator."""
    bias: Estimate | None = None
    """Of u; None where the sampler is exact."""
    worth: float = np.inf
    """n* as far as shown."""

    @property
    def effective(self) -> float:
        """Effective states per second for a mean over ``ASKED`` states."""
        return self.independent / (1 + ASKED / self.worth)

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, in the order of ``HEAD``."""
        return (
            str(self.lattice),
            f"{self.temperature:.4g}",
            self.sampler,
            "" if self.steps is None else f"{self.steps:.3g}",
            _count(self.independent),
            "0" if self.bias is None else with_error(self.bias.value, self.bias.error),
            "∞" if np.isinf(self.worth) else _count(self.worth),
            _count(self.effective),
        )


def run(config: BenchConfig) -> int:
    """Run ``emulant ising bench``."""
    rows: list[Row] = []
    with Progress("bench", total=len(config.lattice) * len(config.temperatures)) as progress:
        for row in bench(config, progress):
            rows.append(row)
    cells = [row.cells() for row in rows]
    sys.stdout.write(aligned(HEAD, cells))
    if config.markdown is not None:
        replace_between(config.markdown, "bench", markdown(HEAD, cells))
    return PASS


def bench(config: BenchConfig, progress: Progress | None = None) -> Iterator[Row]:
    """Yield the rows of every lattice and temperature."""
    from emulant_apps.ising.sample import Emulator  # here: torch is slow to import

    emulator = Emulator.pretrained() if config.model is None else Emulator.load(config.model)
    for lattice in config.lattice:
        for temperature in config.temperatures:
            yield from _chains(lattice, temperature, config)
            if lattice in emulator.model.lattices:
                yield from _emulator(emulator, lattice, temperature, config)
            if progress is not None:
                progress.advance(note=f"L = {lattice}, T = {temperature:.4g}")


def lower_worth(bias: Estimate, scatter: float) -> float:
    """Return (σ / (|b| + 2 errors))², the n* that was shown.

    >>> lower_worth(Estimate(0.0, 0.01), 1.0)
    2500.0
    """
    return float((scatter / (abs(bias.value) + 2 * bias.error)) ** 2)


def replace_between(file: Path, mark: str, text: str) -> None:
    """Put ``text`` between the lines ``<!-- mark -->`` and ``<!-- /mark -->``, else into a file."""
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before = read_text(file) if file.exists() else ""
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    block = f"{start}\n{text}{end}"
    write_text(file, pattern.sub(lambda _: block, before) if pattern.search(before) else text)


def _chains(lattice: int, temperature: float, config: BenchConfig) -> Iterator[Row]:
    names: tuple[tuple[Algorithm, str], ...] = (
        ("wolff", "Wolff"),
        ("swendsen-wang", "Swendsen-Wang"),
        ("heat-bath", "heat bath, 64 replicas a word"),
    )
    for algorithm, name in names:
        pilot = simulate(lattice, temperature, PILOT, algorithm, seed=config.seed)
        two_tau = 2 * max(pilot.tau_energy, pilot.tau_magnetisation)
        spacing = max(1, round(two_tau))

        def draw(n: int, algorithm: Algorithm = algorithm, spacing: int = spacing) -> object:
            return simulate(
                lattice, temperature, n, algorithm, 0.0, config.seed, spacing, burn_in=0
            )

        rate = _rate(draw, config.seconds, least=64 if algorithm == "heat-bath" else 8)
        yield Row(lattice, temperature, name, rate * spacing / two_tau, two_tau)
    with contextlib.suppress(ModuleNotFoundError):  # an extra: pip install emulant[bench]
        yield from _mcising(lattice, temperature, config)


def _mcising(lattice: int, temperature: float, config: BenchConfig) -> Iterator[Row]:
    """Yield the Rust peer's Wolff and Swendsen-Wang rows, its τ measured like ours."""
    from mcising import IsingSimulation

    for algorithm, name in (("wolff", "mcising Wolff"), ("swendsen_wang", "mcising Swendsen-Wang")):
        chain = IsingSimulation(lattice, 1.0, 0.0, 0.0, 0.0, config.seed, algorithm)
        chain.sweep(1000, temperature=temperature)
        series = chain.production_sweeps(8192, 1, temperature=temperature, store_configs=False)
        two_tau = 2 * max(
            integrated_autocorrelation_time(series["energies"]).tau,
            integrated_autocorrelation_time(np.abs(series["magnetizations"])).tau,
        )
        spacing = max(1, round(two_tau))

        def draw(n: int, chain: object = chain, spacing: int = spacing) -> object:
            return chain.production_sweeps(  # type: ignore[attr-defined]  # no types of its own
                n, spacing, temperature=temperature, store_configs=True
            )

        rate = _rate(draw, config.seconds, least=8)
        yield Row(lattice, temperature, name, rate * spacing / two_tau, two_tau)


def _emulator(
    emulator: Emulator, lattice: int, temperature: float, config: BenchConfig
) -> Iterator[Row]:
    def draw(n: int, sweeps: int) -> tuple[NDArray[np.int8], Floats | None]:
        states = emulator.sample(
            [temperature], n, lattice, config.seed, sweeps, device=config.device, workers=1
        )
        return states.spins[0], None if states.log_weight is None else states.log_weight[0]

    def speed(sweeps: int) -> float:
        clock = time.process_time if config.device == "cpu" else time.perf_counter
        return _rate(lambda n: draw(n, sweeps), config.seconds, 64, clock)

    exact = kaufman(lattice, temperature)
    start, log_weight = draw(config.count, 0)
    for sweeps in (0, config.sweeps):
        # the same draws, finished: the weights of the start still tell their bias
        spins = draw(config.count, sweeps)[0] if sweeps else start
        bias, worth = _judged(spins, log_weight, exact, lattice, temperature)
        name = f"emulator, {sweeps} sweeps" if sweeps else "emulator, raw"
        row = Row(lattice, temperature, name, speed(sweeps), None, bias, worth)
        yield row
        if sweeps == 0 and log_weight is not None:
            size = float(effective_sample_size(log_weight))
            if size >= FLOOR:
                name = f"emulator, reweighted (ESS {size:.2f})"
                yield Row(lattice, temperature, name, row.independent * size)


def _judged(
    spins: NDArray[np.int8],
    log_weight: Floats | None,
    exact: Thermodynamics,
    lattice: int,
    t: float,
) -> tuple[Estimate, float]:
    """Return the bias of u and the n* that was shown: of u and, with weights, of |m| as well."""
    sigma = t * float(np.sqrt(exact.heat_capacity)) / lattice
    u, m = energies(spins), np.abs(magnetisations(spins))
    bias = Estimate(float(u.mean() - exact.energy), float(u.std(ddof=1) / np.sqrt(len(u))))
    if log_weight is None:
        return bias, lower_worth(bias, sigma)
    bias = min(bias, bias_by_weights(u, log_weight, exact.log_z), key=lambda x: x.error)
    of_m = lower_worth(bias_by_weights(m, log_weight, exact.log_z), float(m.std()))
    return bias, min(lower_worth(bias, sigma), of_m)


def _rate(
    draw: Callable[[int], object],
    seconds: float,
    least: int,
    clock: Callable[[], float] = time.process_time,
) -> float:
    """Return states per second of ``clock``, from a run of about ``seconds``."""
    draw(least)  # compiles, and fills caches
    n = least
    while True:
        start = clock()
        draw(n)
        elapsed = max(clock() - start, 1e-6)
        if elapsed >= 0.8 * seconds:
            return n / elapsed
        n = max(n + 1, int(n * min(20.0, 1.05 * seconds / elapsed)))


def _count(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"
