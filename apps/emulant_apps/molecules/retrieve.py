"""``emulant molecules retrieve``: fingerprints drawn, and the molecules of a library next to them.

What is retrieved exists: it is in the library. The library is judged by the same chain as any
molecules; each is told how near it is to the fingerprint that it was found for.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emulant.errors import PASS, InputError
from emulant.store import current, hash_file
from emulant_apps.molecules import corpus
from emulant_apps.molecules.candidates import candidates_of, chain_of, deliver, prepare_out
from emulant_apps.molecules.chemistry.parse import canonical
from emulant_apps.molecules.config import RetrieveConfig
from emulant_apps.molecules.data import read_molecules
from emulant_apps.molecules.key_aae import KeyEmulator
from emulant_apps.molecules.keys import keys_of_all
from emulant_apps.molecules.tanimoto import Index

__all__ = ["nearest_molecules", "run"]

MOST_ROUNDS = 20
"""Rounds of drawing, each of as many fingerprints as molecules are asked for."""


def run(config: RetrieveConfig) -> int:
    """Run ``emulant molecules retrieve``."""
    prepare_out(config.out)
    chain = chain_of(config.chain, config.workers)
    emulator = KeyEmulator.pretrained() if config.model is None else KeyEmulator.load(config.model)
    like = None if config.like is None else canonical(config.like)
    if config.like is not None and not like:
        raise InputError(f"--like '{config.like}': is no molecule")
    smiles, names, fingerprint = _library(config)
    if like:  # what is like a molecule is another one
        others = [k for k, text in enumerate(smiles) if text != like]
        smiles, names = [smiles[k] for k in others], [names[k] for k in others]
    if not smiles:
        raise InputError("--library: holds no molecule to retrieve")
    found = nearest_molecules(emulator, smiles, config, like)
    strings = [smiles[k] for k, _ in found]
    candidates = candidates_of(
        strings,
        chain,
        config.workers,
        [names[k] for k, _ in found],
        [like] * len(found) if like else (),
    )
    candidates = [
        dataclasses.replace(candidate, match=alike)
        for candidate, (_, alike) in zip(candidates, found, strict=True)
    ]
    mean = float(np.mean([alike for _, alike in found]))
    lead = (
        f"{len(found):,} of {len(smiles):,} molecules of the library, retrieved by drawn MACCS "
        f"fingerprints; their mean Tanimoto to these is {mean:.2f}."
    )
    made = current(
        "molecules retrieve", config, config.seed, data=fingerprint, weights=emulator.content
    )
    title = "Molecules retrieved" if like is None else f"Molecules retrieved around {like}"
    deliver(config.out, title, lead, candidates, made)
    if len(found) < config.count:
        sys.stderr.write(f"retrieve: only {len(found):,} different molecules were met\n")
    return PASS


def nearest_molecules(
    emulator: KeyEmulator, smiles: Sequence[str], config: RetrieveConfig, like: str | None
) -> list[tuple[int, float]]:
    """Return the places and Tanimoto similarities of different molecules, the best match of each.

    The first ``count`` that are met, in the order of drawing.
    """
    index = Index(np.packbits(keys_of_all(smiles, config.workers), axis=1))
    around = None if like is None else keys_of_all([like])[0]
    drawn = emulator.draw(config.count * MOST_ROUNDS, config.seed, around, config.spread)
    best: dict[int, float] = {}
    for start in range(0, len(drawn), config.count):
        round_ = np.packbits(drawn[start : start + config.count], axis=1)
        for place, alike in zip(*(a.tolist() for a in index.nearest(round_)), strict=True):
            if place in best or len(best) < config.count:
                best[place] = max(alike, best.get(place, 0.0))
        if len(best) >= min(config.count, len(smiles)):
            break
    return list(best.items())


def _library(config: RetrieveConfig) -> tuple[list[str], list[str], str | None]:
    """Return SMILES and names of the library, and the hash of its file."""
    if config.library is None:
        smiles = list(corpus.training_set())
        return smiles, [""] * len(smiles), None
    found = read_molecules(Path(config.library), config.column, workers=config.workers)
    return list(found.smiles), list(found.names), hash_file(config.library)
