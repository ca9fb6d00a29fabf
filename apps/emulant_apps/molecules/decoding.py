r"""How logits become strings: what every generator of strings shares.

At each position a network says the logits of what may come next; a :class:`Choice` makes tokens
of them, greedily or by chance, of all tokens or of the grammatical ones, and keeps the account

    ln p(string) = sum_t log softmax(logits_t)[token_t]

at temperature one, of the tokens that it chose itself. With ``masked`` only tokens of
:mod:`~.grammar` may be said, and a string that is still no molecule (its aromatic rings have no
Kekulé form) is drawn again, at a temperature of one, up to :data:`REDRAWS` times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.parallel import chunked_map
from emulant_apps.molecules.chemistry.parse import parse_all
from emulant_apps.molecules.grammar import Grammar
from emulant_apps.molecules.vocabulary import END, PAD, Vocabulary

__all__ = [
    "CHUNK",
    "Choice",
    "Drawn",
    "Mode",
    "Prior",
    "are_molecules",
    "in_chunks",
    "is_molecule",
    "joined",
    "until_molecules",
]

CHUNK = 500
"""Strings of a chunk."""
REDRAWS = 20
Prior = Literal["language", "flow", "normal"]


@dataclass(frozen=True, slots=True)
class Mode:
    """How a network's logits become a string."""

    temperature: float = 0.0
    """0: the likeliest token each time; 1: the network's own law."""
    masked: bool = False
    """Whether only grammatical tokens may be said."""
    prior: Prior | None = None
    """Of a VAE; language: codes of what a char-RNN says; flow: the flow over the codes; normal:
    N(0, I); None: the first of these that it has."""
    guidance: float = 1.0
    """Of properties that are asked: 1 draws from their law, more exaggerates them."""
    doubt: float | None = None
    """Of a VAE: the share of noise, 0 to 1, that the decoder is told its latent has; None: the
    model's own."""
    beam: int = 1
    """Of a VAE at temperature 0: beginnings that are kept in mind while the likeliest string is
    looked for; 1: the likeliest token each time."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Strings as they were said, valid or not."""

    strings: tuple[str, ...]
    log_likelihood: NDArray[np.float64]
    """ln p(string), given its latent where there is one, at temperature one, nats, (n,)."""
    redrawn: int = 0
    """Strings that were drawn again because they were no molecules; 0 where nothing is masked."""
    origin: tuple[int, ...] = ()
    """Index of the prototype of each; empty where there is none."""

    @property
    def valid(self) -> float:
        """Share of the strings that are molecules."""
        return sum(are_molecules(self.strings)) / max(1, len(self.strings))


