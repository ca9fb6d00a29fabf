"""A generative method is a game played in turns.

Named *players* own disjoint parameters. One training step plays ``turns`` in order; at each
turn the player whose name is called pays one scalar, :meth:`Method.loss`, and only that
player's parameters move. A VAE has one player, a GAN two; a GAN with three critic updates has
``turns = ("critic", "critic", "critic", "generator")``.

Conditioning is the argument ``c``; it never makes a new class unless the published method
changes the game.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from emulant.types import Batch, Terms

__all__ = [
    "Draws",
    "Generative",
    "Method",
    "Scores",
    "evaluating",
    "full_precision",
    "require_contexts",
]


class Method(nn.Module):
    """Players, the order of their turns, and what each pays."""

    turns: tuple[str, ...] = ()
    """Names of the players in the order in which one step plays them."""

    def players(self) -> Mapping[str, nn.Module]:
        """Return the modules, with disjoint parameters, that each player owns."""
        raise NotImplementedError

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays on ``batch``; detaching rules live here."""
        raise NotImplementedError


class Generative(Method):
    """A method that draws events once it is trained."""

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events, shape (n, *X), given contexts ``c``, shape (n, *C)."""
        raise NotImplementedError


@runtime_checkable
class Draws(Protocol):
    """A network that turns chance into events."""

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events, shape (n, *X); differentiable where the method needs it."""
        ...


@runtime_checkable
class Scores(Protocol):
    """A network or method whose probability mass or density can be evaluated."""

    def log_prob(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return log q(x | c) in nats, shape (B,)."""
        ...


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put ``module`` in evaluation mode without gradients, and back as it was."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def require_contexts(n: int, c: Tensor | None) -> None:
    """Raise unless there is one context for each of ``n`` events, or none at all."""
    if c is not None and len(c) != n:
        raise ValueError(f"'c' must hold one context for each of {n} events, got {len(c)}")


def full_precision(t: Tensor) -> Tensor:
    """Return ``t`` with at least 32 bits: sums over a batch need more than bf16 has."""
    return t.to(torch.promote_types(t.dtype, torch.float32))
