"""What a training step sees: true maps and lognormal fields at their cosmologies.

All in units of the theoretical σ of a pixel. Rows come in groups of one cosmology, so that laws can
be compared within it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.errors import InputError
from emulant.types import Batch
from emulant_apps.lensing.config import DEGREES, PIXELS
from emulant_apps.lensing.data import lognormal_shift
from emulant_apps.lensing.field.grid import Floats, Patch
from emulant_apps.lensing.field.pixels import pixel_variance
from emulant_apps.lensing.field.random import RandomSky
from emulant_apps.lensing.maps import Maps, cut, degraded
from emulant_apps.lensing.theory.convergence import Convergence, Spectrum
from emulant_apps.lensing.theory.cosmology import Cosmology
from emulant_apps.lensing.transport import QUARTERS, TRIM, quartered

__all__ = ["GROUP", "Pairs", "Related", "of_pixels"]

Singles = NDArray[np.float32]
GROUP = 8
"""Maps of one cosmology whose features are compared with those of as many true ones."""


def of_pixels(maps: Maps, pixels: int) -> Maps:
    """Return squares of 64 pixels, ``pixels`` of which span five degrees.

    Raises
    ------
    InputError
        The maps cannot be averaged and cut into such.
    """
    n = maps.patch.n
    if n % pixels or not math.isclose(maps.degrees, DEGREES, rel_tol=1e-3):
        raise InputError(
            f"--data: maps must have {pixels} pixels, or a multiple, on {DEGREES:g} degrees, got "
            f"{n} on {maps.degrees:g}; cut them, or choose --pixels"
        )
    if maps.masked:
        raise InputError("--data: maps with missing pixels cannot train; cut them away")
    found = degraded(maps, n // pixels)
    return found if pixels == PIXELS else cut(found, PIXELS)


@dataclass(frozen=True)
class _Cosmology:
    """True maps of one cosmology, and its fields."""

    maps: Tensor
    """(N, 1, 64, 64), in σ."""
    linear: Singles | None
    """L of each map (N, 64, 64), no unit."""
    sky: RandomSky
    sigma: float
    context: Tensor
    """(Ω_m, S₈)."""


class Pairs:
    """True maps and quarters of fresh lognormal fields on a torus, larger by a trimmed rim.

    Arguments
    ---------
    maps : the training part of a data set, as :func:`of_pixels` gives it.
    batch : rows, a multiple of GROUP; each group has one cosmology.
    skewness : of the fields.
    opposed : whether the second torus of a group is that of the first with its Gaussian field's
        sign changed.
    pixels : along the side of a trimmed quarter.
    """

    def __init__(
        self,
        maps: Maps,
        batch: int,
        skewness: float,
        opposed: bool = False,
        pixels: int = PIXELS,
    ) -> None:
        if batch % GROUP:
            raise ValueError(f"'batch' must be a multiple of {GROUP}, got {batch}")
        self.batch_size, self.skewness, self.opposed = batch, skewness, opposed
        self.pixels = pixels
        self.fingerprint = maps.fingerprint
        self.degrees = maps.degrees
        omega_m, sigma8 = maps.known_cosmologies("--data")
        pairs = np.stack([omega_m, sigma8], axis=1)
        found = np.unique(pairs, axis=0).tolist()
        self.cosmologies = tuple((float(m), float(s)) for m, s in found)
        self.members = [
            self._member(maps.pick(np.all(pairs == pair, axis=1)), Cosmology(*pair))
            for pair in found
        ]

    def _member(self, own: Maps, cosmology: Cosmology) -> _Cosmology:
        kappa = Convergence(cosmology)
        sigma = math.sqrt(pixel_variance(own.patch, kappa.spectrum))
        return _Cosmology(
            _in_sigma(own.kappa, sigma),
            own.linear,
            self._sky(own, kappa, lognormal_shift(sigma, self.skewness)),
            sigma,
            torch.tensor([cosmology.omega_m, cosmology.s8], dtype=torch.float32),
        )

    def _sky(self, own: Maps, kappa: Convergence, shift: float) -> RandomSky:
        side = 2 * (self.pixels + 2 * TRIM)
        torus = Patch(side, own.degrees * side / PIXELS)
        return RandomSky(torus, kappa.spectrum, shift, torus=True)

    def in_sigma(self, maps: Maps) -> list[Tensor]:
        """Return other true maps (N, 1, n, n) of each cosmology, of the same pixels, in σ."""
        pairs = np.stack(maps.known_cosmologies("maps"), axis=1)
        return [
            _in_sigma(maps.kappa[np.all(pairs == pair, axis=1)], own.sigma)
            for pair, own in zip(self.cosmologies, self.members, strict=True)
        ]

    def batch(self, step: int, rng: torch.Generator) -> Batch:  # noqa: ARG002 - chance is enough
        """Return true maps, turned and mirrored at random, and contexts with fields beside them."""
        noise = np.random.default_rng(int(torch.randint(1 << 62, (), generator=rng)))
        rows, contexts = [], []
        for _ in range(self.batch_size // GROUP):
            own = self.members[int(torch.randint(len(self.members), (), generator=rng))]
            pick = torch.randint(len(own.maps), (GROUP,), generator=rng)
            field = torch.from_numpy(self._fields(own, pick, noise) / np.float32(own.sigma))
            for x, y in self._turned(own.maps[pick], field[:, None], rng):
                rows.append(x)
                cosmology = own.context[:, None, None].expand(2, *y.shape[1:])
                contexts.append(torch.cat([y, cosmology]))
        return Batch(torch.stack(rows), torch.stack(contexts))

    def _fields(
        self, own: _Cosmology, pick: Tensor, noise: np.random.Generator
    ) -> NDArray[np.float32]:
        del pick
        tori = own.sky.draw(GROUP // QUARTERS, noise, opposed=self.opposed)
        whole = torch.from_numpy(tori)
        return quartered(whole[:, None])[:, 0].numpy()

    def _turned(
        self, maps: Tensor, fields: Tensor, rng: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each map, turned, and its field; quarters of a torus keep their place."""
        for x, y in zip(maps, fields, strict=True):
            yield _turn(rng, x)[0], y


