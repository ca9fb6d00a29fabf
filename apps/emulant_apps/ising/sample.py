"""Draw new states: the network's own, each with its weight, or finished by exact sweeps.

Raw states (``sweeps`` = 0) follow the emulator's q(s); where q is known each carries
ln w = -E/T - ln q(s). Finishing sweeps alternate Swendsen-Wang and heat bath. Both kernels
leave e^(-E/T) invariant, so that they can only bring the states nearer to the truth; the
density of a finished state is no longer known, hence it carries no weight.

The states come in chunks of a fixed size, each with random streams derived from the seed, the
lattice, the temperature and the place of the chunk: they do not depend on the number of
workers, nor on what else is asked for.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.errors import PASS, InputError
from emulant.memory import require_memory
from emulant.parallel import chunked_map, worker_count
from emulant.progress import Progress
from emulant.rng import derive, torch_rng
from emulant.store.provenance import current
from emulant.threads import one_thread
from emulant_apps.ising.config import (
    CRITICAL,
    Device,
    SampleConfig,
    require_lattice,
    require_temperatures,
)
from emulant_apps.ising.data import States, new_states_file, required_memory, write_states
from emulant_apps.ising.hamiltonian import energies
from emulant_apps.ising.reference_free import cluster_and_local
from emulant_apps.ising.simulators import sweep_swendsen_wang
from emulant_apps.ising.tables import states_table

__all__ = [
    "CHUNK_SPINS",
    "Emulator",
    "ExtrapolationWarning",
    "FreeSpins",
    "Generator",
    "Trained",
    "finish",
    "run",
]

CHUNK_SPINS = 1 << 18
"""Spins in a chunk: 256 states at L = 32."""
FEW_CHUNKS = 32
"""Fewer chunks than these a worker do not repay the start of processes."""


class ExtrapolationWarning(UserWarning):
    """States were asked for outside the temperatures that the emulator was trained at."""


class Generator(Protocol):
    """A network that draws states of one lattice and may know their probability."""

    def draw(self, n: int, rng: torch.Generator, c: Tensor) -> Tensor:
        """Return states of ±1, shape (n, 1, L, L), at the temperatures ``c``, (n, 1)."""
        ...

    def log_prob(self, x: Tensor, c: Tensor) -> Tensor:
        """Return ln q(x | c) in nats, shape (n,)."""
        ...


class Trained(Protocol):
    """What a directory of weights holds."""

    @property
    def lattices(self) -> tuple[int, ...]:
        """Sides that the model draws."""
        ...

    @property
    def temperatures(self) -> tuple[float, ...]:
        """Temperatures that it was trained at, J/k_B."""
        ...

    @property
    def exact_density(self) -> bool:
        """Whether ``log_prob`` is the exact ln q."""
        ...

    @property
    def content(self) -> str:
        """Hash of the weights."""
        ...

    def generator(self, lattice: int) -> Generator:
        """Return the network for one lattice."""
        ...


class FreeSpins:
    """The exact member of the family: even sites by fair coins, odd sites by the heat bath.

    q(s) = 2^(-N/2) Π_odd P(s_i | even neighbours). It has no parameters, and is true as T → ∞.
    """

    lattices = (4, 6, 8, 16, 32, 64)
    temperatures = (1.0, 1e3)
    exact_density = True
    content = "free spins"

    def generator(self, lattice: int) -> FreeSpins.Half:
        """Return the generator for one lattice."""
        return self.Half(lattice)

    class Half:
        """States of one lattice."""

        def __init__(self, lattice: int) -> None:
            self.lattice = lattice
            site = torch.arange(lattice)
            self.odd = ((site[:, None] + site) % 2).float()

        def draw(self, n: int, rng: torch.Generator, c: Tensor) -> Tensor:
            """Return states of ±1, shape (n, 1, L, L)."""
            u = torch.rand((n, 1, self.lattice, self.lattice), generator=rng, device=rng.device)
            coins = (1 - self.odd) * torch.where(u < 0.5, 1.0, -1.0)
            bath = torch.where(u < torch.sigmoid(self._logits(coins, c)), 1.0, -1.0)
            return coins + self.odd * bath

        def log_prob(self, x: Tensor, c: Tensor) -> Tensor:
            """Return ln q, shape (n,)."""
            ln_p = torch.nn.functional.logsigmoid(self._logits(x * (1 - self.odd), c) * x)
            free = self.lattice**2 / 2 * math.log(2)
            return (ln_p * self.odd).double().sum((1, 2, 3)) - free

        def _logits(self, even: Tensor, c: Tensor) -> Tensor:
            h = sum((even.roll(step, axis) for axis in (2, 3) for step in (1, -1)), even * 0)
            return 2 * h / c[:, :, None, None]


@dataclass(frozen=True, slots=True)
class _Job:
    """One chunk of states."""

    lattice: int
    temperature: float
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    """States (n, L, L) and, if they are known, their ln q (n,)."""

    spins: NDArray[np.int8]
    ln_q: NDArray[np.float64] | None


class Emulator:
    """A trained model that draws states at any temperature.

    >>> emulator = Emulator.pretrained()                             # doctest: +SKIP
    >>> emulator.sample([2.35], count=1000, lattice=32).spins.shape  # doctest: +SKIP
    (1, 1000, 32, 32)
    """

    def __init__(self, model: Trained) -> None:
        self.model = model

    @classmethod
    def pretrained(cls) -> Emulator:
        """Return the emulator of the shipped weights."""
        directory = resources.files("emulant_apps.ising") / "pretrained"
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
        from emulant_apps.ising.model import load_model

        return cls(load_model(directory))

    def extrapolated(self, temperatures: Sequence[float]) -> list[float]:
        """Return those of ``temperatures`` that lie outside the trained range."""
        trained = self.model.temperatures
        return [float(t) for t in temperatures if not min(trained) <= t <= max(trained)]

    def sample(
        self,
        temperatures: Sequence[float] = (CRITICAL,),
        count: int = 1000,
        lattice: int = 32,
        seed: int = 0,
        sweeps: int = 4,
        field: float = 0.0,
        device: Device = "auto",
        workers: int | None = 1,
        progress: Callable[[int, int], None] | None = None,
    ) -> States:
        """Return ``count`` new states at each temperature.

        Parameters
        ----------
        temperatures
            J/k_B; those outside the trained range are marked in ``notes['extrapolated']``.
        sweeps
            Finishing sweeps; 0 for the emulator's own states with their weights.
        field
            External field h of the finishing sweeps.
        workers
            Processes, on the CPU; None for one a core.

        Raises
        ------
        InputError
            If the model does not draw that lattice, or a temperature is not above 0.
        """
        require_temperatures(temperatures, "temperatures")
        self.require_supported(lattice)
        if field and not sweeps:
            raise InputError("--field: needs --sweeps, for the emulator itself knows no field")
        outside = self.extrapolated(temperatures)
        if outside:
            warnings.warn(self._beyond(outside), ExtrapolationWarning, stacklevel=2)
        states = count * len(temperatures)
        require_memory(required_memory(states, lattice), f"--count {count} --lattice {lattice}")
        jobs = _jobs(lattice, temperatures, count)
        place = _device(device)
        work = partial(_chunk, self.model, jobs, seed, sweeps, field, place)
        chunks = chunked_map(
            work,
            count=len(jobs),
            chunk=1,
            seed=seed,
            workers=_processes(workers, len(jobs), place),
            progress=progress,
        )
        t = np.array(temperatures, dtype=np.float64)
        spins = np.concatenate([chunk.spins for chunk in chunks]).reshape(
            len(t), count, lattice, lattice
        )
        log_weight = None
        known = [chunk.ln_q for chunk in chunks if chunk.ln_q is not None]
        if known:
            total = np.stack([energies(row) for row in spins]) * lattice**2
            log_weight = -total / t[:, None] - np.concatenate(known).reshape(len(t), count)
        settings = {
            "lattice": lattice,
            "temperatures": t.tolist(),
            "count": count,
            "sweeps": sweeps,
            "field": field,
            "device": place,
        }
        return States(
            spins,
            t,
            log_weight,
            current("ising sample", settings, seed, weights=self.model.content),
            self._notes(temperatures, sweeps),
        )

    def require_supported(self, lattice: int) -> None:
        """Raise InputError unless the model draws that lattice."""
        require_lattice(lattice)
        if lattice not in self.model.lattices:
            sides = ", ".join(str(side) for side in self.model.lattices)
            raise InputError(f"--lattice: this model draws {sides}, got {lattice}")

    def _beyond(self, outside: Sequence[float]) -> str:
        trained = self.model.temperatures
        return (
            f"trained from T = {min(trained):g} to {max(trained):g}; "
            f"extrapolated to T = {', '.join(f'{t:g}' for t in outside)}"
        )

    def _notes(self, temperatures: Sequence[float], sweeps: int) -> Mapping[str, Any]:
        notes: dict[str, Any] = {
            "trained": list(self.model.temperatures),
            "extrapolated": self.extrapolated(temperatures),
        }
        if sweeps:
            notes["finished"] = [_kernel_name(sweep) for sweep in range(sweeps)]
            notes["log_weight"] = "none: the density of a finished state is not known"
        elif not self.model.exact_density:
            notes["log_weight"] = "none: this model does not know its own density"
        return notes


def finish(
    spins: NDArray[np.int8], temperature: float, sweeps: int, seed: int, field: float = 0.0
) -> NDArray[np.int8]:
    """Return ``spins`` (n, L, L) after ``sweeps``: Swendsen-Wang, heat bath, in turn."""
    done = cluster_and_local(spins, temperature, seed, field, rounds=sweeps // 2)
    if sweeps % 2:
        done = sweep_swendsen_wang(done, temperature, 1, derive(seed, "finish"), field)
    return done


def _kernel_name(sweep: int) -> str:
    return "heat-bath" if sweep % 2 else "swendsen-wang"


def _jobs(lattice: int, temperatures: Sequence[float], count: int) -> list[_Job]:
    if count < 1:
        raise InputError(f"--count: must be at least 1, got {count}")
    size = max(64, CHUNK_SPINS // lattice**2)
    return [
        _Job(lattice, float(temperature), start, min(size, count - start))
        for temperature in temperatures
        for start in range(0, count, size)
    ]


def _chunk(
    model: Trained,
    jobs: Sequence[_Job],
    seed: int,
    sweeps: int,
    field: float,
    device: str,
    index: int,
    size: int,
    unused: int,
) -> _Chunk:
    """Return chunk ``index``; its streams come from what is asked, not from its number."""
    del size, unused
    job = jobs[index]
    purpose = ("ising sample", job.lattice, job.temperature.hex(), job.start)
    generator = model.generator(job.lattice)
    if isinstance(generator, torch.nn.Module):
        generator.to(device).eval()
    rng = torch_rng(seed, *purpose, device=device)
    c = torch.full((job.size, 1), job.temperature, device=device)
    with torch.inference_mode(), one_thread():
        x = generator.draw(job.size, rng, c)
        scored = sweeps == 0 and model.exact_density
        ln_q = generator.log_prob(x, c).double().cpu().numpy() if scored else None
    spins = x[:, 0].to(torch.int8).cpu().numpy()
    if sweeps:
        spins = finish(spins, job.temperature, sweeps, derive(seed, *purpose), field)
    return _Chunk(spins, ln_q)


def _device(device: Device) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: there is none here; use cpu")
    if device == "mps" and not torch.backends.mps.is_available():
        raise InputError("--device mps: there is none here; use cpu")
    return device


def _processes(workers: int | None, chunks: int, device: str) -> int:
    """Return one process for an accelerator or little work, else as many as were asked for."""
    if device != "cpu":
        return 1
    most = worker_count(workers)
    return most if workers is not None else max(1, min(most, chunks // FEW_CHUNKS))


def run(config: SampleConfig) -> int:
    """Run ``emulant ising sample``."""
    new_states_file(config.out)
    emulator = Emulator.pretrained() if config.model is None else Emulator.load(config.model)
    emulator.require_supported(config.lattice)
    if config.field:
        sys.stderr.write(
            f"warning: the emulator knows no field; {config.sweeps} sweeps may not be enough to "
            "bring its states into one: validate them\n"
        )
    with (
        Progress("sample", total=len(config.temperatures) * config.count) as progress,
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always", ExtrapolationWarning)
        states = emulator.sample(
            config.temperatures,
            config.count,
            config.lattice,
            config.seed,
            config.sweeps,
            config.field,
            config.device,
            config.workers,
            progress.update,
        )
    for warning in said:
        sys.stderr.write(f"warning: {warning.message}\n")
    write_states(config.out, states)
    sys.stdout.write(states_table(states))
    return PASS
