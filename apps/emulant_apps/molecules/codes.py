r"""Whether the latent decides: what a collapsed VAE cannot pass.

    KL          mean over x of KL(q(z | x) || N(0, I)), nats
    active      coordinates with Var_x E[z | x] above 0.01 (Burda et al., 2015), share of Z
    exact       share of held-out molecules that the greedy decoding of their mean code gives back
    same        mean Tanimoto of two decodings at temperature one of one latent
    other       the same of two latents

A decoder that ignores z has KL and active near 0, exact near 0, and same equal to other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emulant.certify import Check
from emulant_apps.molecules.chemistry.similarity import similarity

if TYPE_CHECKING:
    from emulant_apps.molecules.sample import Emulator

__all__ = ["CodeReport", "checks_of", "report_codes"]

LEAST_KL, LEAST_ACTIVE, LEAST_EXACT = 5.0, 0.5, 0.5
LEAST_GAP = 0.15
"""same - other, at least; between two random molecules Tc is about 0.12."""


@dataclass(frozen=True, slots=True)
class CodeReport:
    """The numbers of a model's codes, with their standard errors."""

    n: int
    kl: float
    kl_error: float
    active: float
    exact: float
    exact_error: float
    same: float
    same_error: float
    other: float
    other_error: float


def report_codes(
    emulator: Emulator, held_out: Sequence[str], seed: int, pairs: int = 400
) -> CodeReport:
    """Return the numbers of an emulator's codes on held-out molecules it can read."""
    from emulant_apps.molecules.sample import codes_of_strings, decode_pairs

    vocabulary = emulator.model.sizes.vocabulary
    kept = [held_out[k] for k in vocabulary.encode(held_out).kept.tolist()]
    kl, means = codes_of_strings(emulator, kept)
    given_back = np.array([a == b for a, b in zip(kept, emulator.reconstruct(kept), strict=True)])
    first, second = decode_pairs(emulator, pairs, seed)
    same = _finite([similarity(a, b) for a, b in zip(first, second, strict=True)])
    shifted = [*second[1:], second[0]]
    other = _finite([similarity(a, b) for a, b in zip(first, shifted, strict=True)])
    return CodeReport(
        len(kept),
        float(kl.mean()),
        _error(kl),
        float((means.var(axis=0) > 0.01).mean()),
        float(given_back.mean()),
        _error(given_back.astype(np.float64)),
        float(same.mean()),
        _error(same),
        float(other.mean()),
        _error(other),
    )


def checks_of(found: CodeReport) -> list[Check]:
    """Return the checks of a model's codes: fail where a number is below its floor."""
    gap = found.same - found.other
    gap_error = float(np.hypot(found.same_error, found.other_error))
    rows = (
        ("KL of the codes, nats", found.kl, LEAST_KL, found.kl_error),
        ("active share of the latent", found.active, LEAST_ACTIVE, 0.0),
        ("exact reconstruction", found.exact, LEAST_EXACT, found.exact_error),
        ("one latent against two, Tanimoto", gap, LEAST_GAP, gap_error),
    )
    return [
        Check(
            name, value, least, error, 0.0,
            "pass" if value - 2 * error >= least else "fail",
            f"must be at least {least:g}; {found.n:,} held-out molecules",
        )
        for name, value, least, error in rows
    ]  # fmt: skip


def _finite(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the similarities of the pairs of molecules; 0 where there are none."""
    kept = np.array([value for value in values if np.isfinite(value)], dtype=np.float64)
    return kept if len(kept) else np.zeros(1)


def _error(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("inf")
