r"""Temperature and side of the lattice as a vector that networks can use.

Contexts c have two columns, T (J/k_B) and L. With ``d = T - T_c`` the networks see

    d,  2 (T_c/T - 1),  tanh 4d,  tanh 12d,  tanh(12 d L/32),  log2(L/32),

smooth in T, finest where the correlation length is longest; the fifth is a finite-size scaling
variable (ν = 1).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from emulant.conditions import ContinuousEmbedding
from emulant_apps.ising.config import CRITICAL

__all__ = ["LatticeContext"]

UNIT = 32.0
"""Side at which the finite-size features are of unit scale, in sites."""


class LatticeContext(nn.Module):
    """Embeds contexts (B, 2), temperature and side, as vectors (B, E).

    >>> LatticeContext(4)(torch.tensor([[2.3, 32.0]])).shape
    torch.Size([1, 4])
    """

    def __init__(self, embedded: int) -> None:
        super().__init__()
        self.embedding = ContinuousEmbedding([0.0] * 6, [1.0] * 6, embedded)

    def forward(self, c: Tensor) -> Tensor:
        """Return the embedded contexts, shape (B, E)."""
        if c.ndim != 2 or c.shape[1] != 2:
            raise ValueError(f"'c' must have shape (B, 2), temperature and side, got {c.shape}")
        T, L = c.float().unbind(1)
        d = T - CRITICAL
        features = [
            d,
            2 * (CRITICAL / T - 1),
            torch.tanh(4 * d),
            torch.tanh(12 * d),
            torch.tanh(12 * d * L / UNIT),
            (L / UNIT).log() / math.log(2),
        ]
        e: Tensor = self.embedding(torch.stack(features, 1))
        return e
