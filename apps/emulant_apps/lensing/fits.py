"""FITS images of convergence, in and out: the one place that knows astropy.

A map is written as an image in the gnomonic (TAN) projection with its pixel scale in degrees; the
header says the unit, z_s, the cosmology, the seed, the hash of the model, and that light was
followed in Born's approximation.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.store import Provenance, atomic_path
from emulant_apps.lensing.maps import Maps

__all__ = ["read_images", "write_images"]

SIDES = ("ANGLE", "SIDE", "FOV_DEG")
"""Keywords that other programs use for the side of the map in degrees (LensTools: ANGLE)."""
NOTES = {
    "z_source": ("ZSOURCE", "redshift of the sources"),
    "h": ("HUBBLE", "Hubble constant, 100 km/s/Mpc"),
    "n_s": ("NS", "slope of the primordial power"),
    "omega_b": ("OMEGAB", "baryon density"),
    "source": ("MAKER", "what made the map"),
    "model": ("MODEL", "hash of the weights"),
    "extrapolated": ("EXTRAPOL", "outside the trained cosmologies"),
}

DAMAGES = (
    OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError,
    AstropyWarning, fits.VerifyError,
)  # fmt: skip
"""What astropy raises on damaged bytes, by what is damaged."""


def read_images(file: Path) -> tuple[NDArray[Any], float | None, dict[str, Any]]:
    """Return images (N, ny, nx), the side in degrees if the header says it, and its notes.

    Raises
    ------
    InputError
        There is no image, images of several shapes, or the file is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            for sign in ("(?s).*truncated", "(?s).*corrupted"):
                warnings.filterwarnings("error", sign, AstropyWarning)
            return _read(file)
    except InputError:
        raise
    except DAMAGES as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise InputError(
            f"{file}: is truncated, damaged, or no FITS file ({reason}); take an intact copy"
        ) from error


def _read(file: Path) -> tuple[NDArray[Any], float | None, dict[str, Any]]:
    with fits.open(file, memmap=False) as opened:
        found = [
            (np.array(hdu.data), hdu.header.copy())
            for hdu in opened
            if hdu.is_image and hdu.data is not None and hdu.data.ndim in (2, 3)
        ]
    if not found:
        raise InputError(f"{file}: holds no image")
    shapes = {image.shape[-2:] for image, _ in found}
    if len(shapes) > 1:
        raise InputError(f"{file}: holds images of several shapes, {sorted(shapes)}; split it")
    images = np.concatenate([image.reshape(-1, *image.shape[-2:]) for image, _ in found])
    header = found[0][1]
    notes: dict[str, Any] = {name: header[key] for name, (key, _) in NOTES.items() if key in header}
    if "BORN" in header:
        notes["born"] = bool(header["BORN"])
    for name, key in (("omega_m", "OMEGAM"), ("sigma8", "SIGMA8")):
        if all(key in h for _, h in found):
            sizes = [1 if image.ndim == 2 else len(image) for image, _ in found]
            notes[name] = [float(h[key]) for (_, h), s in zip(found, sizes, strict=True)
                           for _ in range(s)]  # fmt: skip
    if "PROVENAN" in header:
        notes["provenance"] = header["PROVENAN"]
    return images, _side(header, images.shape[-1]), notes


def _side(header: fits.Header, pixels: int) -> float | None:
    """Return the side in degrees, from the projection or from a keyword."""
    for key in SIDES:
        if key in header:
            try:
                return float(header[key])
            except (TypeError, ValueError):
                continue
    if not ("CDELT1" in header or "CD1_1" in header):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            projection = WCS(header, naxis=2)
        except (ValueError, KeyError):
            return None
    if not projection.has_celestial:
        return None
    scale = float(np.sqrt(np.abs(np.linalg.det(projection.pixel_scale_matrix))))
    return scale * pixels if scale > 0 else None


def write_images(file: Path, maps: Maps) -> None:
    """Write ``maps`` to ``file``, one image extension a map after an empty primary one."""
    units = [fits.PrimaryHDU()]
    for index in range(len(maps)):
        header = _header(maps, index)
        image = maps.kappa[index].astype(np.float32)
        units.append(fits.ImageHDU(image, header=header, name=f"KAPPA{index}"))
    if len(maps) == 1:
        units = [fits.PrimaryHDU(maps.kappa[0].astype(np.float32), header=_header(maps, 0))]
    with atomic_path(file) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        fits.HDUList(units).writeto(temporary, overwrite=True)


def _header(maps: Maps, index: int) -> fits.Header:
    header = fits.Header()
    scale, middle = maps.degrees / maps.patch.n, (maps.patch.n + 1) / 2
    for axis, (name, sign) in enumerate((("RA---TAN", -1), ("DEC--TAN", 1)), start=1):
        header[f"CTYPE{axis}"] = name
        header[f"CRPIX{axis}"] = middle
        header[f"CRVAL{axis}"] = 0.0
        header[f"CDELT{axis}"] = sign * scale
        header[f"CUNIT{axis}"] = "deg"
    header["RADESYS"] = "ICRS"
    header["BUNIT"] = ("", "convergence, no unit")
    header["QUANTITY"] = ("kappa", "convergence")
    header["BORN"] = (bool(maps.notes.get("born", True)), "Born approximation")
    if maps.omega_m is not None and maps.sigma8 is not None:
        header["OMEGAM"] = (float(maps.omega_m[index]), "matter density")
        header["SIGMA8"] = (float(maps.sigma8[index]), "rms in 8 Mpc/h")
    for name, (key, comment) in NOTES.items():
        if maps.notes.get(name) is not None:
            header[key] = (maps.notes[name], comment)
    _remember(header, maps.provenance)
    return header


def _remember(header: fits.Header, provenance: Provenance | None) -> None:
    if provenance is None:
        return
    if provenance.seed is not None:
        header["SEED"] = (provenance.seed, "of every random stream")
    header["PROVENAN"] = provenance.to_json().encode("ascii", "backslashreplace").decode()


def provenance_of(notes: Mapping[str, Any]) -> Provenance | None:
    """Return the provenance that a header carried."""
    text = notes.get("provenance")
    return Provenance.from_json(text) if isinstance(text, str) else None
