"""States: the record that travels, its files, and true states from the simulators.

Files, by extension:

``.npz`` and ``.h5``
    ``spins`` ±1, shape (T, n, L, L); ``temperatures`` (T,); optional ``log_weight`` (T, n)
    = -E/T - ln q(s) with E the total energy; optional ``provenance``, JSON text.
``.npy``
    bare spins, shape (T, n, L, L), or (n, L, L) at one temperature; the temperatures are given
    beside it.

Shapes: T temperatures, n states at each, L the side of the periodic square lattice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulant.errors import PASS, InputError
from emulant.memory import require_memory
from emulant.parallel import chunked_map
from emulant.progress import Progress
from emulant.store.arrays import BARE, load_arrays, save_arrays
from emulant.store.atomic import new_file
from emulant.store.hashing import hash_arrays
from emulant.store.provenance import Provenance, current
from emulant_apps.ising.config import (
    CRITICAL,
    Algorithm,
    SimulateConfig,
    require_lattice,
    require_temperatures,
)
from emulant_apps.ising.simulators import Samples
from emulant_apps.ising.simulators import simulate as simulate_one

__all__ = [
    "States",
    "checked_states",
    "new_states_file",
    "read_states",
    "run",
    "simulate",
    "simulate_states",
    "write_states",
]

SUFFIXES = (".npz", ".h5", ".hdf5")


@dataclass(frozen=True, eq=False)
class States:
    """Spin states at one or more temperatures, and where they come from."""

    spins: NDArray[np.int8]
    """±1, shape (T, n, L, L)."""
    temperatures: NDArray[np.float64]
    """J/k_B, shape (T,)."""
    log_weight: NDArray[np.float64] | None = None
    """ln w = -E/T - ln q(s), E the total energy, shape (T, n); None if q is unknown."""
    provenance: Provenance | None = None
    """Who made them, from what; None for a person's own file."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What was measured while they were made or must be known about them, as JSON values."""

    @property
    def lattice(self) -> int:
        """Side L, in sites."""
        return int(self.spins.shape[-1])

    @property
    def count(self) -> int:
        """States at each temperature, n."""
        return int(self.spins.shape[1])

    @property
    def field(self) -> float:
        """External field h, J per spin, according to the provenance; 0 when it is silent."""
        config = {} if self.provenance is None else self.provenance.config
        found = config.get("field", 0.0)
        return float(found) if isinstance(found, int | float) else 0.0

    @property
    def fingerprint(self) -> str:
        """Hash of the spins and the temperatures."""
        return hash_arrays({"spins": self.spins, "temperatures": self.temperatures})

    def at(self, temperature: float) -> NDArray[np.int8]:
        """Return the spins at ``temperature``, shape (n, L, L).

        Raises
        ------
        KeyError
            If there are none within a relative 1e-9.
        """
        near = np.flatnonzero(np.isclose(self.temperatures, temperature, rtol=1e-9, atol=0))
        if len(near) == 0:
            raise KeyError(f"no states at temperature {temperature:g}")
        return np.asarray(self.spins[near[0]])


def read_states(path: str | Path, temperatures: Sequence[float] | None = None) -> States:
    """Read states from ``path``; ``temperatures`` (J/k_B) belong to a bare ``.npy``.

    Raises
    ------
    InputError
        Any fault of the file, naming the file, the field and what to do.
    """
    file = Path(path)
    stored = load_arrays(file)
    if file.suffix.lower() == ".npy":
        spins = stored.arrays[BARE]
        if temperatures is None:
            rows = len(spins) if spins.ndim == 4 else 1
            raise InputError(f"{file}: bare spins; give --temperatures, {rows} of them")
        return checked_states(str(file), spins, list(temperatures))
    for name in ("spins", "temperatures"):
        if name not in stored.arrays:
            keys = ", ".join(sorted(stored.arrays)) or "nothing"
            raise InputError(f"{file}: field '{name}' is missing; the file has: {keys}")
    states = checked_states(
        str(file),
        stored.arrays["spins"],
        stored.arrays["temperatures"],
        stored.arrays.get("log_weight"),
        stored.provenance,
        stored.attributes,
    )
    if temperatures is not None and not (
        len(temperatures) == len(states.temperatures)
        and np.allclose(temperatures, states.temperatures, rtol=1e-9, atol=0)
    ):
        raise InputError(f"{file}: has temperatures of its own; leave out --temperatures")
    return states


def write_states(path: str | Path, states: States, overwrite: bool = False) -> None:
    """Write ``states`` to ``path``, .npz or .h5, whole or not at all; same states, same bytes.

    Raises
    ------
    InputError
        If the extension is another, the file exists and ``overwrite`` is false, or the disk
        refuses.
    """
    file = new_states_file(path, overwrite)
    arrays: dict[str, NDArray[Any]] = {"spins": states.spins, "temperatures": states.temperatures}
    if states.log_weight is not None:
        arrays["log_weight"] = states.log_weight
    save_arrays(file, arrays, states.provenance, states.notes)


