"""Candidates as rows: ranked, with every number and every objection; CSV, Parquet, SD, SMILES."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulant.errors import InputError
from emulant.store import atomic_path
from emulant_apps.molecules.assess import Assessment, Funnel

__all__ = ["SUFFIXES", "Candidate", "first_kept", "funnel_text", "rank", "row_of", "write_table"]

SUFFIXES = (".csv", ".parquet", ".sdf", ".smi")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A molecule, where it came from, and what is said of it."""

    found: Assessment
    name: str = ""
    """Name of a user's own molecule."""
    prototype: str = ""
    """SMILES of the prototype it was drawn around."""
    similarity: float | None = None
    """Tanimoto to that prototype."""
    log_likelihood: float | None = None
    """ln p of the string given its latent, nats."""
    match: float | None = None
    """Tanimoto of its MACCS keys to the drawn fingerprint that it was retrieved for."""
    score: float | None = None
    """What a scorer said of it; the higher, the better."""


def rank(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the kept candidates: fewest objections first, then nearest, then most drug-like.

    Where they have a score, the highest comes first.
    """

    def key(candidate: Candidate) -> tuple[float, int, float, float, str]:
        found = candidate.found
        soft = len(found.failed)
        qed = 0.0 if found.properties is None else found.properties.qed
        score = -math.inf if candidate.score is None else candidate.score
        return -score, soft, -(candidate.similarity or 0.0), -qed, found.smiles

    return sorted((c for c in candidates if c.found.kept), key=key)


def first_kept(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return the candidates up to the one that completes ``count`` kept ones."""
    kept = 0
    for place, candidate in enumerate(candidates, 1):
        kept += candidate.found.kept
        if kept == count:
            return list(candidates[:place])
    return list(candidates)


def row_of(candidate: Candidate) -> dict[str, object]:
    """Return one candidate as named cells; numbers are rounded to what they mean."""
    found, known = candidate.found, candidate.found.properties
    row: dict[str, object] = {"smiles": found.smiles, "name": candidate.name}
    row["prototype"] = candidate.prototype
    if candidate.score is not None:
        row["score"] = float(f"{candidate.score:.6g}")
    row["similarity"] = _rounded(candidate.similarity, 3)
    row["log_likelihood"] = _rounded(candidate.log_likelihood, 3)
    if candidate.match is not None:
        row["match"] = round(candidate.match, 3)
    if known is not None:
        row |= {
            "mass": round(known.mass, 3),
            "logp": round(known.logp, 3),
            "tpsa": round(known.tpsa, 2),
            "donors": known.donors,
            "acceptors": known.acceptors,
            "rotatable": known.rotatable,
            "rings": known.rings,
            "fsp3": round(known.fsp3, 3),
            "stereocentres": known.stereocentres,
            "qed": round(known.qed, 4),
            "sa": round(known.sa, 3),
            "np": _rounded(known.np, 3),
        }
    row |= {
        "rejected": found.rejected,
        "failed": " ".join(found.failed),
        "alerts": "; ".join(str(alert) for alert in found.alerts),
        "alert_smarts": "; ".join(alert.smarts for alert in found.alerts),
        "worst_alert": max((alert.severity for alert in found.alerts), default=0),
        "known_as": "" if found.drug is None else f"{found.drug.name} ({found.drug.year})",
        "nearest_drug": found.nearest_drug,
        "drug_tanimoto": round(found.drug_tanimoto, 3),
        "nearest_library": found.nearest_library,
        "library_tanimoto": round(found.library_tanimoto, 3),
        **_neighbour(found),
        "scaffold": found.scaffold,
        "odd_rings": " ".join(found.odd_rings),
        "problem": found.problem,
    }
    return row


def _neighbour(found: Assessment) -> dict[str, object]:
    """Return the cells of the nearest training molecule, where it was asked."""
    if not found.nearest_corpus:
        return {}
    return {
        "nearest_corpus": found.nearest_corpus,
        "corpus_tanimoto": round(found.corpus_tanimoto, 3),
    }


def write_table(path: Path, candidates: Sequence[Candidate]) -> None:
    """Write candidates to ``path``, in the format of its extension.

    Raises
    ------
    InputError
        The extension is unknown.
    """
    rows = [row_of(candidate) for candidate in candidates]
    columns = list(dict.fromkeys(key for row in rows for key in row)) or ["smiles"]
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: unknown extension '{suffix}'; use {', '.join(SUFFIXES)}")
    with atomic_path(path) as temporary:
        if suffix == ".parquet":
            import pandas as pd

            table = pd.DataFrame({name: [row.get(name) for row in rows] for name in columns})
            table.to_parquet(temporary, index=False)
        else:
            temporary.write_text(_text(suffix, rows, columns), encoding="utf-8", newline="\n")


def _text(suffix: str, rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    if suffix == ".smi":
        return "".join(f"{row['smiles']} {row['name'] or k}\n" for k, row in enumerate(rows, 1))
    if suffix == ".sdf":
        from emulant_apps.molecules.chemistry.drawing import sd_text

        named = [(str(row["smiles"]), str(row["name"] or k), row) for k, row in enumerate(rows, 1)]
        return sd_text([entry for entry in named if entry[0]])
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def funnel_text(counts: Funnel) -> str:
    """Return the funnel as lines of text: what was rejected by what, what was only noted."""
    lines = [f"{counts.total:,} strings"]
    left = counts.total
    for name, number in counts.rejected.items():
        left -= number
        lines.append(f"  - {number:,} {name}: {left:,} left")
    soft = {k: v for k, v in counts.noted.items() if k not in counts.rejected}
    if soft:
        lines.append("  noted: " + ", ".join(f"{v:,} {k}" for k, v in soft.items()))
    return "\n".join(lines) + "\n"


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
