r"""A small causal transformer that reads a sequence of tokens.

Notation: as in :mod:`emulant.nets.recurrent`; H heads, W width.
Each block: ``h += attention(norm(h)); h += W2 gelu(W1 norm(h))``; a position attends to itself
and to what came before. Its memory holds the keys and values it has seen, so that a further
token costs one position.

- Vaswani et al., Attention Is All You Need, 2017, https://arxiv.org/abs/1706.03762
- Radford et al., Language Models are Unsupervised Multitask Learners (norm first), 2019
"""

from __future__ import annotations

from itertools import repeat
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from emulant.conditions import embed
from emulant.nets.recurrent import Heard

__all__ = ["Transformer"]

Past: TypeAlias = tuple[Tensor, Tensor]
"""Keys and values that a block has seen, shape (B, H, T, W/H) each."""


class _Block(nn.Module):
    """Attention to the past, then a network at each position."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked = nn.Linear(width, 3 * width, bias=False)
        self.answer = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        split = (len(h), h.shape[1], self.heads, -1)
        q, k, v = (
            part.reshape(split).transpose(1, 2) for part in self.asked(self.norm(h)).chunk(3, 2)
        )
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        ages = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=h.device)
        seen = ages.tril(k.shape[2] - q.shape[2])
        found = scaled_dot_product_attention(q, k, v, attn_mask=seen)
        h = h + self.answer(found.transpose(1, 2).flatten(2))
        return h + self.narrow(gelu(self.widen(self.second_norm(h)))), (k, v)


class Transformer(nn.Module):
    """Causal attention over at most ``length`` positions; the context joins every token.

    Arguments
    ---------
    tokens, outputs, context, embedded : as in :class:`~emulant.nets.recurrent.GRU`.
    length : largest number of tokens that can be read.
    width, layers, heads : W, number of blocks, H.

    Examples
    --------
    >>> net = Transformer(4, 3, length=6, width=8, heads=2)
    >>> net(torch.zeros(2, 5, dtype=torch.int64)).logits.shape
    torch.Size([2, 5, 3])
    """

    def __init__(
        self,
        tokens: int,
        outputs: int,
        length: int,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        context: nn.Module | None = None,
        embedded: int = 0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"'width' must be a multiple of {heads} heads, got {width}")
        if (context is None) != (embedded == 0):
            raise ValueError(f"'embedded' must be positive if there is a context, got {embedded}")
        self.context = context
        self.joined = nn.Linear(embedded, width) if embedded else None
        self.table, self.places = nn.Embedding(tokens, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, outputs)

    def forward(
        self, tokens: Tensor, c: Tensor | None = None, memory: tuple[Past, ...] | None = None
    ) -> Heard[tuple[Past, ...]]:
        """Read ``tokens`` after what ``memory`` holds."""
        before = 0 if memory is None else memory[0][0].shape[2]
        end, most = before + tokens.shape[1], self.places.num_embeddings
        if end > most:
            raise ValueError(f"'tokens' must end by position {most}, got {end}")
        h = self.table(tokens) + self.places.weight[before:end]
        e = embed(self.context, c)
        if self.joined is not None and e is not None:
            h = h + self.joined(e)[:, None]
        kept: list[Past] = []
        for block, past in zip(self.blocks, repeat(None) if memory is None else memory):  # noqa: B905 - repeat has no end
            h, seen = block(h, past)
            kept.append(seen)
        return Heard(self.head(self.norm(h)), tuple(kept))
