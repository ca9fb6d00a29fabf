"""Where the batches of a training run come from."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from emulant.store.hashing import hash_arrays
from emulant.types import Batch

__all__ = ["Resampled", "Source"]


class Source(Protocol):
    """Batches, each a function of the step and of a generator, never of what came before."""

    @property
    def fingerprint(self) -> str:
        """Hash of the data behind it; a run is not resumed on other data."""
        ...

    def batch(self, step: int, rng: torch.Generator) -> Batch:
        """Return a batch for a turn of ``step``; ``rng`` lives on the CPU."""
        ...


class Resampled:
    """Events in memory, drawn with replacement, by their weight where they have one.

    Arguments
    ---------
    x : events, shape (N, *X).
    c : their contexts, shape (N, *C).
    weight : their weights, shape (N,), not negative; they act on the drawing, so that no
        method needs to know of them.
    size : number of events B of a batch.
    """

    def __init__(
        self, x: Tensor, c: Tensor | None = None, weight: Tensor | None = None, size: int = 128
    ) -> None:
        columns = {"x": x} | ({} if c is None else {"c": c})
        columns |= {} if weight is None else {"weight": weight}
        for name, values in columns.items():
            if len(values) != len(x):
                raise ValueError(f"'{name}' must have {len(x)} rows, as 'x', got {len(values)}")
            if not bool(torch.isfinite(values).all()):
                bad = int((~torch.isfinite(values)).flatten(1 - values.ndim).any(-1).nonzero()[0])
                raise ValueError(f"'{name}' must be finite, got a NaN or infinity in row {bad}")
        if size < 1:
            raise ValueError(f"'size' must be at least 1, got {size}")
        self.x, self.c, self.weight, self.size = x, c, weight, size
        self.fingerprint = hash_arrays(columns)

    def batch(self, step: int, rng: torch.Generator) -> Batch:  # noqa: ARG002 - chance is enough
        """Return ``size`` events drawn with replacement."""
        if self.weight is None:
            rows = torch.randint(len(self.x), (self.size,), generator=rng)
        else:
            rows = torch.multinomial(self.weight, self.size, replacement=True, generator=rng)
        return Batch(self.x[rows], None if self.c is None else self.c[rows])
