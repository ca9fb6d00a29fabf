"""Strings said token by token, many side by side: the loop of every network that says them.

A *voice* knows the logits of what may come next; who is asked chooses. What has ended is no longer
computed, once enough of the strings have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from emulant_apps.molecules.vocabulary import END, PAD

__all__ = ["Choose", "Voice", "speak"]

Choose = Callable[[int, Tensor, Tensor], Tensor]
"""``choose(position, logits, before) -> numbers``: what is said next, shape (B,)."""
SPARE = 0.9
"""Strings are no longer computed after their end once more than a tenth have come to it."""


class Voice(Protocol):
    """A network in the middle of some strings, with its memory of each."""

    def after(self, position: int, numbers: Tensor) -> Tensor:
        """Return the logits (L, V) at ``position``, after the numbers (L,) that stand before it."""

    def keep(self, still: Tensor) -> None:
        """Forget the strings but those that are ``still`` said, (L,)."""


def speak(voice: Voice, choose: Choose, first: Tensor, length: int) -> Tensor:
    """Return what ``choose`` makes of a voice, numbers (B, T), T <= ``length``, PAD after END.

    ``first``: what the voice is given before the first position, (B,).
    """
    numbers, live = first, torch.arange(len(first), device=first.device)
    ended, said = torch.zeros_like(first, dtype=torch.bool), []
    for position in range(length):
        logits = voice.after(position, numbers[live])
        every = logits.new_zeros(len(first), logits.shape[1])  # of what has ended nobody asks
        every[live] = logits
        numbers = choose(position, every, numbers).masked_fill(ended, PAD)
        said.append(numbers)
        ended = ended | (numbers == END)
        if bool(ended.all()):
            break
        still = ~ended[live]
        if int(still.sum()) < SPARE * len(live):
            live = live[still]
            voice.keep(still)
    return torch.stack(said, 1)
