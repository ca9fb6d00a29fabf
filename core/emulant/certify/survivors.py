"""Samples drawn again by their weights, as a file of the kind that they came in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emulant.certify.case import ESS_FLOOR, Case, importance
from emulant.certify.cases import where
from emulant.certify.correction import rejection
from emulant.certify.inputs import Samples
from emulant.certify.tables import TABLES, write_table
from emulant.errors import InputError
from emulant.rng import numpy_rng
from emulant.store import Provenance, save_arrays

__all__ = ["require_weights", "write_survivors"]


def require_weights(out: Path, file: Samples, cases: Sequence[Case]) -> None:
    """Refuse, before any judgement, samples that cannot be drawn again.

    Raises
    ------
    InputError
        There are no weights, or a few samples carry them all, or ``out`` is of another kind.
    """
    if (out.suffix.lower() in TABLES) != (file.values is None):
        kinds = ".csv or .parquet" if file.values is None else ".npz, .h5 or .npy"
        raise InputError(f"--resample {out}: the samples of {file.path} need {kinds}")
    for case in cases:
        weights, ess = importance(case)
        if ess is None:
            raise InputError(
                f"--resample: {file.path} holds no log_weight; add --correct to estimate weights"
            )
        if weights is None:
            raise InputError(
                f"--resample: case {case.label}: the weights leave an effective {100 * ess:.1f} % "
                f"of the samples, below {100 * ESS_FLOOR:.0f} %; they are too far from truth"
            )


def write_survivors(
    out: Path, file: Samples, cases: Sequence[Case], by: str | None, seed: int, origin: Provenance
) -> None:
    """Write the samples of ``file`` that survive rejection, case by case in the file's order.

    A file of arrays holds ``samples``, ``index`` (their places in the original) and the
    conditions where there are such; a table has the columns of the original.
    """
    kept = []
    for case in cases:
        assert case.log_weight is not None
        chosen = rejection(case.log_weight, numpy_rng(seed, "rejection", case.label))
        value = case.context.get(by) if by is not None else None
        everything = np.arange(len(case.samples))
        kept.append((everything if by is None else np.flatnonzero(where(file, value)))[chosen])
    index = np.sort(np.concatenate(kept))
    beside = {} if by is None or file.by is None else {by: file.by[index]}
    if file.values is None:
        write_table(out, {name: c[index] for name, c in file.columns.items()} | beside)
    elif out.suffix.lower() == ".npy":
        save_arrays(out, {"array": file.values[index]})
    else:
        save_arrays(out, {"samples": file.values[index], "index": index} | beside, origin)
