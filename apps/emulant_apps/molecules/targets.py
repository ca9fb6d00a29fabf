"""The properties that may be asked of new molecules, and what those that were drawn have.

The order of the numbers is that of :data:`TARGETS`; NaN is what was not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.parallel import chunked_map
from emulant.progress import Progress
from emulant.store import hash_json, load_arrays, save_arrays
from emulant_apps.molecules.chemistry.parse import parse
from emulant_apps.molecules.chemistry.properties import properties_of

__all__ = [
    "PROPERTIES",
    "TARGETS",
    "kept_numbers",
    "numbers_of",
    "target_table",
    "target_vector",
    "zero_and_unit",
]

TARGETS: Mapping[str, str] = MappingProxyType(
    {"mass": "g/mol", "logp": "", "tpsa": "Å²", "qed": "", "sa": ""}
)
"""Properties by the names of :class:`~.chemistry.properties.Properties`, with their units."""
CHUNK = 500
PROPERTIES = "properties.npz"
"""File of the training molecules' properties in the directory of a run."""


def target_vector(asked: Mapping[str, float | None]) -> NDArray[np.float64] | None:
    """Return what is asked, shape (5,), NaN where nothing is; None where nothing is at all.

    >>> target_vector({"qed": 0.9})
    array([nan, nan, nan, 0.9, nan])
    """
    values = [asked.get(name) for name in TARGETS]
    if all(value is None for value in values):
        return None
    return np.array([np.nan if value is None else value for value in values])


def numbers_of(
    smiles: Sequence[str],
    workers: int | None = 1,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Return the properties of SMILES, shape (n, 5); NaN where one is no molecule."""
    parts = chunked_map(_Numbers(smiles), len(smiles), CHUNK, 0, workers, progress)
    return np.concatenate([np.zeros((0, len(TARGETS))), *parts])


def kept_numbers(smiles: Sequence[str], file: Path, workers: int | None = 1) -> NDArray[np.float64]:
    """Return the same, with its progress, and keep it in ``file`` for a run that is resumed."""
    content = hash_json(list(smiles))
    if file.exists():
        kept = load_arrays(file)
        if kept.attributes.get("smiles") == content:
            return kept.arrays["numbers"]
    with Progress("properties", total=len(smiles)) as progress:
        numbers = numbers_of(smiles, workers, progress.update)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(file, {"numbers": numbers}, attributes={"smiles": content})
    return numbers


def zero_and_unit(numbers: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Return the mean and the scatter of properties (n, 5), NaN aside, (5,) each."""
    mean, scatter = np.nanmean(numbers, axis=0), np.nanstd(numbers, axis=0) + 1e-3
    return torch.from_numpy(mean), torch.from_numpy(scatter)


class _Numbers:
    """Properties of one chunk; picklable."""

    def __init__(self, smiles: Sequence[str]) -> None:
        self.smiles = smiles

    def __call__(self, start: int, size: int, seed: int) -> NDArray[np.float64]:
        del seed
        rows = np.full((size, len(TARGETS)), np.nan)
        for row, text in zip(rows, self.smiles[start : start + size], strict=True):
            molecule = parse(text)
            if molecule is not None and molecule.GetNumAtoms():
                known = properties_of(molecule)
                row[:] = [getattr(known, name) for name in TARGETS]
        return rows


def target_table(asked: NDArray[np.float64], smiles: Sequence[str], workers: int | None) -> str:
    """Return what was asked beside what the molecules among the strings have, as lines."""
    numbers = numbers_of(smiles, workers)
    numbers = numbers[np.isfinite(numbers).all(axis=1)]
    if not len(numbers):
        return "no molecule was drawn\n"
    lines = [f"{'property':<10} {'asked':>8} {'median':>8} {'middle half':>19}"]
    for k, (name, unit) in enumerate(TARGETS.items()):
        low, middle, high = np.quantile(numbers[:, k], [0.25, 0.5, 0.75])
        said = f"{asked[k]:.4g}" if np.isfinite(asked[k]) else "-"
        span = f"{low:.4g} ... {high:.4g}"
        lines.append(f"{name:<10} {said:>8} {middle:>8.4g} {span:>19} {unit}".rstrip())
    return "\n".join(lines) + "\n"
