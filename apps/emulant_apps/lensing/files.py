"""Maps in files: our own, and those of other people.

``.h5`` and ``.npz``
    ``kappa`` (N, n, n) and, where known, ``omega_m``, ``sigma8``, ``box``, ``cosmology`` (N,), and
    ``linear`` (N, n, n) of pairs; the attributes hold ``degrees`` and ``z_source``. Files of other
    programs: any one array of maps, chosen by ``--field`` where there are several; nested groups
    are searched (kappaTNG, CAMELS).
``.npy``
    bare maps, with ``--fov-deg``.
``.fits``
    see :mod:`emulant_apps.lensing.fits`.
a directory
    of parts, as written by ``sample --per-file``; :func:`each_maps` holds one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.store import each_part, is_parts, load_arrays, new_file, save_arrays
from emulant.store.arrays import BARE
from emulant_apps.lensing.maps import Maps, checked_maps

__all__ = ["each_maps", "read_maps", "require_suffix", "write_maps"]

WRITTEN = (".h5", ".hdf5", ".npz", ".fits")
READ = (*WRITTEN, ".npy", ".fit")
COLUMNS = ("omega_m", "sigma8", "box", "cosmology")
SIDES = ("degrees", "fov_deg", "angle", "ANGLE", "fov", "side_deg")


def require_suffix(path: Path) -> None:
    """Raise InputError unless maps can be written to a file of that name."""
    if path.suffix.lower() not in WRITTEN:
        raise InputError(f"{path}: maps are written to {', '.join(WRITTEN)}; name such a file")


def write_maps(path: str | Path, maps: Maps, overwrite: bool = False) -> None:
    """Write ``maps`` whole or not at all; the same maps give the same bytes."""
    file = Path(path)
    require_suffix(file)
    new_file(file, overwrite)
    if file.suffix.lower() == ".fits":
        from emulant_apps.lensing.fits import write_images  # here: astropy is slow to import

        write_images(file, maps)
        return
    arrays: dict[str, NDArray[Any]] = {"kappa": maps.kappa}
    for name in COLUMNS:
        column = getattr(maps, name)
        if column is not None:
            arrays[name] = column
    if maps.linear is not None:
        arrays["linear"] = maps.linear
    save_arrays(file, arrays, maps.provenance, {**maps.notes, "degrees": maps.degrees})


def each_maps(path: str | Path, fov_deg: float | None = None) -> Iterator[Maps]:
    """Yield the maps of a file, or of each part of a directory in turn; see :func:`read_maps`."""
    if is_parts(path):
        for part in each_part(path):
            yield read_maps(part, fov_deg)
    else:
        yield read_maps(path, fov_deg)


def read_maps(path: str | Path, fov_deg: float | None = None, field: str | None = None) -> Maps:
    """Read maps from ``path``; ``fov_deg`` is their side where the file does not say it.

    Raises
    ------
    InputError
        Any fault of the file, naming it, the field, and what to do.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in READ:
        raise InputError(f"{file}: unknown extension '{suffix}'; use {', '.join(READ)}")
    if not file.is_file():
        raise InputError(f"{file}: there is no such file")
    if suffix in (".fits", ".fit"):
        return _from_fits(file, fov_deg)
    if suffix == ".npy":
        kappa = load_arrays(file).arrays[BARE]
        return _bare(file, kappa, fov_deg, None)
    if suffix in (".h5", ".hdf5") and not _ours(file):
        kappa, side = _foreign(file, field)
        return _bare(file, kappa, fov_deg, side)
    stored = load_arrays(file)
    name = "kappa" if field is None and "kappa" in stored.arrays else field
    if name is None:
        candidates = [k for k, a in stored.arrays.items() if a.ndim in (2, 3, 4)]
        name = _only(file, candidates)
    if name not in stored.arrays:
        raise InputError(f"{file}: field '{name}' is missing; it has {', '.join(stored.arrays)}")
    notes = dict(stored.attributes)
    said = notes.pop("degrees", None)
    maps = _bare(file, stored.arrays[name], fov_deg, said)

    def column(name: str) -> NDArray[Any] | None:
        if name not in stored.arrays:
            return None
        values = np.atleast_1d(stored.arrays[name])
        if values.shape != (len(maps),):
            raise InputError(
                f"{file}: field '{name}' must have shape ({len(maps)},), got {values.shape}"
            )
        return values.astype(np.int64 if name in ("box", "cosmology") else np.float64)

    linear = stored.arrays.get("linear")
    if linear is not None and linear.shape != maps.kappa.shape:
        raise InputError(
            f"{file}: field 'linear' must have shape {maps.kappa.shape}, got {linear.shape}"
        )
    return replace(
        maps,
        linear=linear,
        omega_m=column("omega_m"),
        sigma8=column("sigma8"),
        box=column("box"),
        cosmology=column("cosmology"),
        provenance=stored.provenance,
        notes=notes,
    )


