"""``emulant molecules optimise``: search for molecules that a user's score calls good.

    propose strings -> leave out what a hard check rejects -> score what is new -> learn

until the budget of scored molecules is spent, or nothing new is said for a while. The search is a
function of the seed and of the scores, and the scores are in the log: to go on with a search is to
do it again and to ask the log.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from emulant.errors import PASS, InputError
from emulant.progress import Progress
from emulant.store import Provenance, current, plain, read_json, write_json
from emulant_apps.molecules.assess import Assessment, Chain, assess
from emulant_apps.molecules.candidates import chain_of, deliver, prepare_out
from emulant_apps.molecules.char_sample import CharEmulator
from emulant_apps.molecules.config import OptimiseConfig
from emulant_apps.molecules.decoding import Mode
from emulant_apps.molecules.emulators import any_emulator, char_emulator, vae_emulator
from emulant_apps.molecules.filter import read, recorded
from emulant_apps.molecules.sample import Emulator
from emulant_apps.molecules.scoring import Book, Scorer, scorer_of
from emulant_apps.molecules.searches import HillClimb, LatentSearch, RandomDraws, Search
from emulant_apps.molecules.tables import SUFFIXES, Candidate

__all__ = ["Found", "run", "search"]

PATIENCE = 10
"""Rounds without a new molecule after which a search ends."""
TOP = 10
"""Best molecules whose mean score is told."""


@dataclass
class Found:
    """What a search has seen so far."""

    judged: dict[str, Assessment] = field(default_factory=dict)
    """First judgement of each molecule, by canonical SMILES, and of each string that is none."""
    said: dict[str, str] = field(default_factory=dict)
    """Canonical SMILES of each string that is a molecule."""
    strings: int = 0
    """Strings that were proposed."""


def run(config: OptimiseConfig) -> int:
    """Run ``emulant molecules optimise``."""
    places = _places(config)
    emulator = _emulator(config)
    chain = chain_of(config.chain, config.workers)
    mode = _mode(config, emulator)
    prototypes, fingerprint = _prototypes(config, emulator)
    made = current(
        "molecules optimise",
        replace(config, start=None if config.start is None else recorded(config.start)),
        config.seed,
        data=fingerprint,
        weights=emulator.content,
    )
    scorer = scorer_of(config)
    try:
        _begin(config, places, made)
        mover: Search
        if isinstance(emulator, CharEmulator):
            mover = HillClimb(emulator, mode, config.seed)
        else:
            mover = LatentSearch(emulator, mode, config.seed, prototypes)
        book = Book(scorer, places["scores"], config.budget, config.batch)
        found = search(mover, book, chain, config.workers, "optimise")
        told = _told(book, found)
        if config.control:
            told += f" {_control(config, places['control'], emulator, mode, scorer, chain)}"
    finally:
        scorer.close()
    candidates = [
        Candidate(item, score=book.scores.get(item.smiles))
        for item in found.judged.values()
        if not item.kept or item.smiles in book.scores
    ]
    deliver(config.out, f"Best by {scorer.name}", told, candidates, made, config.count)
    return PASS


def search(
    mover: Search, book: Book, chain: Chain, workers: int | None = 1, task: str = "search"
) -> Found:
    """Propose, judge, score and learn until the budget of ``book`` is spent."""
    found, turn, idle = Found(), 0, 0
    with Progress(task, book.budget) as progress:
        while book.left > 0 and idle < PATIENCE:
            strings = list(mover.propose(turn))
            found.strings += len(strings)
            before = len(book.scores)
            book.ask(_worth_scoring(strings, chain, workers, found), turn)
            mover.learn(book.scores, found.said, turn)
            idle = 0 if len(book.scores) > before else idle + 1
            best = max(book.scores.values(), default=float("nan"))
            progress.update(len(book.scores), book.budget, f"best {best:.4g}")
            turn += 1
    return found


def top_mean(book: Book, count: int = TOP) -> float:
    """Return the mean of the highest scores; NaN where there is none."""
    best = sorted(book.scores.values(), reverse=True)[:count]
    return float(np.mean(best)) if best else float("nan")


def _worth_scoring(
    strings: list[str], chain: Chain, workers: int | None, found: Found
) -> list[str]:
    """Judge the strings that are new; return the SMILES that no hard check rejects."""
    new = [text for text in dict.fromkeys(strings) if text not in found.said]
    good = []
    for text, item in zip(new, assess(new, chain, workers), strict=True):
        if not item.smiles:
            found.judged.setdefault(text, item)
            continue
        found.said[text] = item.smiles
        first = found.judged.setdefault(item.smiles, item)
        if first is item and item.kept:
            good.append(item.smiles)
    return good


def _places(config: OptimiseConfig) -> dict[str, Path]:
    """Return where the log, the record and the control's log lie; refuse what is taken."""
    table = config.out.suffix.lower() in SUFFIXES
    names = {"scores": "scores.csv", "record": "search.json", "control": "control.csv"}
    places = {
        key: config.out.with_name(f"{config.out.name}.{name}") if table else config.out / name
        for key, name in names.items()
    }
    if not config.resume:
        prepare_out(config.out)
        for place in places.values():
            if place.exists():
                raise InputError(f"{place}: exists already; add --resume, or choose another --out")
    elif not places["record"].exists():
        raise InputError(f"{config.out}: holds no search to go on with; leave out --resume")
    return places