class Related(Pairs):
    """True maps and the lognormal fields of their own linear density, on the same patch.

    Small scales, of which that density says nothing, are drawn afresh each time.
    """

    def _member(self, own: Maps, cosmology: Cosmology) -> _Cosmology:
        if own.linear is None:
            raise InputError(
                "--data: holds no pairs, which this preset needs; simulate with --pairs"
            )
        self._resolution = str(own.notes.get("resolution"))
        return super()._member(own, cosmology)

    def _sky(self, own: Maps, kappa: Convergence, shift: float) -> RandomSky:
        spectrum, given = kappa.spectrum, _tabled(kappa, self._resolution)
        return RandomSky(own.patch, spectrum, shift, given=given)

    def _fields(
        self, own: _Cosmology, pick: Tensor, noise: np.random.Generator
    ) -> NDArray[np.float32]:
        assert own.linear is not None
        return own.sky.draw(GROUP, noise, own.linear[pick.numpy()])

    def _turned(
        self, maps: Tensor, fields: Tensor, rng: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each map and its field, turned alike."""
        for x, y in zip(maps, fields, strict=True):
            x, y = _turn(rng, x, y)
            yield x, y


def _in_sigma(kappa: Singles, sigma: float) -> Tensor:
    """Return maps (N, n, n) in σ, (N, 1, n, n)."""
    return torch.from_numpy(kappa / np.float32(sigma))[:, None]


def _turn(rng: torch.Generator, *maps: Tensor) -> list[Tensor]:
    """Return ``maps`` (1, n, n) turned and mirrored alike, at random."""
    turn = int(torch.randint(8, (), generator=rng))
    turned = [torch.rot90(x, turn % 4, (1, 2)) for x in maps]
    return [x.flip(1) for x in turned] if turn >= 4 else turned


def _tabled(kappa: Convergence, resolution: str) -> Spectrum:
    """Return the spectrum of L by a table, linear in ln ℓ."""
    from emulant_apps.lensing.nbody.lightcone import LAYOUTS, linear_power

    if resolution not in LAYOUTS:
        raise InputError(f"--data: pairs of an unknown simulator, resolution {resolution}")
    grid = np.geomspace(2.0, 2000.0, 160)
    table = linear_power(kappa, LAYOUTS[resolution], grid)

    def spectrum(ell: Floats) -> Floats:
        found: Floats = np.interp(np.log(np.maximum(ell, 2.0)), np.log(grid), table, right=0.0)
        return found

    return spectrum
