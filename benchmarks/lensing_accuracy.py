"""Certify the emulator and its baselines against boxes and cosmologies never trained on.

    emulant lensing simulate --cosmologies 24 --part test --boxes 4 --maps 40 --size 128 --pairs \
        --out truth.h5
    emulant lensing train --data sims.h5 --preset dcgan --steps 210 --out runs/dcgan
    python benchmarks/lensing_accuracy.py --truth truth.h5 --model runs/dcgan \
        --markdown docs/lensing.md

Rows: the emulator, further ones (--model), lognormal and Gaussian maps of the same C_ell, and truth
against truth (one half of the true boxes against the other). Finer true maps are averaged into the
emulator's pixels. A cell is the bin with the largest bias in units of its
tolerance: the bias, its standard error, the bin.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from emulant.certify import Certificate
from emulant.rng import numpy_rng
from emulant.tables import markdown
from emulant_apps.lensing.config import PIXELS
from emulant_apps.lensing.data import lognormal_shift
from emulant_apps.lensing.field.random import RandomSky
from emulant_apps.lensing.files import read_maps
from emulant_apps.lensing.maps import Maps, degraded
from emulant_apps.lensing.sample import Emulator, joined
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology
from emulant_apps.lensing.train import SKEWNESS
from emulant_apps.lensing.validate import Rows, certificate, held_out, rows_of
from pages import write_block

COLUMNS: dict[str, tuple[str, Callable[[str], bool], float]] = {
    "C_ℓ, ℓ < 250": ("C_ℓ / theory", lambda b: _number(b) < 250, 100),
    "C_ℓ, ℓ ≥ 250": ("C_ℓ / theory", lambda b: _number(b) >= 250, 100),
    "peaks, ν ≤ 4": ("peaks", lambda b: _last(b) <= 4, 100),
    "peaks, 4-6": ("peaks", lambda b: _last(b) > 4, 100),
    "minima": ("minima", lambda _: True, 100),
    "V₀": ("Minkowski V₀", lambda _: True, 0),
    "V₁": ("Minkowski V₁", lambda _: True, 0),
    "V₂": ("Minkowski V₂", lambda _: True, 0),
    "bispectrum": ("bispectrum / tree", lambda _: True, 100),
    "variance of C_ℓ": ("variance of C_ℓ", lambda _: True, 100),
    "correlation": ("correlation of C_ℓ", lambda _: True, 1),
}
"""Statistic, bins, and how it is shown: 100 in % of truth, 0 in % of the largest, 1 as it is."""


def _number(label: str) -> float:
    found = re.search(r"[\d.]+", label)
    return float(found.group()) if found else math.nan


def _last(label: str) -> float:
    return float(re.findall(r"[\d.]+", label)[-1])


def cell(found: Certificate, name: str, kept: Callable[[str], bool], scale: float) -> str:
    """Return the worst bin of one column."""
    bins = [
        b for case in found.cases for s in case.statistics if s.name == name
        for b in s.bins if kept(b.label) and b.tolerance
    ]  # fmt: skip
    if not bins:
        return ""
    worst = max(bins, key=lambda b: abs(b.bias) / (b.tolerance or 1))
    unit = abs(worst.reference) if scale == 100 else max(abs(b.reference) for b in bins)
    if scale == 1:
        text = f"{worst.bias:+.2f} ± {worst.bias_error:.2f}"
    else:
        text = f"{100 * worst.bias / unit:+.1f} ± {100 * worst.bias_error / unit:.1f} %"
    verdicts = {b.verdict for b in bins}
    mark = "✗" if "fail" in verdicts else "?" if "underpowered" in verdicts else "✓"
    return f"{mark} {text} ({worst.label})"


def baseline(truth: Maps, count: int, seed: int, skewness: float) -> Maps:
    """Return random fields at the cosmologies of truth; those of ``skewness`` 0 are Gaussian."""
    pairs = np.unique(np.stack(truth.known_cosmologies("truth"), axis=1), axis=0)
    maps = []
    for k, (m, s) in enumerate(pairs.tolist()):
        spectrum = Convergence(Cosmology(m, s)).spectrum
        sky = RandomSky(truth.patch, spectrum)
        if skewness:
            shift = lognormal_shift(math.sqrt(sky.variance), skewness)
            sky = RandomSky(truth.patch, spectrum, shift)
        maps.append(sky.draw(count, numpy_rng(seed, "lensing baseline", k)))
    return Maps(
        np.concatenate(maps),
        truth.degrees,
        np.repeat(pairs[:, 0], count),
        np.repeat(pairs[:, 1], count),
        notes={"z_source": 1.0},
    )


def emulated(directory: Path | None, truth: Maps, count: int, seed: int) -> Maps:
    """Return the emulator's maps at the cosmologies of truth."""
    n = truth.patch.n
    emulator = Emulator.pretrained(n) if directory is None else Emulator.load(directory)
    pairs = np.unique(np.stack(truth.known_cosmologies("truth"), axis=1), axis=0)
    return joined(
        [emulator.sample(m, s, count, n, seed + k) for k, (m, s) in enumerate(pairs.tolist())]
    )


def halves(true: Rows) -> tuple[Rows, Rows]:
    """Return two halves of the true boxes, at every cosmology the same number where possible."""
    first = np.zeros(len(true.values), bool)
    for pair in np.unique(true.pairs, axis=0):
        own = np.all(true.pairs == pair, axis=1)
        boxes = np.unique(true.units[own])
        first |= own & np.isin(true.units, boxes[: len(boxes) // 2])
    return true.pick(np.flatnonzero(first)), true.pick(np.flatnonzero(~first))


def main() -> None:
    """Certify each row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--others", type=int, help="maps a cosmology of the other rows; --count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--pixels", type=int, choices=tuple(SKEWNESS), default=PIXELS)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--certificate", type=Path)
    asked = parser.parse_args()
    truth = held_out(read_maps(asked.truth))
    truth = degraded(truth, max(1, truth.patch.n // asked.pixels))
    true = rows_of(truth)
    boxes = len(np.unique(true.units))
    pairs = len(np.unique(true.pairs, axis=0))
    others = asked.count if asked.others is None else asked.others
    makers: dict[str, Callable[[], Maps]] = {
        "emulator": lambda: emulated(None, truth, asked.count, asked.seed)
    }
    for directory in asked.model:
        makers[directory.name] = lambda d=directory: emulated(d, truth, others, asked.seed)
    for name, skewness in (("lognormal", SKEWNESS[asked.pixels]), ("Gaussian", 0.0)):
        makers[name] = lambda s=skewness: baseline(truth, others, asked.seed, s)
    table = []
    for name, make in makers.items():
        maps = make()
        found = certificate(maps, truth, rows_of(maps), true, asked.seed, title=name)
        if name == "emulator" and asked.certificate is not None:
            asked.certificate.mkdir(parents=True, exist_ok=True)
            found.write(asked.certificate)
        table.append(_row(name, found))
        sys.stderr.write(f"{name}: {found.verdict}\n")
    one, two = halves(true)
    if len(np.unique(one.pairs, axis=0)) == pairs:  # two boxes or more at each cosmology
        table.append(_row("half of truth", certificate(truth, truth, one, two, asked.seed)))
    made = {} if truth.provenance is None else truth.provenance.config
    words = " ".join(
        f"--{key} {made[key]}"
        for key in ("cosmologies", "part", "boxes", "maps", "size", "seed")
        if key in made
    )
    models = "".join(f" --model runs/{directory.name}" for directory in asked.model)
    pixels, mark = f" --pixels {asked.pixels}", f"accuracy {asked.pixels}"
    if asked.pixels == PIXELS:
        pixels, mark = "", "accuracy"
    fewer = "" if others == asked.count else f" --others {others}"
    told = "" if others == asked.count else f" ({others} of the other rows)"
    text = (
        f"`emulant lensing simulate {words} --out truth.h5`, then "
        "`python benchmarks/lensing_accuracy.py --truth truth.h5 "
        f"--count {asked.count}{fewer}{pixels}{models}`\n\n"
        f"{asked.count} maps{told} at each of {pairs} cosmologies never trained on, against "
        f"{len(truth)} true maps of {boxes} boxes. "
        "✓ within tolerance, ✗ outside, ? too few boxes to tell.\n\n"
        + markdown(("row", *COLUMNS, "W₁ / σ"), table)
    )
    write_block(asked.markdown, mark, text)


def _row(name: str, found: Certificate) -> list[str]:
    (pixels,) = found.checks
    mark = {"pass": "✓", "fail": "✗"}.get(pixels.verdict, "?")
    cells = [cell(found, *column) for column in COLUMNS.values()]
    return [name, *cells, f"{mark} {pixels.value:.3f} ± {pixels.error:.3f}"]


if __name__ == "__main__":
    main()
