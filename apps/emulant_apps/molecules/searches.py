r"""Two searches for molecules with a high score, and the draws that are their control.

Notation: a search proposes strings, is told the scores of those that are molecules worth scoring,
and proposes again.

- :class:`LatentSearch`: a (mu + lambda) evolution strategy among the codes z of a VAE,

      z' = (z_i + z_j) / 2  or  z_i ,   z = z' + sigma d e ,   e ~ N(0, I) ,

  d the scatter of the codes; the parents are the mu best so far, and sigma follows the 1/5 rule:
  it grows where more than a fifth of the children are better than their better parent.
- :class:`HillClimb`: a char-RNN is taught the k best strings so far, draws, and is taught again.
- :class:`RandomDraws`: the network as it is.

- Beyer and Schwefel, Evolution Strategies: A Comprehensive Introduction, 2002,
  https://doi.org/10.1023/A:1015059928466
- Segler et al., Generating Focused Molecule Libraries, 2017, https://arxiv.org/abs/1701.01329
- Brown et al., GuacaMol (its LSTM hill-climb), 2019, https://arxiv.org/abs/1811.09621
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from emulant.rng import derive, numpy_rng, torch_rng
from emulant.threads import one_thread
from emulant.train import Optimiser, Plan, fit
from emulant_apps.molecules.char_rnn import CharModel
from emulant_apps.molecules.char_sample import CharEmulator
from emulant_apps.molecules.char_train import Lines
from emulant_apps.molecules.decoding import CHUNK, Mode
from emulant_apps.molecules.sample import Emulator, strings_of

__all__ = ["HillClimb", "LatentSearch", "RandomDraws", "Search"]


class Search(Protocol):
    """Proposes strings, round by round."""

    def propose(self, turn: int) -> Sequence[str]:
        """Return the strings of round ``turn``."""
        ...

    def learn(self, scores: Mapping[str, float], said: Mapping[str, str], turn: int) -> None:
        """Take in all scores so far by canonical SMILES, and the SMILES of each string said."""
        ...


class RandomDraws:
    """Strings of the network as it is: what a search must beat."""

    def __init__(
        self, emulator: Emulator | CharEmulator, mode: Mode, seed: int, workers: int | None
    ) -> None:
        self.emulator, self.mode, self.seed, self.workers = emulator, mode, seed, workers

    def propose(self, turn: int) -> Sequence[str]:
        """Return the next chunk."""
        start = turn * CHUNK
        return self.emulator.sample(CHUNK, self.seed, self.mode, self.workers, start).strings

    def learn(self, scores: Mapping[str, float], said: Mapping[str, str], turn: int) -> None:
        """Learn nothing."""


class LatentSearch:
    """A (mu + lambda) evolution strategy among the codes of a VAE.

    Arguments
    ---------
    prototypes : molecules around which it begins; the prior where there are none.
    parents, children : mu and lambda.
    """

    def __init__(
        self,
        emulator: Emulator,
        mode: Mode,
        seed: int,
        prototypes: Sequence[str] = (),
        parents: int = 10,
        children: int = 60,
    ) -> None:
        self.emulator, self.mode, self.seed = emulator, mode, seed
        self.prototypes, self.parents, self.children = prototypes, parents, children
        codes = emulator.model.codes
        latent = emulator.model.sizes.latent
        self.scatter = torch.ones(latent) if codes is None else codes.scatter
        self.sigma = 0.5
        """Step, in units of the scatter of the codes."""
        self.codes: dict[str, Tensor] = {}
        self.best: list[tuple[float, str]] = []
        self._asked: list[tuple[str, float]] = []

    def propose(self, turn: int) -> Sequence[str]:
        """Return the strings of the children of the best."""
        rng = torch_rng(self.seed, "molecules latent search", turn)
        if not self.best:
            z, above = self._first(rng), [-math.inf] * (CHUNK // 2)
        else:
            z, above = self._children(turn, rng)
        strings = strings_of(self.emulator.model, z, self.mode, rng)
        for text, code in zip(strings, z, strict=True):
            self.codes.setdefault(text, code)
        self._asked = list(zip(strings, above, strict=True))
        return strings

    def learn(self, scores: Mapping[str, float], said: Mapping[str, str], turn: int) -> None:
        """Choose the parents, and the step by the 1/5 rule."""
        del turn
        found = {said[text]: text for text in reversed(self.codes) if text in said}
        ranked = sorted((-scores[s], s) for s in found if s in scores)
        self.best = [(-value, found[s]) for value, s in ranked[: self.parents]]
        told = [(scores[said[t]], a) for t, a in self._asked if said.get(t) in scores]
        if told and math.isfinite(told[0][1]):
            share = sum(value > parent for value, parent in told) / len(told)
            self.sigma = min(2.0, max(0.05, self.sigma * math.exp((share - 0.2) / 2)))

    def _first(self, rng: torch.Generator) -> Tensor:
        n = CHUNK // 2
        if not self.prototypes:
            return self.emulator.latents(n, rng)
        rows = self.emulator.model.sizes.vocabulary.encode(self.prototypes).rows
        m = self.emulator.codes(rows)
        z = m[torch.arange(n) % len(m)]
        e = torch.randn(z.shape, generator=rng)
        e[: len(m)] = 0.0  # the prototypes themselves are scored, too
        return z + self.sigma * self.scatter * e

    def _children(self, turn: int, rng: torch.Generator) -> tuple[Tensor, list[float]]:
        """Return the codes of the children, and the score of the better parent of each."""
        some = numpy_rng(self.seed, "molecules parents", turn)
        pairs = some.integers(len(self.best), size=(self.children, 2))
        alone = some.random(self.children) < 0.5
        pairs[alone, 1] = pairs[alone, 0]
        z = torch.stack([self.codes[text] for _, text in self.best])
        middle = z[torch.from_numpy(pairs)].mean(1)
        e = torch.randn(middle.shape, generator=rng)
        values = np.array([value for value, _ in self.best])
        return middle + self.sigma * self.scatter * e, values[pairs].max(1).tolist()


class HillClimb:
    """A char-RNN that is taught its own best strings.

    Arguments
    ---------
    strings : drawn each round.
    best : strings k that are taught.
    steps, rate : of each lesson, batches of 64.
    """

    def __init__(
        self,
        emulator: CharEmulator,
        mode: Mode,
        seed: int,
        strings: int = 250,
        best: int = 100,
        steps: int = 12,
        rate: float = 5e-4,
    ) -> None:
        model = emulator.model
        own = CharModel(copy.deepcopy(model.rnn), model.sizes, None, model.content)
        self.emulator, self.mode, self.seed = CharEmulator(own), mode, seed
        self.strings, self.best, self.steps, self.rate = strings, best, steps, rate

    def propose(self, turn: int) -> Sequence[str]:
        """Return what the network says now."""
        rng = torch_rng(self.seed, "molecules climb draws", turn)
        return self.emulator.draw(self.strings, rng, self.mode).strings

    def learn(self, scores: Mapping[str, float], said: Mapping[str, str], turn: int) -> None:
        """Teach the best so far."""
        del said
        top = sorted(scores, key=lambda text: (-scores[text], text))[: self.best]
        rows = self.emulator.model.sizes.vocabulary.encode(top).rows
        if not len(rows):
            return
        plan = Plan(
            {"model": Optimiser(self.rate, clip=5.0)},
            steps=self.steps,
            seed=derive(self.seed, "molecules climb", turn),
        )
        rnn = self.emulator.model.rnn
        with one_thread():
            fit(rnn, Lines(rows, None, 64), plan, device="cpu", progress=lambda *_: None)
        rnn.eval()
