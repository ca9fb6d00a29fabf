"""A generative method is a game played in turns.

Named *players* own disjoint parameters. One training step plays ``turns`` in order; at each
turn the player whose name is called pays one scalar, :meth:`Method.loss`, and only that
player's parameters move. A VAE has one player, a GAN two; a GAN with three critic updates has
``turns = ("critic", "critic", "critic", "generator")``.

Conditioning is the argument ``c``; it never makes a new class unless the published method
changes the game.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from emulant.types import Batch, Terms

__all__ = ["Draws", "Generative", "Method", "Scores"]


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
