"""From files to cases: one, or one for each condition under which samples were made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.case import Case
from emulant.certify.inputs import Samples
from emulant.certify.words import number
from emulant.errors import InputError

__all__ = ["cases_of", "where"]

MOST_CASES = 100


def cases_of(
    files: Sequence[Samples], arrays: Sequence[NDArray[Any]], by: str | None
) -> list[Case]:
    """Return the cases of samples and truth, and of a training set where there is a third file.

    Raises
    ------
    InputError
        Samples and truth were not made under the same conditions, or under too many.
    """
    if by is None:
        everything = [np.ones(len(a), dtype=np.bool_) for a in arrays]
        return [_case(files, arrays, everything, files[0].path.stem, {})]
    kinds = [list(np.unique(f.by)) for f in files if f.by is not None]
    for file, own, other in zip(files, kinds[:2], reversed(kinds[:2]), strict=False):
        missing = [_words(value) for value in other if value not in own]
        if missing:
            raise InputError(f"{file.path}: holds no sample of {by} = {', '.join(missing[:5])}")
    if len(kinds[0]) > MOST_CASES:
        raise InputError(
            f"{files[0].path}: '{by}' has {len(kinds[0])} different values; --by needs at most "
            f"{MOST_CASES}, with many samples each"
        )
    found = []
    for value in kinds[0]:
        rows = [where(file, value) for file in files]
        label = f"{by} = {_words(value)}"
        found.append(_case(files, arrays, rows, label, {by: value.item()}))
    return found


def where(file: Samples, value: Any) -> NDArray[np.bool_]:
    """Return which samples were made under a condition; all where the file knows of none such."""
    same = np.zeros(1, dtype=np.bool_) if file.by is None else np.asarray(file.by == value)
    n = len(next(iter(file.columns.values()))) if file.values is None else len(file.values)
    return same if same.any() else np.ones(n, dtype=np.bool_)


def _case(
    files: Sequence[Samples],
    arrays: Sequence[NDArray[Any]],
    rows: Sequence[NDArray[np.bool_]],
    label: str,
    context: dict[str, Any],
) -> Case:
    def part(entry: NDArray[Any] | None, side: int) -> Any:
        return None if entry is None else entry[rows[side]]

    return Case(
        label,
        arrays[0][rows[0]],
        truth=arrays[1][rows[1]],
        groups=part(files[0].groups, 0),
        truth_groups=part(files[1].groups, 1),
        log_weight=part(files[0].log_weight, 0),
        context=context,
        training=arrays[2][rows[2]] if len(arrays) > 2 else None,
    )


def _words(value: Any) -> str:
    return number(float(value), 6) if np.issubdtype(type(value), np.number) else str(value)
