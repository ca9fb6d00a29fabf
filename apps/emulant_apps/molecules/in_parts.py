"""``emulant molecules sample --per-file``: as many strings as are asked, within bounded memory.

Strings are drawn and judged a part at a time; of the parts before only eight bytes a molecule are
remembered, by which duplicates are known. The molecules are those that one table would hold, in
the order of their parts, ranked within each.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emulant.memory import require_memory
from emulant.parallel import chunked_map
from emulant.progress import Progress
from emulant.store import Parts, Provenance, atomic_path, plain
from emulant_apps.molecules.assess import CHECKS, Funnel, Seen, funnel
from emulant_apps.molecules.candidates import candidates_of, chain_of
from emulant_apps.molecules.config import SampleConfig
from emulant_apps.molecules.decoding import CHUNK, Drawn, are_molecules
from emulant_apps.molecules.tables import first_kept, funnel_text, rank, write_table

__all__ = ["required_memory", "write_parts"]

STRING, CANDIDATE = 600.0, 12_000.0
"""Bytes that a raw string, and one that is judged, take until they are written; measured."""

MOST = 20
"""Strings drawn for a candidate asked, before a chain that keeps too little is reported."""

Draw = Callable[[int, int], Drawn]
"""``draw(start, size)``: the strings from number ``start`` on, both multiples of CHUNK."""


def required_memory(count: int, raw: bool) -> float:
    """Return the bytes that as many strings, or kept candidates, take at most."""
    return count * (STRING if raw else CANDIDATE)


def write_parts(config: SampleConfig, draw: Draw, made: Provenance) -> None:
    """Write a directory of parts, and say on stdout what is in it.

    Raises
    ------
    InputError
        The directory holds another result.
    """
    assert config.per_file is not None
    require_memory(
        required_memory(config.per_file, config.raw),
        f"--per-file {config.per_file}",
    )
    step = math.ceil(config.per_file / CHUNK) * CHUNK
    with Parts(config.out, ".parquet", made) as parts, Progress("sample", config.count) as progress:
        progress.update(parts.count, config.count)
        if config.raw:
            _raw(config, draw, step, parts, progress)
            parts.finish()
        else:
            counts = _judged(config, draw, step, parts, progress)
            parts.finish(funnel=plain(counts))
            sys.stdout.write(funnel_text(counts))
        what = "strings" if config.raw else "candidates"
        sys.stdout.write(f"{parts.count:,} {what} in {len(parts.listed):,} files: {config.out}\n")


def _raw(config: SampleConfig, draw: Draw, step: int, parts: Parts, progress: Progress) -> None:
    for start in range(parts.count, config.count, step):
        size = min(step, config.count - start)
        drawn = draw(start, size)
        judged = partial(_are_molecules, drawn.strings)
        valid = np.concatenate(chunked_map(judged, size, CHUNK, 0, config.workers))
        parts.add(partial(_write_strings, drawn=drawn, valid=valid), size, valid=int(valid.sum()))
        progress.update(parts.count, config.count)


def _are_molecules(strings: tuple[str, ...], start: int, size: int, seed: int) -> np.ndarray:
    del seed
    return np.array(are_molecules(strings[start : start + size]))


def _write_strings(place: Path, drawn: Drawn, valid: np.ndarray) -> None:
    import pandas as pd  # here: only for parts

    columns = {"smiles": drawn.strings, "log_likelihood": drawn.log_likelihood.round(3)}
    with atomic_path(place) as temporary:
        pd.DataFrame(columns | {"valid": valid}).to_parquet(temporary, index=False)


def _judged(
    config: SampleConfig, draw: Draw, step: int, parts: Parts, progress: Progress
) -> Funnel:
    """Draw and judge until the candidates are there; return what was rejected by what."""
    chain = chain_of(config.chain, config.workers)
    seen = Seen(parts.state.get("seen"))
    asked = sum(part["drawn"] for part in parts.listed)
    while parts.count < config.count and asked < MOST * max(step, config.count):
        drawn = draw(asked, step)
        asked += step
        scores = drawn.log_likelihood.tolist()
        found = candidates_of(drawn.strings, chain, config.workers, (), (), scores, seen)
        found = first_kept(found, config.count - parts.count)
        ranked, counts = rank(found), funnel([candidate.found for candidate in found])
        parts.add(
            partial(write_table, candidates=ranked),
            len(ranked),
            {"seen": seen.digests},
            drawn=step,
            funnel=plain(counts),
        )
        progress.update(parts.count, config.count)
    if parts.count < config.count:
        sys.stderr.write(
            f"sample: only {parts.count:,} of {asked:,} strings were kept; ask for less\n"
        )
    return _summed([part["funnel"] for part in parts.listed])


def _summed(records: list[dict[str, Any]]) -> Funnel:
    """Return the funnels of all parts, as :func:`~emulant.store.plain` wrote them, as one."""

    def of(name: str) -> dict[str, int]:
        counter: Counter[str] = Counter()
        for record in records:
            counter.update(record[name])
        return {check: counter[check] for check in CHECKS if check in counter}

    return Funnel(sum(record["total"] for record in records), of("rejected"), of("noted"))
