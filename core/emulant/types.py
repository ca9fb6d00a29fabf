"""The records that travel between rooms.

Shape letters used everywhere: ``B`` batch, ``X`` event shape, ``C`` context, ``Z`` latent,
``N`` number of samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from torch import Tensor

__all__ = ["Batch", "Split", "Terms"]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Batch:
    """What one training step sees: events, and their context and weight where there are any."""

    x: Tensor
    """Events, shape (B, *X)."""
    c: Tensor | None = None
    """Context (conditions), shape (B, *C)."""
    weight: Tensor | None = None
    """Weight of each event, shape (B,)."""

    def __post_init__(self) -> None:
        for name, rows in (("c", self.c), ("weight", self.weight)):
            if rows is not None and len(rows) != len(self.x):
                raise ValueError(f"'{name}' must have {len(self.x)} rows, as 'x', got {len(rows)}")

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Terms:
    """What one player pays: a scalar, and its named parts for the log."""

    total: Tensor
    """Scalar that the player minimises."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Named scalars, detached or not; they are logged and never differentiated."""


@dataclass(frozen=True, slots=True)
class Split(Generic[Item]):
    """Three disjoint sets; the last is looked at once."""

    train: Item
    validation: Item
    test: Item
