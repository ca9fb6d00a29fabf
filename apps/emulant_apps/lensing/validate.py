"""Certify maps against true ones: statistics of :mod:`emulant_apps.lensing.criteria`.

Maps are matched with truth by cosmology and judged together, each cosmology with the share that it
has among the true maps; where there is only one, alone. The mean C_ℓ is judged against theory, and
true maps show how far the simulator itself is from it. Units are boxes: bootstraps draw boxes, not
maps. True maps that may have trained an emulator are left out wherever held-out ones remain.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulant.certify import Case, Certificate, Check, certify
from emulant.errors import InputError
from emulant.store import current, hash_json, new_directory, plain
from emulant_apps.lensing.config import ValidateConfig
from emulant_apps.lensing.criteria import Layout, PixelUnits, statistics
from emulant_apps.lensing.data import split
from emulant_apps.lensing.field.grid import Floats
from emulant_apps.lensing.field.onepoint import wasserstein
from emulant_apps.lensing.files import each_maps, read_maps
from emulant_apps.lensing.maps import Maps
from emulant_apps.lensing.theory.cosmology import Cosmology

__all__ = ["Rows", "certificate", "held_out", "matched", "rows_of", "run"]

ALPHA = 0.05
FOLDS = 10
"""Parts of the maps that are judged, for a jackknife."""
SAME = 1e-4
"""Difference in Ω_m or σ₈ below which two maps are of one cosmology."""


class Rows:
    """Rows of statistics with the unit and the cosmology of each."""

    def __init__(self, values: Floats, units: NDArray[np.int64], pairs: Floats) -> None:
        self.values, self.units, self.pairs = values, units, pairs

    def pick(self, index: NDArray[np.int64]) -> Rows:
        """Return the rows at ``index``."""
        return Rows(self.values[index], self.units[index], self.pairs[index])

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Return the rows of several parts, no two of which share a unit."""
        first = np.cumsum([0, *(part.units.max() + 1 for part in parts[:-1])])
        units = [part.units + start for part, start in zip(parts, first, strict=True)]
        values = np.concatenate([part.values for part in parts])
        return cls(values, np.concatenate(units), np.concatenate([p.pairs for p in parts]))


def run(config: ValidateConfig) -> int:
    """Run ``emulant lensing validate``."""
    each = each_maps(config.maps, config.fov_deg)
    maps = next(each)
    truth = held_out(read_maps(config.truth))
    _require_match(maps, truth, config)
    with _fresh(config.out) as directory:
        rows, true = [rows_of(maps)], rows_of(truth)
        prints, extrapolated = [maps.fingerprint], bool(maps.notes.get("extrapolated", False))
        for part in each:  # of a directory; one at a time is held
            rows.append(rows_of(part))
            prints.append(part.fingerprint)
            extrapolated |= bool(part.notes.get("extrapolated", False))
        own = rows[0] if len(rows) == 1 else Rows.joined(rows)
        maps = replace(maps, notes={**maps.notes, "extrapolated": extrapolated})
        found = certificate(maps, truth, own, true, config.seed, config.workers)
        data = prints[0] if len(prints) == 1 else hash_json(prints)
        made = plain(current("lensing validate", config, config.seed, data))
        found = replace(found, provenance={**made, "truth": truth.fingerprint})
        from emulant_apps.lensing.report import figures  # here: matplotlib is slow to import

        drawn = figures(maps, truth, *matched(own, true))
        found.write(directory, drawn)
    sys.stdout.write(found.table())
    return found.status


def held_out(truth: Maps) -> Maps:
    """Return the maps that trained nothing, where the data set says which these are."""
    if truth.cosmology is None or "cosmologies" not in truth.notes:
        return truth
    others = [split(truth, part) for part in ("validation", "test")]
    box = np.concatenate([np.unique(part.units) for part in others])
    kept = np.isin(truth.units, box)
    return truth.pick(kept) if kept.any() and not kept.all() else truth  # all: no copy


