"""True states for training: held as bits, drawn in groups of one temperature, augmented.

A batch is of one side L; the sides take turns by the step. Each group of states at one
temperature is turned by one random translation and transposition, which are symmetries of the
periodic lattice; the global sign flip is left to the odd networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.store.hashing import hash_arrays
from emulant.types import Batch

__all__ = ["Bank"]


class Bank:
    """States of several sides at several temperatures, a :class:`~emulant.train.Source`.

    Arguments
    ---------
    temperatures : J/k_B, the same for every side.
    spins : for each side L, ±1 of shape (T, n, L, L).
    spins_per_batch : number of spins in a batch, whatever the side.
    groups : temperatures in a batch.
    weights : how often each temperature is drawn, shape (T,); equally often by default.
    """

    def __init__(
        self,
        temperatures: Sequence[float],
        spins: Mapping[int, NDArray[np.int8]],
        spins_per_batch: int,
        groups: int = 8,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.temperatures = torch.tensor(temperatures, dtype=torch.float32)
        self.bits = {
            L: torch.from_numpy(np.packbits(s.reshape(*s.shape[:2], -1) > 0, axis=2))
            for L, s in sorted(spins.items())
        }
        self.lattices = tuple(self.bits)
        self.groups = groups
        self.rows = {L: max(2, round(spins_per_batch / L**2 / groups)) for L in self.lattices}
        drawn = torch.ones(len(temperatures)) if weights is None else torch.tensor(weights)
        self.weights = drawn.float()
        named = {f"spins_{L}": bits for L, bits in self.bits.items()}
        self.fingerprint = hash_arrays({"temperatures": self.temperatures, **named})

    def states(self, lattice: int, temperature: int, rows: Tensor) -> Tensor:
        """Return stored states as ±1.0, shape (len(rows), 1, L, L)."""
        packed = self.bits[lattice][temperature, rows].numpy()
        spins = np.unpackbits(packed, axis=1).reshape(-1, 1, lattice, lattice)
        return torch.from_numpy(spins).float() * 2 - 1

    def batch(self, step: int, rng: torch.Generator) -> Batch:
        """Return groups of states of one side; contexts are (T, L), shape (B, 2)."""
        L = self.lattices[step % len(self.lattices)]
        rows, count = self.rows[L], self.bits[L].shape[1]
        drawn = torch.multinomial(self.weights, self.groups, replacement=True, generator=rng)
        groups = []
        for temperature in drawn.tolist():
            chosen = torch.randint(count, (rows,), generator=rng)
            down, right, transposed = torch.randint(L, (3,), generator=rng).tolist()
            x = self.states(L, temperature, chosen).roll((down, right), (2, 3))
            groups.append(x.transpose(2, 3) if transposed % 2 else x)
        T = self.temperatures[drawn].repeat_interleave(rows)
        return Batch(torch.cat(groups), torch.stack([T, torch.full_like(T, float(L))], 1))
