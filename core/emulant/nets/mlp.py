"""Fully connected networks.

Notation: inputs (B, inputs), contexts (B, context), outputs (B, outputs).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["MLP", "MLPCritic", "join"]


def join(x: Tensor, c: Tensor | None, context: int) -> Tensor:
    """Return (x, c), shape (B, inputs + context), from x (B, ...) and c (B, ...)."""
    if context == 0 and c is None:
        return x.flatten(1)
    if c is None:
        raise ValueError(f"'c' must be given, shape (B, {context}), got None")
    c = c.flatten(1)
    if c.shape[1] != context:
        raise ValueError(f"'c' must have {context} numbers a row, got {c.shape[1]}")
    return torch.cat([x.flatten(1), c.to(x.dtype)], 1)


class MLP(nn.Module):
    """``x, c -> y``: linear layers with an activation between them.

    >>> MLP(3, 2, context=1)(torch.zeros(5, 3), torch.zeros(5, 1)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        activation: Callable[[], nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__()
        self.context, self.width = context, inputs + context
        layers: list[nn.Module] = []
        for narrow, wide in pairwise((inputs + context, *hidden)):
            layers += [nn.Linear(narrow, wide), activation()]
        widths = (inputs + context, *hidden)
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], outputs))

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the outputs, shape (B, outputs)."""
        joined = join(x, c, self.context)
        if joined.shape[1] != self.width:
            rule, got = self.width - self.context, joined.shape[1] - self.context
            raise ValueError(f"'x' must have {rule} numbers a row, got {got}")
        y: Tensor = self.layers(joined)
        return y


class MLPCritic(MLP):
    """``x, c -> logits`` of shape (B,)."""

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        activation: Callable[[], nn.Module] = nn.SiLU,
    ) -> None:
        super().__init__(inputs, 1, hidden, context, activation)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the logits, shape (B,)."""
        return super().forward(x, c).squeeze(1)