def certificate(
    maps: Maps,
    truth: Maps,
    own: Rows | None = None,
    true: Rows | None = None,
    seed: int = 0,
    workers: int | None = 1,
    title: str = "Convergence maps",
) -> Certificate:
    """Return the certificate of ``maps``, with the rows of both where they are known already.

    Raises
    ------
    InputError
        There is no cosmology that both have, or fewer than two true boxes.
    """
    own = rows_of(maps) if own is None else own
    true = rows_of(truth) if true is None else true
    own, true = matched(own, true)
    units = len(np.unique(true.units))
    if units < 2:
        raise InputError("--truth: needs at least two boxes at the cosmologies of the maps")
    layout = Layout(maps.patch)
    found = statistics(layout, true.values, own.values)
    pairs = np.unique(true.pairs, axis=0)
    label = (
        f"Ω_m = {pairs[0, 0]:.4g}, σ₈ = {pairs[0, 1]:.4g}"
        if len(pairs) == 1
        else f"{len(pairs)} cosmologies"
    )
    case = Case(
        label,
        own.values,
        true.values,
        exact={"C_ℓ / theory": np.ones(len(layout.bands.centres))},
        groups=own.units,
        truth_groups=true.units,
        context={"cosmologies": [[round(m, 6), round(s, 6)] for m, s in pairs.tolist()]},
        extrapolated=bool(maps.notes.get("extrapolated", False)),
    )
    notes = (
        f"{len(own.values)} maps against {len(true.values)} true maps of {units} boxes; "
        f"z_s = {truth.notes.get('z_source', 1.0)}, Born approximation.",
        "The certificate compares with the simulator, whose peaks depend on its resolution, not "
        "with the sky.",
    )
    return certify(
        [case],
        found,
        seed,
        alpha=ALPHA,
        workers=workers,
        checks=[pixel_check(layout, own, true)],
        title=title,
        notes=notes,
    )


def pixel_check(layout: Layout, own: Rows, true: Rows) -> Check:
    """Return W₁ of the pixels' distributions, in σ, with its jackknife error over both."""
    columns = layout.slices["pdf"]
    ours, theirs = own.values[:, columns], true.values[:, columns]
    value = wasserstein(ours.mean(0), theirs.mean(0))
    variance = 0.0
    for mine, groups, other in (
        (theirs, true.units, ours.mean(0)),
        (ours, np.arange(len(ours)) % FOLDS, theirs.mean(0)),
    ):
        names = np.unique(groups)
        left = np.array([wasserstein(mine[groups != g].mean(0), other) for g in names])
        n = len(names)
        variance += (n - 1) / n * float(np.square(left - left.mean()).sum())
    error = math.sqrt(variance)
    return Check.judged(
        "W₁ of pixels / σ",
        value=value,
        expected=0.0,
        error=error,
        tolerance=0.02,
        note="Wasserstein distance of order one between the distributions of pixels",
    )


def rows_of(maps: Maps) -> Rows:
    """Return the statistics of each map, in the units of theory at its cosmology."""
    omega_m, sigma8 = maps.known_cosmologies("the maps")
    if maps.masked:
        raise InputError("maps with missing pixels are measured by 'measure', not certified")
    layout = Layout(maps.patch)
    pairs = np.stack([omega_m, sigma8], axis=1)
    values = np.empty((len(maps), max(s.stop for s in layout.slices.values())))
    z_source = float(maps.notes.get("z_source", 1.0))
    for pair in np.unique(pairs, axis=0):
        own = np.all(pairs == pair, axis=1)
        units = PixelUnits.of(maps.patch, Cosmology(*pair.tolist()), z_source)
        values[own] = layout.rows(maps.kappa[own], units)
    return Rows(values, maps.units, pairs)


def matched(own: Rows, true: Rows) -> tuple[Rows, Rows]:
    """Return the rows at the cosmologies that both have, in the proportions of truth."""
    rows: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for pair in np.unique(true.pairs, axis=0):
        ours = np.flatnonzero(np.all(np.abs(own.pairs - pair) < SAME, axis=1))
        theirs = np.flatnonzero(np.all(true.pairs == pair, axis=1))
        if len(ours):
            rows.append((ours, theirs))
    if not rows:
        raise InputError(
            "no cosmology of the maps is among those of --truth; draw them with sample --like"
        )
    ratio = min(len(ours) / len(theirs) for ours, theirs in rows)
    mine = [ours[: max(1, int(ratio * len(theirs)))] for ours, theirs in rows]
    return own.pick(np.concatenate(mine)), true.pick(np.concatenate([t for _, t in rows]))


def _require_match(maps: Maps, truth: Maps, config: ValidateConfig) -> None:
    a, b = maps.patch, truth.patch
    if a.n != b.n or not np.isclose(a.degrees, b.degrees, rtol=1e-3):
        raise InputError(
            f"{config.truth}: has {b.n} pixels on {b.degrees:g} degrees, {config.maps} "
            f"{a.n} on {a.degrees:g}; cut or degrade one of them"
        )
    maps.known_cosmologies(str(config.maps))
    truth.known_cosmologies(str(config.truth))


@contextlib.contextmanager
def _fresh(out: Path) -> Iterator[Path]:
    """Yield the new directory ``out``; if the work fails, take it away again."""
    existed = out.exists()
    directory = new_directory(out)
    try:
        yield directory
    except BaseException:
        if not existed:
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise
