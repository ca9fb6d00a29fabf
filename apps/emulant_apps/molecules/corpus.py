"""The reference sets that come with the package: MOSES, approved drugs, structural alerts.

They lie in ``reference/`` and are described, with licences and hashes, in the repository's
``datasets/molecules_moses`` and ``datasets/molecules_drugs``.
"""

from __future__ import annotations

import csv
import functools
import io
import lzma
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from emulant.errors import InputError
from emulant.store.atomic import explain

__all__ = [
    "DRUGS",
    "SCAFFOLD_TEST",
    "TEST",
    "TRAINING",
    "Drug",
    "drugs",
    "filters_of_moses",
    "known_rings",
    "read_lines",
    "scaffold_test_set",
    "test_set",
    "training_set",
]

TRAINING, TEST, SCAFFOLD_TEST = "moses_train.smi.xz", "moses_test.smi.xz", "moses_scaffolds.smi.xz"
DRUGS, ALERTS, RINGS = "drugs.csv.xz", "mcf.csv", "rings.smi.xz"


@dataclass(frozen=True, slots=True)
class Drug:
    """An approved drug."""

    smiles: str
    """Canonical SMILES of its parent, with stereochemistry."""
    flat: str
    """The same without stereochemistry."""
    name: str
    year: int | None
    """Of its first approval, where ChEMBL knows it."""
    chembl: str
    """ChEMBL's identifier."""


def training_set() -> tuple[str, ...]:
    """Return the embedded training SMILES of MOSES, sorted; no approved drug is among them."""
    return _packed(TRAINING)


def test_set() -> tuple[str, ...]:
    """Return the held-out SMILES of MOSES, in a random order."""
    return _packed(TEST)


def scaffold_test_set() -> tuple[str, ...]:
    """Return held-out SMILES of MOSES whose scaffolds no training molecule has."""
    return _packed(SCAFFOLD_TEST)


@functools.cache
def drugs() -> tuple[Drug, ...]:
    """Return the approved drugs, by their ChEMBL identifiers."""
    text = lzma.decompress(_bytes(DRUGS)).decode()
    return tuple(
        Drug(
            row["smiles"],
            row["flat"],
            row["name"],
            int(row["year"]) if row["year"] else None,
            row["chembl"],
        )
        for row in csv.DictReader(io.StringIO(text))
    )


@functools.cache
def known_rings() -> frozenset[str]:
    """Return the ring systems, as SMILES, of the training molecules and of the drugs."""
    return frozenset(_packed(RINGS))


def filters_of_moses() -> tuple[tuple[str, str], ...]:
    """Return (name, SMARTS) of MOSES's medicinal chemistry filters."""
    rows = csv.DictReader(io.StringIO(_bytes(ALERTS).decode()))
    return tuple((row["names"], row["smarts"]) for row in rows)


def read_lines(path: Path) -> tuple[str, ...]:
    """Return the lines of a file that ``emulant molecules prepare`` wrote (.smi.xz).

    Raises
    ------
    InputError
        It is missing or damaged.
    """
    try:
        return tuple(lzma.decompress(path.read_bytes()).decode().split())
    except OSError as error:
        raise explain(path, error, "read") from error
    except (lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no .smi.xz file ({error}); prepare it again") from error


def _bytes(name: str) -> bytes:
    return (resources.files("emulant_apps.molecules") / "reference" / name).read_bytes()


@functools.cache
def _packed(name: str) -> tuple[str, ...]:
    return tuple(lzma.decompress(_bytes(name)).decode().split())
