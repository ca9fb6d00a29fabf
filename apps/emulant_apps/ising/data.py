"""States: the record that travels, its files, and true states from the simulators.

Files, by extension:

``.npz`` and ``.h5``
    ``spins`` ±1, shape (T, n, L, L); ``temperatures`` (T,); optional ``log_weight`` (T, n)
    = -E/T - ln q(s) with E the total energy; optional ``provenance``, a JSON object as text.
``.npy``
    bare spins, shape (T, n, L, L), or (n, L, L) at one temperature; the temperatures are given
    beside it.

Shapes: T temperatures, n states at each, L the side of the periodic square lattice.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulant.errors import InputError
from emulant.store.atomic import atomic_path, explain, new_file
from emulant.store.hashing import hash_arrays
from emulant_apps.ising.config import require_lattice, require_temperatures

__all__ = ["States", "checked_states", "read_states", "require_suffix", "write_states"]

SUFFIXES = (".npz", ".h5")
FIELDS = ("spins", "temperatures", "log_weight", "provenance")
UNREADABLE = (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError)
"""What numpy raises on a truncated or foreign file."""


@dataclass(frozen=True, eq=False)
class States:
    """Spin states at one or more temperatures, and where they come from."""

    spins: NDArray[np.int8]
    """±1, shape (T, n, L, L)."""
    temperatures: NDArray[np.float64]
    """J/k_B, shape (T,)."""
    log_weight: NDArray[np.float64] | None = None
    """ln w = -E/T - ln q(s), E the total energy, shape (T, n); None if q is unknown."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Who made them, from what; a JSON object. ``notes`` holds what was measured or must be
    known."""

    @property
    def lattice(self) -> int:
        """Side L, in sites."""
        return int(self.spins.shape[-1])

    @property
    def count(self) -> int:
        """States at each temperature, n."""
        return int(self.spins.shape[1])

    @property
    def notes(self) -> Mapping[str, Any]:
        """What was measured while they were made, or must be known about them."""
        found = self.provenance.get("notes", {})
        return found if isinstance(found, Mapping) else {}

    @property
    def field(self) -> float:
        """External field h, J per spin, according to the provenance; 0 when it is silent."""
        config = self.provenance.get("config", {})
        found = config.get("field", 0.0) if isinstance(config, Mapping) else 0.0
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
    if not file.is_file():
        raise InputError(
            f"{file}: {'is a directory' if file.is_dir() else 'there is no such file'}"
        )
    suffix = file.suffix.lower()
    if suffix == ".npy":
        return _read_npy(file, temperatures)
    if suffix not in SUFFIXES:
        raise InputError(f"{file}: states are read from .npz, .h5 or .npy, not '{file.suffix}'")
    found = _read_npz(file) if suffix == ".npz" else _read_h5(file)
    for name in ("spins", "temperatures"):
        if found.get(name) is None:
            keys = ", ".join(sorted(found)) or "nothing"
            raise InputError(f"{file}: field '{name}' is missing; the file has: {keys}")
    states = checked_states(
        str(file),
        found["spins"],
        found["temperatures"],
        found.get("log_weight"),
        _parsed_provenance(file, found.get("provenance")),
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
    require_suffix(path)
    file = new_file(path, overwrite)
    fields: dict[str, Any] = {
        "spins": np.asarray(states.spins, dtype=np.int8),
        "temperatures": np.asarray(states.temperatures, dtype=np.float64),
    }
    if states.log_weight is not None:
        fields["log_weight"] = np.asarray(states.log_weight, dtype=np.float64)
    provenance = json.dumps(states.provenance, sort_keys=True, allow_nan=False)
    with atomic_path(file) as temporary:
        if file.suffix.lower() == ".npz":
            with open(temporary, "wb") as stream:
                np.savez_compressed(stream, provenance=np.array(provenance), **fields)
        else:
            _write_h5(temporary, fields, provenance)


def require_suffix(path: str | Path) -> None:
    """Raise InputError unless ``path`` names a kind of file that holds states."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: states are written to .npz or .h5; name such a file")


def checked_states(
    where: str,
    spins: ArrayLike,
    temperatures: ArrayLike,
    log_weight: ArrayLike | None = None,
    provenance: Mapping[str, Any] | None = None,
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
    return States(np.ascontiguousarray(s, dtype=np.int8), t, weight, dict(provenance or {}))


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


def _read_npy(file: Path, temperatures: Sequence[float] | None) -> States:
    try:
        spins = np.load(file, allow_pickle=False)
    except OSError as error:
        raise explain(file, error, "read") from error
    except UNREADABLE as error:
        raise _foreign(file, ".npy") from error
    if not isinstance(spins, np.ndarray):
        raise _foreign(file, ".npy")
    if temperatures is None:
        rows = spins.shape[0] if spins.ndim == 4 else 1
        raise InputError(f"{file}: bare spins; give --temperatures, {rows} of them")
    return checked_states(str(file), spins, list(temperatures))


def _read_npz(file: Path) -> dict[str, Any]:
    """Return the fields of an archive; names that are not the format's map to None."""
    try:
        archive = np.load(file, allow_pickle=False)
    except OSError as error:
        raise explain(file, error, "read") from error
    except UNREADABLE as error:
        raise _foreign(file, ".npz") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise _foreign(file, ".npz")
    found: dict[str, Any] = {}
    with archive:
        for name in archive.files:
            try:
                found[name] = archive[name] if name in FIELDS else None
            except (OSError, *UNREADABLE) as error:
                raise InputError(
                    f"{file}: field '{name}' is truncated, or not a plain array"
                ) from error
    return found


def _read_h5(file: Path) -> dict[str, Any]:
    """Return the fields of an HDF5 file; names that are not the format's map to None."""
    import h5py  # here, because it is wanted for .h5 only

    try:
        with h5py.File(file, "r") as archive:
            found = {
                name: archive[name][()]
                if name in FIELDS and isinstance(archive[name], h5py.Dataset)
                else None
                for name in archive
            }
            if "provenance" in archive.attrs:
                found.setdefault("provenance", archive.attrs["provenance"])
            return found
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise _foreign(file, ".h5") from error


def _write_h5(file: Path, fields: Mapping[str, NDArray[Any]], provenance: str) -> None:
    import h5py

    with h5py.File(file, "w") as archive:
        for name, values in fields.items():
            pack = {"compression": "gzip", "compression_opts": 4} if values.ndim > 1 else {}
            archive.create_dataset(name, data=values, track_times=False, **pack)
        archive.create_dataset("provenance", data=provenance, track_times=False)


def _parsed_provenance(file: Path, text: Any) -> dict[str, Any]:
    if text is None:
        return {}
    value = text.item() if isinstance(text, np.ndarray) and text.ndim == 0 else text
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    try:
        record = json.loads(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{file}: field 'provenance' is not JSON text: {error}") from error
    if not isinstance(record, dict):
        raise InputError(f"{file}: field 'provenance' must be a JSON object")
    return record


def _foreign(file: Path, suffix: str) -> InputError:
    return InputError(f"{file}: is truncated, or is not a {suffix} file of plain arrays")