def _begin(config: OptimiseConfig, places: dict[str, Path], made: Provenance) -> None:
    """Write what the search is, or see that it is the one that was begun."""
    free = {"budget", "batch", "timeout", "count", "control"}  # what does not move the search
    record = plain(made)
    wanted = {
        "config": {k: v for k, v in record["config"].items() if k not in free},
        "weights": record["weights"],
        "data": record["data"],
    }
    if config.resume:
        known = read_json(places["record"])
        for key in wanted["config"]:
            if known.get("config", {}).get(key) != wanted["config"][key]:
                raise InputError(
                    f"--resume: the search in {config.out} has another "
                    f"--{key.replace('_', '-')}: {known.get('config', {}).get(key)}"
                )
        if known != wanted:
            raise InputError(f"--resume: the search in {config.out} used other weights or data")
    else:
        places["record"].parent.mkdir(parents=True, exist_ok=True)
        write_json(places["record"], wanted)


def _emulator(config: OptimiseConfig) -> Emulator | CharEmulator:
    if config.method == "latent":
        return vae_emulator(config.model)
    if config.method == "hill-climb" or config.model is None:
        return char_emulator(config.model)
    return any_emulator(config.model)


def _mode(config: OptimiseConfig, emulator: Emulator | CharEmulator) -> Mode:
    if isinstance(emulator, CharEmulator):
        if config.start is not None:
            raise InputError(
                "--start: is for --method latent; bring the char-RNN nearer to molecules with "
                "'emulant molecules finetune', then name it by --model"
            )
        return Mode(1.0 if config.temperature is None else config.temperature, config.masked)
    return Mode(config.temperature or 0.0, config.masked)


def _prototypes(
    config: OptimiseConfig, emulator: Emulator | CharEmulator
) -> tuple[tuple[str, ...], str | None]:
    """Return the molecules to begin with, and the hash of their file."""
    if config.start is None:
        return (), None
    molecules, fingerprint = read(config.start, None, config.workers)
    encoded = emulator.model.sizes.vocabulary.encode(molecules.smiles)
    for index, why in encoded.unknown:
        sys.stderr.write(f"optimise: {molecules.smiles[index]} left out: {why}\n")
    if not len(encoded.rows):
        raise InputError(f"--start: the model cannot read it: {encoded.unknown[0][1]}")
    return tuple(molecules.smiles[k] for k in encoded.kept.tolist()), fingerprint


def _control(
    config: OptimiseConfig,
    log: Path,
    emulator: Emulator | CharEmulator,
    mode: Mode,
    scorer: Scorer,
    chain: Chain,
) -> str:
    """Score random draws of the same network, at the same budget; say how good they are."""
    seed = config.seed + 1  # other draws than those that the search began with
    book = Book(scorer, log, config.budget, config.batch)
    search(
        RandomDraws(emulator, mode, seed, config.workers), book, chain, config.workers, "control"
    )
    return (
        f"Random draws: {len(book.scores):,} scored, mean of the best {TOP} {top_mean(book):.4g}."
    )


def _told(book: Book, found: Found) -> str:
    best = max(book.scores.values(), default=float("nan"))
    return (
        f"{found.strings:,} strings proposed, {len(book.scores):,} molecules scored; "
        f"best {best:.4g}, mean of the best {TOP} {top_mean(book):.4g}."
    )
