r"""Contexts, classes or continuous numbers, as vectors that networks can use.

Notation: contexts ``c`` (B, C); embedded contexts ``e`` (B, E); feature maps ``h`` (B, K, ...).

- Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, 2017,
  https://arxiv.org/abs/1709.07871
- Ho and Salimans, Classifier-Free Diffusion Guidance (dropping conditions), 2022,
  https://arxiv.org/abs/2207.12598
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = [
    "ClassEmbedding",
    "ContinuousEmbedding",
    "FiLM",
    "class_index",
    "drop_conditions",
    "embed",
]


class FiLM(nn.Module):
    r"""``h -> (1 + s(e)) h + t(e)``, channel by channel; s and t are linear in e.

    Both start at zero, so that the layer starts as the identity. With ``shift=False`` there is
    no t, and a network that is odd in its input stays odd.

    >>> film = FiLM(2, 3)
    >>> h = torch.randn(1, 3, 4, 4, generator=torch.Generator())
    >>> torch.equal(film(h, torch.ones(1, 2)), h)
    True
    """

    def __init__(self, embedded: int, channels: int, shift: bool = True) -> None:
        super().__init__()
        self.shift = shift
        self.linear = nn.Linear(embedded, 2 * channels if shift else channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """Return the modulated maps, the shape of ``h``: (B, K, ...)."""
        modulation: Tensor = self.linear(e)
        modulation = modulation.reshape(*modulation.shape, *(1,) * (h.ndim - 2))
        if not self.shift:
            return h * (1 + modulation)
        scale, shift = modulation.chunk(2, 1)
        return h * (1 + scale) + shift


class ContinuousEmbedding(nn.Module):
    r"""``e = W2 silu(W1 u + b1) + b2`` of standardised numbers ``u = (c - mean) / scale``.

    Arguments
    ---------
    mean, scale : of each of the C numbers over the data, in the numbers' own units.
    embedded : length E of the result.
    missing : whether a row with a NaN means "not known"; it gets a vector of its own.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        scale: Sequence[float],
        embedded: int,
        missing: bool = False,
    ) -> None:
        super().__init__()
        if len(mean) != len(scale) or not all(s > 0 for s in scale):
            raise ValueError(f"'scale' must be {len(mean)} positive numbers, got {scale}")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
        self.layers = nn.Sequential(
            nn.Linear(len(mean), embedded), nn.SiLU(), nn.Linear(embedded, embedded)
        )
        self.unknown = nn.Parameter(torch.zeros(embedded)) if missing else None

    def forward(self, c: Tensor) -> Tensor:
        """Return the embedded contexts, shape (B, E), of ``c``, shape (B, C)."""
        if c.ndim != 2 or c.shape[1] != len(self.mean):
            raise ValueError(f"'c' must have shape (B, {len(self.mean)}), got {tuple(c.shape)}")
        u = (c - self.mean) / self.scale
        if self.unknown is None:
            known: Tensor = self.layers(u)
            return known
        absent = torch.isnan(u).any(1, keepdim=True)
        e: Tensor = self.layers(u.masked_fill(absent, 0.0))
        return torch.where(absent, self.unknown.to(e.dtype), e)


def class_index(c: Tensor | None, classes: int, lowest: int = 0) -> Tensor:
    """Return the classes of a batch as integers, shape (B,).

    Arguments
    ---------
    c : a class a row, shape (B,) or (B, 1).
    classes : number K; a class lies from ``lowest`` to K - 1.
    lowest : -1 where a class may be unknown.

    Raises
    ------
    ValueError
        There are none, not one a row, or one that does not exist.

    Examples
    --------
    >>> class_index(torch.tensor([[2.0], [0.0]]), 3)
    tensor([2, 0])
    """
    unknown = ", -1 where it is not known" if lowest < 0 else ""
    if c is None:
        raise ValueError(f"'c' must be given, a class a row{unknown}; got None")
    if c.ndim == 0 or c.numel() != len(c):
        raise ValueError(f"'c' must be one class a row, shape (B,) or (B, 1), got {tuple(c.shape)}")
    index = c.reshape(len(c)).long()
    if bool(((index < lowest) | (index >= classes)).any()):
        raise ValueError(f"'c' must hold classes from {lowest} to {classes - 1}, got {c}")
    return index


class ClassEmbedding(nn.Module):
    """A vector of length E for each class 0 ... classes - 1, and one for "not known", -1."""

    def __init__(self, classes: int, embedded: int) -> None:
        super().__init__()
        self.table = nn.Embedding(classes + 1, embedded)

    def forward(self, c: Tensor) -> Tensor:
        """Return the vectors, shape (B, E), of integer classes of shape (B,) or (B, 1)."""
        classes = self.table.num_embeddings - 1
        e: Tensor = self.table(class_index(c, classes, lowest=-1) % (classes + 1))
        return e


def drop_conditions(c: Tensor, rate: float, rng: torch.Generator) -> Tensor:
    """Return ``c`` with each row, with probability ``rate``, set to "not known".

    That is NaN for floating-point contexts, -1 for integer classes: a network trained so
    can be asked with a condition or without.
    """
    dropped = torch.rand(len(c), generator=rng, device=c.device) < rate
    unknown = float("nan") if c.is_floating_point() else -1
    return c.masked_fill(dropped.reshape(-1, *(1,) * (c.ndim - 1)), unknown)


def embed(context: nn.Module | None, c: Tensor | None) -> Tensor | None:
    """Return ``context(c)``, shape (B, E), or None where a network has no context.

    Raises
    ------
    ValueError
        A context is missing, or given to a network that would not look at it.
    """
    if (context is None) != (c is None):
        rule = "be None: this network has no context" if context is None else "be given"
        raise ValueError(f"'c' must {rule}, got {None if c is None else tuple(c.shape)}")
    if context is None:
        return None
    e: Tensor = context(c)
    return e