class Choice:
    """Chooses what n strings say next; give it to a network's ``say``.

    Arguments
    ---------
    temperature, masked : see :class:`Mode`.
    openings : numbers of tokens (n, T), PAD after the last, with which each string begins.
    first : numbers (V,) that may stand right after an opening; all where it is None.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        n: int,
        rng: torch.Generator,
        temperature: float,
        masked: bool = False,
        openings: Tensor | None = None,
        first: Tensor | None = None,
    ) -> None:
        self.rng, self.temperature = rng, temperature
        self.grammar = Grammar(vocabulary, n) if masked else None
        self.openings = torch.zeros(n, 0, dtype=torch.int64) if openings is None else openings
        self.opened = (self.openings != PAD).sum(1)
        self.first = first
        self.score = torch.zeros(n, dtype=torch.float64)
        """ln p of what was chosen, nats, (n,)."""
        self.ended = torch.zeros(n, dtype=torch.bool)

    def __call__(self, position: int, logits: Tensor, before: Tensor) -> Tensor:
        """Return the numbers that stand at ``position``, (n,)."""
        del before
        logits[:, :END] = -math.inf  # PAD and START are never said
        ln_p = logits.log_softmax(1)
        if self.first is not None:
            here = (self.opened == position)[:, None]
            logits = logits.masked_fill(here & ~self.first, -math.inf)
        if self.grammar is not None:
            may = torch.from_numpy(self.grammar.allowed())
            may[:, PAD] = False
            may[~may.any(1), END] = True
            stuck = ~(may & logits.isfinite()).any(1)
            logits = logits.masked_fill(~may & ~stuck[:, None], -math.inf)
        if self.temperature > 0:
            numbers = _drawn((logits / self.temperature).softmax(1), self.rng)
        else:
            numbers = logits.argmax(1)
        given = self.opened > position
        if bool(given.any()):
            numbers = torch.where(given, self.openings[:, position], numbers)
        paid = ln_p.gather(1, numbers[:, None])[:, 0].double()
        self.score += paid.masked_fill(self.ended | given, 0.0)
        self.ended |= numbers == END
        if self.grammar is not None:
            self.grammar.said(numbers.numpy())
        return numbers


def _drawn(p: Tensor, rng: torch.Generator) -> Tensor:
    """Return one number of each row of chances (n, V), by one chance of each."""
    sums = p.double().cumsum(1)
    chance = torch.rand(len(p), 1, generator=rng, dtype=torch.float64)
    return (sums <= chance * sums[:, -1:]).sum(1)


Said = tuple[list[str], NDArray[np.float64]]
Once = Callable[[Sequence[int] | None, float], Said]
"""``once(rows, temperature)``: say the strings of some rows, or of all, once."""


def until_molecules(once: Once, mode: Mode) -> Drawn:
    """Return what ``once`` says; in masked mode what is no molecule is said again."""
    strings, score = once(None, mode.temperature)
    redrawn = 0
    if mode.masked:
        for _ in range(REDRAWS):
            bad = [k for k, good in enumerate(are_molecules(strings)) if not good]
            redrawn += len(bad)
            if not bad:
                break
            again, ln_p = once(bad, 1.0)
            for k, text, value in zip(bad, again, ln_p.tolist(), strict=True):
                strings[k], score[k] = text, value
    return Drawn(tuple(strings), score, redrawn)


def is_molecule(text: str) -> bool:
    """Return whether a string is a molecule that RDKit reads; the empty one is none."""
    return are_molecules([text])[0]


def are_molecules(texts: Sequence[str]) -> list[bool]:
    """Return the same of each string, sooner than one by one."""
    return [molecule is not None and molecule.GetNumAtoms() > 0 for molecule in parse_all(texts)]


def joined(parts: Sequence[Drawn], count: int | None = None) -> Drawn:
    """Return the strings of several drawings as one, the first ``count`` of them."""
    return Drawn(
        tuple(text for part in parts for text in part.strings)[:count],
        np.concatenate([part.log_likelihood for part in parts])[:count],
        sum(part.redrawn for part in parts),
    )


def in_chunks(
    work: Callable[[int, NDArray[np.float64] | None], Drawn],
    count: int,
    seed: int,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
    start: int,
    asked: NDArray[np.float64] | None,
) -> Drawn:
    """Return ``count`` strings, from number ``start`` on, of chunks that ``work`` draws whole.

    ``start`` is a multiple of CHUNK; ``work`` is given the number of its chunk, and what is asked
    of its strings: one row for all, or one each.
    """
    if start % CHUNK:
        raise ValueError(f"'start' must be a multiple of {CHUNK}, got {start}")
    first, chunks = start // CHUNK, math.ceil(count / CHUNK)
    each = _Chunk(work, first, asked)
    return joined(chunked_map(each, chunks, 1, seed, workers, progress, first), count)


@dataclass(frozen=True)
class _Chunk:
    """The work of one chunk; picklable."""

    work: Callable[[int, NDArray[np.float64] | None], Drawn]
    first: int
    asked: NDArray[np.float64] | None
    """Rows asked begin with those of chunk ``first``."""

    def __call__(self, chunk: int, size: int, seed: int) -> Drawn:
        del size, seed
        return self.work(chunk, _of_chunk(self.asked, chunk - self.first))


def _of_chunk(asked: NDArray[np.float64] | None, chunk: int) -> NDArray[np.float64] | None:
    """Return what is asked of the strings of a chunk, one row each, or one row for all."""
    if asked is None or asked.ndim == 1:
        return asked
    rows = asked[chunk * CHUNK : (chunk + 1) * CHUNK]
    nothing = np.full((CHUNK - len(rows), asked.shape[1]), np.nan)
    return np.concatenate([rows, nothing])
