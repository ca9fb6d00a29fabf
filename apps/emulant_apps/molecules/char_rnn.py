r"""The char-RNN: a GRU that says a SMILES token by token, and the file of its weights.

    ln p(x | c) = sum_t ln p(x_t | x_<t, c)

is the engine's law of sequences (:class:`emulant.methods.autoregressive.Autoregressive`). The
context begins with the order: 0 says that the string is in RDKit's canonical one, 1 that it
starts at an atom chosen by chance and turns by chance at every branch. New molecules are drawn with
0; with 1 the network goes on from any beginning, which a scaffold's canonical string seldom is.
Properties of the molecule (:data:`~.targets.TARGETS`) may follow, NaN where nothing is told.

Numbers of tokens are those of :mod:`~.vocabulary`; the engine's symbols are the same less
SPECIAL, with -1 after the end.

- Ertl et al., In silico generation of novel, drug-like chemical matter, 2017,
  https://arxiv.org/abs/1712.07449
- Segler et al., Generating Focused Molecule Libraries, 2017, https://arxiv.org/abs/1701.01329
- Arús-Pous et al., Randomized SMILES strings improve the quality of molecular generative models,
  2019, https://doi.org/10.1186/s13321-019-0393-0
- Kotsias et al., Direct steering of de novo molecular generation with descriptor conditional
  recurrent neural networks, 2020, https://doi.org/10.1038/s42256-020-0174-5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emulant.conditions import embed
from emulant.errors import InputError
from emulant.methods.autoregressive import PAD as AFTER
from emulant.methods.autoregressive import Autoregressive
from emulant.methods.game import full_precision
from emulant.nets.initial import initial_parameters
from emulant.nets.recurrent import GRU
from emulant.nets.stepper import Stepper
from emulant.rng import torch_rng
from emulant.store.provenance import Provenance
from emulant.store.tensors import save_tensors
from emulant.store.weights import sizes_of
from emulant.types import Batch, Terms
from emulant_apps.molecules.decoding import Choice
from emulant_apps.molecules.model import FILE, read_weights
from emulant_apps.molecules.prior import Told
from emulant_apps.molecules.saying import speak
from emulant_apps.molecules.targets import TARGETS
from emulant_apps.molecules.vocabulary import END, SPECIAL, START, Vocabulary

__all__ = [
    "FORM",
    "CharModel",
    "CharRNN",
    "CharSizes",
    "build_char",
    "load_char",
    "save_char",
    "symbols_of",
]

FORM = "molecules char-RNN"
ORDER, TOLD = 8, 24
"""Lengths of the embedded order and of the embedded properties."""


@dataclass(frozen=True, slots=True)
class CharSizes:
    """Everything that decides the shapes of the network."""

    words: tuple[str, ...]
    """Tokens of the vocabulary."""
    length: int = 120
    """Most tokens of a string."""
    width: int = 320
    layers: int = 1
    asked: bool = False
    """Whether properties may be asked."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens and the greatest length."""
        return Vocabulary(tuple(self.words), self.length)


def symbols_of(x: Tensor) -> Tensor:
    """Return the engine's symbols of rows of numbers that begin with START: (B, T) -> (B, T - 1).

    >>> symbols_of(torch.tensor([[1, 3, 5, 2, 0]])).tolist()
    [[0, 2, -1, -1]]
    """
    return (x[:, 1:].long() - SPECIAL).clamp(min=AFTER)


