r"""Recurrent networks that read a sequence of tokens.

Notation: tokens (B, T), integers; embedded contexts e (B, E); logits (B, T, V), where position
t has seen tokens 0 ... t.

- Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (GRU), 2014,
  https://arxiv.org/abs/1406.1078
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from emulant.conditions import embed

__all__ = ["GRU", "Heard"]

Memory = TypeVar("Memory")


@dataclass(frozen=True, slots=True)
class Heard(Generic[Memory]):
    """What a network says after the tokens it has read."""

    logits: Tensor
    """Of what comes next, at every position, shape (B, T, V)."""
    memory: Memory
    """What it must be given to read on."""


class GRU(nn.Module):
    """Gated recurrent units, the context beside every token.

    Arguments
    ---------
    tokens : number of different tokens that may be read.
    outputs : number of logits V.
    width, layers : of the recurrent state.
    context, embedded : network ``c -> e`` and length E, or None and 0.

    Examples
    --------
    >>> GRU(4, 3, width=8)(torch.zeros(2, 5, dtype=torch.int64)).logits.shape
    torch.Size([2, 5, 3])
    """

    def __init__(
        self,
        tokens: int,
        outputs: int,
        width: int = 128,
        layers: int = 1,
        context: nn.Module | None = None,
        embedded: int = 0,
    ) -> None:
        super().__init__()
        if (context is None) != (embedded == 0):
            raise ValueError(f"'embedded' must be positive if there is a context, got {embedded}")
        self.context = context
        self.table = nn.Embedding(tokens, width)
        self.cells = nn.GRU(width + embedded, width, layers, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(
        self, tokens: Tensor, c: Tensor | None = None, memory: Tensor | None = None
    ) -> Heard[Tensor]:
        """Read ``tokens`` after what ``memory`` holds."""
        h, e = self.table(tokens), embed(self.context, c)
        if e is not None:
            h = torch.cat([h, e[:, None].expand(-1, h.shape[1], -1)], 2)
        h, memory = self.cells(h, memory)
        assert memory is not None
        return Heard(self.head(h), memory)
