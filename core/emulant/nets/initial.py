"""Initial parameters that depend on a generator and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["initial_parameters"]


@contextmanager
def initial_parameters(rng: torch.Generator) -> Iterator[None]:
    """Build networks inside this context: their initial values come from ``rng`` (CPU).

    torch's layers draw from its global stream; this lends them ours and puts the global one
    back as it was. ``rng`` itself moves on, so that two contexts give different values.

    >>> from emulant.rng import torch_rng
    >>> with initial_parameters(torch_rng(0, "nets")):
    ...     a = torch.nn.Linear(1, 1)
    >>> with initial_parameters(torch_rng(0, "nets")):
    ...     b = torch.nn.Linear(1, 1)
    >>> torch.equal(a.weight, b.weight)
    True
    """
    before = torch.get_rng_state()
    torch.set_rng_state(rng.get_state())
    try:
        yield
        rng.set_state(torch.get_rng_state())
    finally:
        torch.set_rng_state(before)