class OrderAndProperties(nn.Module):
    """``c -> e``: the order of a string, and what is told of its molecule.

    Shapes: c (B, 1), nothing told, or (B, 1 + P); e (B, ORDER + TOLD).
    """

    def __init__(self, told: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.order = nn.Linear(1, ORDER)
        self.told = Told(*told, TOLD)

    def forward(self, c: Tensor) -> Tensor:
        """Return e."""
        y = c[:, 1:] if c.shape[1] > 1 else c.new_full((len(c), len(self.told.mean)), torch.nan)
        return torch.cat([self.order(c[:, :1]), self.told(y)], 1)


class CharRNN(Autoregressive):
    """The law of strings, for batches cut after the end of their longest.

    A row that ends within the cut has the same probability under the law of that length, which
    is therefore the one that is asked: most strings have a third of the greatest length.
    """

    def __init__(self, sizes: CharSizes, told: tuple[Tensor, Tensor] | None = None) -> None:
        known = len(sizes.words)
        context: nn.Module = nn.Linear(1, ORDER)
        if sizes.asked:
            context = OrderAndProperties(
                told or (torch.zeros(len(TARGETS)), torch.ones(len(TARGETS)))
            )
        embedded = ORDER + TOLD if sizes.asked else ORDER
        net = GRU(known + 1, known + 1, sizes.width, sizes.layers, context, embedded)
        super().__init__(net, known, sizes.length)
        self.symbols, self.length = known, sizes.length

    @property
    def net(self) -> GRU:
        """The network that reads."""
        return cast(GRU, self.model.net)

    def _of_length(self, x: Tensor) -> Autoregressive:
        return Autoregressive(self.net, self.symbols, x.shape[1])

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return ``-E[ln p(x | c)]`` of a batch whose rows all end within it."""
        return self._of_length(batch.x).loss(player, batch, rng)

    def log_prob(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return ln p(x | c) in nats of rows that all end within it, shape (B,)."""
        return self._of_length(x).log_prob(x, c)

    def say(
        self,
        choice: Choice,
        n: int,
        order: float = 0.0,
        asked: NDArray[np.float64] | None = None,
        guidance: float = 1.0,
    ) -> Tensor:
        """Return what ``choice`` makes of the logits, numbers (n, T).

        Parameters
        ----------
        asked
            Properties, shape (P,) or (n, P), NaN where nothing is asked.
        guidance
            g of the logits ``l(x) + g (l(x | asked) - l(x))``: 1 draws from the law of strings with
            what is asked, more exaggerates it (Ho and Salimans, 2022).
        """
        every, contexts = torch.full((1, 1), order), []
        if asked is None or guidance != 1:
            contexts.append(every)
        if asked is not None:
            shape = (1 if asked.ndim == 1 else n, len(TARGETS))
            y = torch.from_numpy(np.broadcast_to(asked, shape).astype(np.float32))
            contexts.append(torch.cat([every.expand(len(y), 1), y], 1))
        voice = _Guided([_Voice(self.net, c, n) for c in contexts], guidance)
        return speak(voice, choice, torch.full((n,), START, dtype=torch.int64), self.length)


class _Guided:
    """One voice, or two, of which the second is exaggerated; all numbers of the vocabulary."""

    def __init__(self, voices: Sequence[_Voice], guidance: float) -> None:
        self.voices, self.guidance = voices, guidance

    def after(self, position: int, numbers: Tensor) -> Tensor:
        """Return the logits (L, V) of all numbers after one more of each."""
        heard = [voice.after(numbers - SPECIAL if position else None) for voice in self.voices]
        logits = heard[0] + self.guidance * (heard[-1] - heard[0]) if heard[1:] else heard[0]
        never = logits.new_full((len(logits), END), -torch.inf)
        return torch.cat([never, logits[:, -1:], logits[:, :-1]], 1)

    def keep(self, still: Tensor) -> None:
        """Forget the strings that are not ``still`` said."""
        for voice in self.voices:
            voice.keep(still)


class _Voice:
    """The network that says n strings to one context each, or one for all, and its memory of each.

    What is the same for all strings is read with the token, once for each of the vocabulary.
    """

    def __init__(self, net: GRU, c: Tensor, n: int) -> None:
        table, self.beside = net.table.weight, embed(net.context, c)
        if self.beside is not None and len(c) == 1:
            table, self.beside = torch.cat([table, self.beside.expand(len(table), -1)], 1), None
        self.step, self.head, self.first = Stepper(net.cells, table), net.head, len(table) - 1
        self.memory = torch.zeros(net.cells.num_layers, n, net.cells.hidden_size)

    def after(self, tokens: Tensor | None) -> Tensor:
        """Return the logits (B, V), the end last, after one more token of each; None: the first."""
        if tokens is None:
            tokens = torch.full((self.memory.shape[1],), self.first)
        h, self.memory = self.step(tokens.clamp(min=0), self.beside, self.memory)
        return full_precision(self.head(h))

    def keep(self, still: Tensor) -> None:
        """Forget the strings that are not ``still`` said."""
        self.memory = self.memory[:, still]
        self.beside = None if self.beside is None else self.beside[still]


@dataclass(frozen=True)
class CharModel:
    """A trained char-RNN, and what must be known about it."""

    rnn: CharRNN
    sizes: CharSizes
    provenance: Provenance | None
    content: str
    """Hash of the weights."""


def build_char(
    sizes: CharSizes, seed: int = 0, told: tuple[Tensor, Tensor] | None = None
) -> CharRNN:
    """Return the char-RNN of ``sizes`` with the initial parameters of ``seed``.

    ``told``: mean and scatter of the properties (P,), where they may be asked.
    """
    with initial_parameters(torch_rng(seed, "molecules", "char-rnn")):
        return CharRNN(sizes, told)


def save_char(
    directory: Path, rnn: CharRNN, sizes: CharSizes, provenance: Provenance, file: str = FILE
) -> str:
    """Write the weights, in half precision, into ``directory``; return their hash."""
    tensors = {f"rnn.{k}": v.half() for k, v in rnn.net.state_dict().items()}
    record = {"kind": FORM, "sizes": asdict(sizes), "provenance": provenance.to_json()}
    return save_tensors(directory / file, tensors, record)


def load_char(directory: Path, file: str = FILE) -> CharModel:
    """Return the char-RNN whose weights are in ``directory``, in single precision.

    Raises
    ------
    InputError
        There are no such weights, or they are damaged or of another kind.
    """
    stored = read_weights(directory, file)
    record: Mapping[str, Any] = stored.metadata
    if record.get("kind") != FORM:
        raise InputError(f"{directory / file}: holds no char-RNN, but a {record.get('kind')}")
    sizes = sizes_of(CharSizes, stored, directory / file)
    rnn = build_char(sizes)
    tensors = {k.removeprefix("rnn."): v.float() for k, v in stored.tensors.items()}
    rnn.net.load_state_dict(tensors)
    provenance = Provenance.from_json(record["provenance"])
    return CharModel(rnn.eval(), sizes, provenance, stored.content)
