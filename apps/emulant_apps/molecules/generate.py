"""``emulant molecules sample`` and ``analogues``: strings drawn, judged, ranked and written."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import sys
from collections.abc import Callable

from emulant.errors import PASS, InputError
from emulant.memory import require_memory
from emulant.progress import Progress
from emulant.store import Provenance, atomic_path, current, write_json
from emulant_apps.molecules.candidates import candidates_of, chain_of, deliver, prepare_out
from emulant_apps.molecules.config import AnaloguesConfig, JudgedConfig, SampleConfig
from emulant_apps.molecules.decoding import CHUNK, Drawn, Mode, is_molecule, joined
from emulant_apps.molecules.emulators import any_emulator, mode_of, vae_emulator
from emulant_apps.molecules.filter import read, recorded
from emulant_apps.molecules.in_parts import required_memory, write_parts
from emulant_apps.molecules.tables import SUFFIXES, Candidate, first_kept
from emulant_apps.molecules.targets import target_table, target_vector

__all__ = ["gathered", "run_analogues", "run_sample"]

MOST_ROUNDS = 20
"""Rounds of drawing before a chain that keeps too little is reported."""


def run_sample(config: SampleConfig) -> int:
    """Run ``emulant molecules sample``."""
    if config.per_file is None:
        prepare_out(config.out)
        require_memory(
            required_memory(config.count, config.raw),
            f"--count {config.count}",
            "write many in parts with --per-file, or ask for less",
        )
    emulator = any_emulator(config.model, config.generator, config.language)
    mode = mode_of(config, emulator)
    made = current("molecules sample", config, config.seed, weights=emulator.content)
    asked = target_vector(config.asked)

    def draw(start: int, size: int, progress: Callable[[int, int], None] | None = None) -> Drawn:
        return emulator.sample(size, config.seed, mode, config.workers, start, progress, asked)

    if config.per_file is not None:
        write_parts(config, draw, made)
        return PASS
    if config.raw:
        with Progress("sample", math.ceil(config.count / CHUNK)) as progress:
            drawn = draw(0, config.count, progress.update)
        _write_raw(config, drawn, made)
        sys.stdout.write(f"{_told(drawn, mode)}\n{len(drawn.strings):,} strings: {config.out}\n")
        return PASS

    found, drawn = gathered(draw, config.count, config, "sample")
    deliver(config.out, "New molecules", _told(drawn, mode), found, made, config.count)
    if asked is not None:
        sys.stdout.write(target_table(asked, drawn.strings, config.workers))
    return PASS


def gathered(
    draw: Callable[[int, int], Drawn],
    count: int,
    config: JudgedConfig,
    command: str,
    prototype: str = "",
) -> tuple[list[Candidate], Drawn]:
    """Draw and judge until ``count`` candidates are kept, or MOST_ROUNDS are over.

    Parameters
    ----------
    draw
        ``draw(start, size)``: the strings from number ``start`` on, both multiples of CHUNK.
    prototype
        SMILES to which all candidates are compared.
    """
    chain = chain_of(config.chain, config.workers)
    parts: list[Drawn] = []
    candidates: list[Candidate] = []
    kept, asked = 0, 0
    while kept < count and len(parts) < MOST_ROUNDS:
        short = count - kept
        size = math.ceil(1.1 * short / max(0.05, kept / max(1, asked) if asked else 0.8))
        size = math.ceil(size / CHUNK) * CHUNK  # whole chunks, so that rounds join without a seam
        parts.append(draw(asked, size))
        asked += size
        strings = [text for part in parts for text in part.strings]
        scores = [value for part in parts for value in part.log_likelihood.tolist()]
        around = [prototype] * len(strings) if prototype else []
        candidates = candidates_of(strings, chain, config.workers, (), around, scores)
        kept = sum(candidate.found.kept for candidate in candidates)
    if kept < count:
        sys.stderr.write(f"{command}: only {kept:,} of {asked:,} strings were kept; ask for less\n")
    return first_kept(candidates, count), joined(parts)


def run_analogues(config: AnaloguesConfig) -> int:
    """Run ``emulant molecules analogues``."""
    prepare_out(config.out)
    emulator = vae_emulator(config.model)
    chain = chain_of(config.chain, config.workers)
    molecules, fingerprint = read(config.prototypes, None, config.workers)
    words = emulator.model.sizes.vocabulary.encode(molecules.smiles)
    for index, why in words.unknown:
        sys.stderr.write(f"analogues: {molecules.smiles[index]} left out: {why}\n")
    prototypes = [molecules.smiles[k] for k in words.kept.tolist()]
    if not prototypes:
        raise InputError(
            f"'{config.prototypes}': the model cannot read it: {words.unknown[0][1]}; "
            "train one on such molecules with 'emulant molecules train --data'"
        )
    mode = Mode(config.temperature or 0.0, config.masked, doubt=config.doubt, beam=config.beam)
    drawn = emulator.analogues(
        prototypes, config.count, config.seed, config.diversity, mode, config.workers
    )
    around = [prototypes[k] for k in drawn.origin]
    scores = drawn.log_likelihood.tolist()
    found = candidates_of(drawn.strings, chain, config.workers, (), around, scores)
    known = set(prototypes)
    others = [c for c in found if c.found.smiles not in known]
    again = len(found) - len(others)
    lead = f"{_told(drawn, mode)} {again:,} were a prototype itself."
    made = current(
        "molecules analogues",
        dataclasses.replace(config, prototypes=recorded(config.prototypes)),
        config.seed,
        data=fingerprint,
        weights=emulator.model.content,
    )
    deliver(config.out, f"Analogues of {', '.join(prototypes[:3])}", lead, others, made)
    return PASS


def _told(drawn: Drawn, mode: Mode) -> str:
    """Say how the strings were drawn, and how many of them are molecules."""
    how = "greedily" if mode.beam == 1 else f"by a beam search of width {mode.beam}"
    how = f"at temperature {mode.temperature:g}" if mode.temperature else how
    raw = f"{len(drawn.strings):,} strings drawn {how}, {drawn.valid:.1%} of them molecules"
    if mode.masked:
        return f"{raw} (masked; {drawn.redrawn:,} drawings repeated)."
    return f"{raw} (raw)."


def _write_raw(config: SampleConfig, drawn: Drawn, made: Provenance) -> None:
    """Write every decoded string with its likelihood, and whether it is a molecule."""
    if config.out.suffix.lower() not in SUFFIXES:
        place = config.out / "strings.csv"
    elif config.out.suffix.lower() in (".csv", ".smi"):
        place = config.out
    else:
        raise InputError(f"{config.out}: raw strings are written as .csv or .smi")
    rows = zip(drawn.strings, drawn.log_likelihood.tolist(), strict=True)
    text = io.StringIO()
    if place.suffix == ".smi":
        text.writelines(f"{string}\n" for string in drawn.strings)
    else:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["smiles", "log_likelihood", "valid"])
        writer.writerows([s, round(value, 3), int(is_molecule(s))] for s, value in rows)
    with atomic_path(place) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    write_json(place.with_name(f"{place.name}.manifest.json"), made)
