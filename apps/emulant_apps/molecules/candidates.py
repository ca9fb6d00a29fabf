"""From strings to candidates in files: what sample, analogues, finetune and filter share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from emulant.progress import Progress
from emulant.store import Provenance, new_directory, new_file, plain, write_json
from emulant_apps.molecules.assess import Assessment, Chain, Seen, assess, funnel
from emulant_apps.molecules.chemistry.similarity import similarity
from emulant_apps.molecules.config import ChainConfig
from emulant_apps.molecules.report import write_products
from emulant_apps.molecules.tables import SUFFIXES, Candidate, funnel_text, rank, write_table

__all__ = ["candidates_of", "chain_of", "deliver", "prepare_out"]


def chain_of(config: ChainConfig, workers: int | None) -> Chain:
    """Return the chain of checks that the flags of a command ask for.

    Raises
    ------
    InputError
        A set, a check or a file of one's own cannot be used.
    """
    library: tuple[str, ...] = ()
    if config.library is not None:
        from emulant_apps.molecules.data import read_smiles

        library = tuple(read_smiles(config.library, workers=workers))
    if config.custom is not None:
        from emulant_apps.molecules.chemistry.alerts import custom_patterns

        custom_patterns(config.custom)  # refuses a bad line before any work
    return Chain(
        config.sets,
        config.hard,
        config.custom,
        config.severity,
        config.least_qed,
        config.most_sa,
        config.natural,
        library,
        config.nearest == "corpus",
    )


def prepare_out(out: Path) -> None:
    """Refuse, before any work, a place that cannot be written: a table, or a directory."""
    if out.suffix.lower() in SUFFIXES:
        new_file(out)
    else:
        new_directory(out)


def candidates_of(
    strings: Sequence[str],
    chain: Chain,
    workers: int | None,
    names: Sequence[str] = (),
    prototypes: Sequence[str] = (),
    scores: Sequence[float] = (),
    seen: Seen | None = None,
) -> list[Candidate]:
    """Return what the chain says of ``strings``, with where each came from.

    ``seen`` are the molecules of strings before these.
    """
    with Progress("filter", max(1, len(strings))) as progress:
        found = assess(strings, chain, workers, progress.update, seen)
    return [
        Candidate(
            item,
            names[k] if names else "",
            prototypes[k] if prototypes else "",
            similarity(prototypes[k], item.smiles) if prototypes and item.kept else None,
            float(scores[k]) if len(scores) else None,
        )
        for k, item in enumerate(found)
    ]


def deliver(
    out: Path,
    title: str,
    lead: str,
    candidates: Sequence[Candidate],
    provenance: Provenance,
    count: int | None = None,
) -> list[Candidate]:
    """Write the ranked candidates, at most ``count``, as a table or as a directory of products."""
    found: list[Assessment] = [candidate.found for candidate in candidates]
    counts = funnel(found)
    ranked = rank(candidates)[:count]
    rejected = [candidate for candidate in candidates if not candidate.found.kept]
    record = plain(provenance)
    if out.suffix.lower() in SUFFIXES:
        write_table(out, ranked)
        manifest = {"provenance": record, "funnel": plain(counts)}
        write_json(out.with_name(f"{out.name}.manifest.json"), manifest)
    else:
        write_products(out, title, lead, ranked, rejected, counts, record)
    sys.stdout.write(funnel_text(counts))
    sys.stdout.write(f"{lead}\n{len(ranked):,} candidates: {out}\n")
    return ranked
