"""Maps: the record that travels between the rooms, and its checks.

Shapes: N maps of n × n pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.store.hashing import hash_arrays
from emulant.store.provenance import Provenance
from emulant_apps.lensing.field.grid import Floats, Patch

__all__ = ["LARGEST_KAPPA", "Maps", "checked_maps", "cut", "degraded"]

LARGEST_KAPPA = 20.0
"""|κ| beyond which a map is no convergence: clusters' cores reach about one."""
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Maps:
    """Convergence maps of one size, with what is known of each."""

    kappa: NDArray[np.float32]
    """Convergence, no unit, shape (N, n, n); NaN where there is no sky."""
    degrees: float
    """Side of a map, degrees."""
    omega_m: Floats | None = None
    """Matter density of each map, (N,)."""
    sigma8: Floats | None = None
    """σ₈ of each map, (N,)."""
    box: Labels | None = None
    """Independent unit (line of sight) of each map, (N,); None: every map is one."""
    cosmology: Labels | None = None
    """Number of its cosmology in the data set, (N,)."""
    provenance: Provenance | None = None
    """Who made them; None for a person's own file."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """z_source, source and what else must be known about them, as JSON values."""
    linear: NDArray[np.float32] | None = None
    """What the linear density says of each map, L of :mod:`.nbody.lightcone`, (N, n, n)."""

    def __len__(self) -> int:
        return len(self.kappa)

    @property
    def patch(self) -> Patch:
        """Pixels and size of each map."""
        return Patch(int(self.kappa.shape[-1]), self.degrees)

    @property
    def masked(self) -> bool:
        """Whether any pixel is missing."""
        return bool(np.isnan(self.kappa).any())

    @property
    def units(self) -> Labels:
        """Independent unit of each map, (N,)."""
        return np.arange(len(self)) if self.box is None else self.box

    @property
    def fingerprint(self) -> str:
        """Hash of the maps."""
        return hash_arrays({"kappa": self.kappa})

    def pick(self, rows: NDArray[Any]) -> Maps:
        """Return the maps at ``rows``, a mask or indices."""

        def some(column: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if column is None else column[rows]

        return replace(
            self,
            kappa=self.kappa[rows],
            omega_m=some(self.omega_m),
            sigma8=some(self.sigma8),
            box=some(self.box),
            cosmology=some(self.cosmology),
            linear=some(self.linear),
        )

    def known_cosmologies(self, where: str) -> tuple[Floats, Floats]:
        """Return Ω_m and σ₈ of each map.

        Raises
        ------
        InputError
            The file does not say them.
        """
        if self.omega_m is None or self.sigma8 is None:
            raise InputError(f"{where}: fields 'omega_m' and 'sigma8' are missing; add one a map")
        return self.omega_m, self.sigma8


def checked_maps(where: str, kappa: NDArray[Any], degrees: float) -> NDArray[np.float32]:
    """Return ``kappa`` as float32 (N, n, n) after checking that it can be convergence.

    Raises
    ------
    InputError
        Naming ``where``, what is wrong, and what to do.
    """
    array = np.asarray(kappa)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{where}: a map must be numbers, got type {array.dtype}")
    if array.ndim == 2:
        array = array[None]
    if array.ndim == 4 and 1 in (array.shape[1], array.shape[-1]):
        array = array.reshape(len(array), *[s for s in array.shape[1:] if s > 1])
    if array.ndim != 3 or array.size == 0:
        raise InputError(f"{where}: maps must have shape (N, n, n) or (n, n), got {array.shape}")
    if array.shape[1] != array.shape[2]:
        raise InputError(
            f"{where}: maps must be square, got {array.shape[1]} × {array.shape[2]} pixels; "
            "cut a square with --cut"
        )
    if array.shape[1] < 16:
        raise InputError(f"{where}: maps need at least 16 pixels a side, got {array.shape[1]}")
    if not 0 < degrees <= 90:
        raise InputError(f"{where}: the side must lie in (0, 90] degrees, got {degrees:g}")
    found = array.astype(np.float32)
    found[~np.isfinite(found)] = np.nan
    missing = np.isnan(found).mean()
    if missing > 0.9:
        raise InputError(f"{where}: {missing:.0%} of the pixels are missing; nothing to measure")
    largest = float(np.nanmax(np.abs(found)))
    if largest > LARGEST_KAPPA:
        raise InputError(
            f"{where}: |κ| reaches {largest:.3g}; convergence has no unit and stays below "
            f"{LARGEST_KAPPA:g}: divide by the critical surface density"
        )
    if largest == 0:
        raise InputError(f"{where}: every pixel is zero")
    return found


def cut(maps: Maps, pixels: int) -> Maps:
    """Return disjoint squares of ``pixels`` a side; a rim that fills none is dropped.

    >>> whole = Maps(np.ones((2, 64, 64), np.float32), 4.0)
    >>> parts = cut(whole, 32)
    >>> len(parts), parts.degrees
    (8, 2.0)
    """
    n = maps.patch.n
    if not 16 <= pixels <= n:
        raise InputError(f"--cut: must lie in [16, {n}], the pixels of the map, got {pixels}")
    times = n // pixels
    rows = np.repeat(np.arange(len(maps)), times**2)

    def squares(images: NDArray[np.float32]) -> NDArray[np.float32]:
        kept = images[:, : times * pixels, : times * pixels]
        parts = kept.reshape(len(maps), times, pixels, times, pixels).swapaxes(2, 3)
        return np.ascontiguousarray(parts.reshape(-1, pixels, pixels))

    return replace(
        replace(maps, linear=None).pick(rows),
        kappa=squares(maps.kappa),
        linear=None if maps.linear is None else squares(maps.linear),
        degrees=maps.degrees * pixels / n,
        box=maps.units[rows],
    )


def degraded(maps: Maps, factor: int) -> Maps:
    """Return maps whose pixels are averages of ``factor`` × ``factor``; the rim is dropped.

    >>> degraded(Maps(np.ones((1, 64, 64), np.float32), 4.0), 2).patch.n
    32
    """
    if factor == 1:
        return maps
    n = maps.patch.n
    if n // factor < 16:
        raise InputError(f"--degrade: leaves {n // factor} of {n} pixels; at least 16 are needed")
    side = n // factor * factor

    def means(images: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = (len(maps), side // factor, factor, side // factor, factor)
        blocks = images[:, :side, :side].reshape(shape)
        found: NDArray[np.float32] = blocks.mean((2, 4), dtype=np.float32)
        return found

    return replace(
        maps,
        kappa=means(maps.kappa),
        linear=None if maps.linear is None else means(maps.linear),
        degrees=maps.degrees * side / n,
    )
