"""``emulant molecules filter``: what speaks against molecules of any origin."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from emulant.errors import PASS, InputError
from emulant.store import current, hash_file
from emulant_apps.molecules.candidates import candidates_of, chain_of, deliver, prepare_out
from emulant_apps.molecules.config import FilterConfig
from emulant_apps.molecules.data import Molecules, read_molecules, standardised, write_dropped
from emulant_apps.molecules.formats import Entry
from emulant_apps.molecules.tables import SUFFIXES

__all__ = ["read", "recorded", "run"]

FILES = frozenset({".csv", ".tsv", ".smi", ".sdf", ".gz", ".txt"})
"""Extensions that no SMILES has."""


def run(config: FilterConfig) -> int:
    """Read, standardise, judge; write the kept, the rejected and the dropped."""
    prepare_out(config.out)
    chain = chain_of(config.chain, config.workers)
    molecules, fingerprint = read(config.molecules, config.column, config.workers)
    sys.stdout.write(molecules.summary() + "\n")
    if molecules.dropped:
        directory = config.out.suffix.lower() not in SUFFIXES
        name = "dropped.csv" if directory else f"{config.out.name}.dropped.csv"
        place = config.out / name if directory else config.out.with_name(name)
        write_dropped(place, molecules.dropped)
        sys.stdout.write(f"{len(molecules.dropped):,} rows without a molecule: {place}\n")
    found = candidates_of(molecules.smiles, chain, config.workers, molecules.names)
    deliver(
        config.out,
        f"Molecules of {recorded(config.molecules)}",
        molecules.summary(),
        found,
        current(
            "molecules filter",
            replace(config, molecules=recorded(config.molecules)),
            None,
            data=fingerprint,
        ),
    )
    return PASS


def recorded(given: str) -> str:
    """Return what a record says of molecules that were given: a file by its last part."""
    return Path(given).name if _is_file(given) else given


def read(given: str, column: str | None, workers: int | None) -> tuple[Molecules, str | None]:
    """Return the molecules of a file, or of SMILES that were typed, and the hash of the file.

    Raises
    ------
    InputError
        There is no such file and the words are no molecules.
    """
    if not given.strip():
        raise InputError("the name of the molecules is empty; give a file, or SMILES")
    path = Path(given)
    if _is_file(given) or path.suffix.lower() in FILES:
        return read_molecules(path, column, workers=workers), hash_file(path)
    words = given.replace(",", " ").split()
    found = standardised([Entry(k, word) for k, word in enumerate(words, 1)], "command line")
    if not found.smiles:
        why = found.dropped[0].reason if found.dropped else "is empty"
        shown = given if len(given) <= 60 else f"{given[:57]}..."
        raise InputError(f"'{shown}': there is no such file, and as a SMILES it {why}")
    return found, None


def _is_file(given: str) -> bool:
    """Return whether a word names a file; a long SMILES is longer than any name."""
    return 0 < len(given) < 255 and Path(given).is_file()