def new_states_file(path: str | Path, overwrite: bool = False) -> Path:
    """Return ``path`` after checking, before any work, that states can be written there.

    Raises
    ------
    InputError
        If the extension is not one of states, the file exists, or its directory is read-only.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: states are written to .npz or .h5; name such a file")
    return new_file(path, overwrite)


def checked_states(
    where: str,
    spins: ArrayLike,
    temperatures: ArrayLike,
    log_weight: ArrayLike | None = None,
    provenance: Provenance | None = None,
    notes: Mapping[str, Any] | None = None,
) -> States:
    """Return the States of arrays that a person gave, after checking each.

    Spins may be of any integer or float type, and (n, L, L) at one temperature.

    Raises
    ------
    InputError
        Naming ``where``, the field, the rule and what was found.
    """
    s, t = _numbers(where, "spins", spins), _numbers(where, "temperatures", temperatures)
    t = np.atleast_1d(t).astype(np.float64)
    if t.ndim != 1:
        raise InputError(f"{where}: field 'temperatures' must have shape (T,), got {t.shape}")
    require_temperatures(t.tolist(), f"{where}: field 'temperatures'")
    if s.ndim == 3 and len(t) == 1:
        s = s[None]
    if s.ndim != 4 or s.shape[2] != s.shape[3]:
        raise InputError(f"{where}: field 'spins' must have shape (T, n, L, L), got {s.shape}")
    if len(s) != len(t):
        raise InputError(
            f"{where}: 'spins' has {len(s)} rows and 'temperatures' {len(t)}; they must match"
        )
    if s.shape[1] == 0:
        raise InputError(f"{where}: field 'spins' holds no states, shape {s.shape}")
    require_lattice(s.shape[-1], f"{where}: field 'spins'")
    _require_signs(where, s)
    weight = None if log_weight is None else _numbers(where, "log_weight", log_weight)
    if weight is not None:
        weight = weight.astype(np.float64)
        if weight.shape != s.shape[:2]:
            raise InputError(
                f"{where}: field 'log_weight' must have shape {s.shape[:2]}, got {weight.shape}"
            )
        if not np.isfinite(weight).all():
            raise InputError(f"{where}: field 'log_weight' must be finite")
    spins = np.ascontiguousarray(s, dtype=np.int8)
    return States(spins, t, weight, provenance, dict(notes or {}))


def _numbers(where: str, name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype == np.bool_:
        raise InputError(f"{where}: field '{name}' is true/false; write spins as 2*s - 1, ±1")
    if array.dtype.kind not in "iuf":
        raise InputError(f"{where}: field '{name}' must be numbers, got type {array.dtype}")
    return array


def _require_signs(where: str, spins: NDArray[Any]) -> None:
    wrong = (spins != 1) & (spins != -1)
    if not wrong.any():
        return
    if not ((spins != 0) & (spins != 1)).any():
        raise InputError(f"{where}: field 'spins' is 0/1; write it as 2*s - 1, ±1")
    first = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    raise InputError(
        f"{where}: field 'spins' must be ±1, got {spins[first]:g} at {list(first)} "
        f"({int(wrong.sum())} such)"
    )


def simulate(
    lattice: int = 32,
    temperatures: Sequence[float] = (CRITICAL,),
    count: int = 1000,
    algorithm: Algorithm = "wolff",
    field: float = 0.0,
    seed: int = 0,
    workers: int | None = 1,
) -> States:
    """Return ``count`` independent true states at each temperature.

    >>> simulate(lattice=4, temperatures=[2.0, 3.0], count=5).notes["algorithm"]
    'wolff'
    """
    config = SimulateConfig(
        out=Path("states.npz"),
        lattice=lattice,
        temperatures=tuple(float(t) for t in temperatures),
        count=count,
        algorithm=algorithm,
        field=field,
        seed=seed,
        workers=workers,
    )
    return simulate_states(config)


def required_memory(states: int, lattice: int) -> float:
    """Return the bytes that making, measuring and writing states takes at most, measured.

    >>> required_memory(states=1_000_000, lattice=32) < 5e9
    True
    """
    return states * (4.0 * lattice**2 + 200.0)


def simulate_states(
    config: SimulateConfig, progress: Callable[[int, int], None] | None = None
) -> States:
    """Return the states that ``config`` asks for; one chain, hence one worker, a temperature.

    The states at a temperature do not depend on which others are asked for.
    """
    states = config.count * len(config.temperatures)
    require_memory(required_memory(states, config.lattice), f"--count {config.count}")
    found = chunked_map(
        partial(_simulate_one, config),
        count=len(config.temperatures),
        chunk=1,
        seed=config.seed,
        workers=config.workers,
        progress=progress,
    )
    notes = {
        "algorithm": config.algorithm,
        "steps": "clusters" if config.algorithm == "wolff" else "sweeps",
        "spacing": [samples.spacing for samples in found],
        "tau_energy": [samples.tau_energy for samples in found],
        "tau_magnetisation": [samples.tau_magnetisation for samples in found],
    }
    return States(
        np.stack([samples.spins for samples in found]),
        np.array(config.temperatures, dtype=np.float64),
        None,
        current("ising simulate", config, config.seed),
        notes,
    )


def _simulate_one(config: SimulateConfig, start: int, size: int, seed: int) -> Samples:
    """Simulate temperature number ``start``; its own seed is not used, the temperature's is."""
    del size, seed
    return simulate_one(
        config.lattice,
        config.temperatures[start],
        config.count,
        config.algorithm,
        config.field,
        config.seed,
    )


def run(config: SimulateConfig) -> int:
    """Run ``emulant ising simulate``."""
    new_states_file(config.out)
    with Progress("simulate", total=len(config.temperatures)) as progress:
        states = simulate_states(config, progress.update)
    write_states(config.out, states)
    from emulant_apps.ising.tables import states_table  # here: it is made of States

    sys.stdout.write(states_table(states))
    return PASS