def _bare(file: Path, kappa: NDArray[Any], fov_deg: float | None, said: float | None) -> Maps:
    if said is not None and fov_deg is not None and not np.isclose(said, fov_deg, rtol=1e-3):
        raise InputError(f"{file}: says its side is {said:g} degrees; leave out --fov-deg")
    degrees = said if said is not None else fov_deg
    if degrees is None:
        raise InputError(
            f"{file}: no angular size in the file; give --fov-deg, the side in degrees"
        )
    return Maps(checked_maps(str(file), kappa, float(degrees)), float(degrees))


def _from_fits(file: Path, fov_deg: float | None) -> Maps:
    from emulant_apps.lensing.fits import provenance_of, read_images

    images, side, notes = read_images(file)
    maps = _bare(file, images, fov_deg, side)
    omega_m, sigma8 = notes.pop("omega_m", None), notes.pop("sigma8", None)
    provenance = provenance_of(notes)
    notes.pop("provenance", None)
    return replace(
        maps,
        omega_m=None if omega_m is None else np.array(omega_m, dtype=np.float64),
        sigma8=None if sigma8 is None else np.array(sigma8, dtype=np.float64),
        provenance=provenance,
        notes=notes,
    )


def _ours(file: Path) -> bool:
    """Whether an HDF5 file has maps at its top, as ours do."""
    return any(name == "attributes" for name, _ in _walk(file))


def _walk(file: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Return the names and shapes of all arrays of an HDF5 file, in groups or not."""
    import h5py

    found: list[tuple[str, tuple[int, ...]]] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            found.append((name, item.shape))

    try:
        with h5py.File(file, "r", locking=False) as opened:
            opened.visititems(visit)
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{file}: is truncated, damaged, or no HDF5 file ({reason}); take an intact copy"
        ) from error
    return found


def _foreign(file: Path, field: str | None) -> tuple[NDArray[Any], float | None]:
    """Return the maps of another program's HDF5 file, and its side if an attribute says it."""
    import h5py

    arrays = _walk(file)
    candidates = [n for n, shape in arrays if len(shape) in (2, 3, 4) and min(shape[-2:]) >= 16]
    if field is not None and field not in [n for n, _ in arrays]:
        names = ", ".join(n for n, _ in arrays) or "nothing"
        raise InputError(f"{file}: field '{field}' is missing; it has {names}")
    name = field if field is not None else _only(file, candidates)
    try:
        with h5py.File(file, "r", locking=False) as opened:
            data = np.asarray(opened[name][()])
            places = (opened[name].attrs, opened[name].parent.attrs, opened.attrs)
            for key in SIDES:
                for attributes in places:
                    if key in attributes:
                        return data, float(np.ravel(attributes[key])[0])
    except OSError as error:
        raise InputError(f"{file}: array '{name}' cannot be read: {error}") from error
    return data, None


def _only(file: Path, candidates: list[str]) -> str:
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise InputError(f"{file}: holds no array of maps")
    raise InputError(f"{file}: holds several arrays; choose with --field: {', '.join(candidates)}")
