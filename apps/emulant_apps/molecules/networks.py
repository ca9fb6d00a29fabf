r"""The networks of the prototype VAE of strings.

Notation: x (B, T) numbers of tokens (START, tokens, END, PAD ...), z (B, Z) latent, P positions,
s in [0, 1] the share of noise in a latent,

    z_s = sqrt(1 - s^2) z + s e ,   e ~ N(0, I) ,

which the decoder is told. Training on a part of the rows with s > 0 (*latent noise*) teaches it
to make a molecule of any latent near the codes, and cures most of the prior's hole; s and e come
in the context c = (s, e), shape (B, 1 + Z), so that the method is the engine's plain VAE.

Our decoder reads the latent at every position, ``f_t = U_t z + c_t``, beside the last token and
in the logits. The published configuration (``cdn``) starts an LSTM from z instead.

- Harel and Radinsky, Prototype-Based Compound Discovery Using Deep Generative Models, 2018,
  https://doi.org/10.1021/acs.molpharmaceut.8b00474
- Gómez-Bombarelli et al., Automatic Chemical Design, 2016, https://arxiv.org/abs/1610.02415
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from emulant.methods.game import full_precision
from emulant.nets.stepper import Stepper
from emulant_apps.molecules.saying import Choose, speak
from emulant_apps.molecules.selfies_words import SelfiesVocabulary
from emulant_apps.molecules.vocabulary import END, PAD, START, Vocabulary

__all__ = [
    "InitialStateDecoder",
    "Kind",
    "ParallelEncoder",
    "PositionDecoder",
    "PositionEncoder",
    "Sizes",
    "StringDecoder",
]

Kind = Literal["positions", "cdn"]
Read = Callable[[Tensor, Tensor, Any], tuple[Tensor, Any]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Everything that decides the shapes of the networks."""

    kind: Kind
    words: tuple[str, ...]
    """Tokens of the vocabulary."""
    length: int
    """Most tokens of a string."""
    latent: int = 64
    width: int = 384
    """Units of the recurrent decoder."""
    strings: Literal["smiles", "selfies"] = "smiles"
    """What the tokens are of."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens and the greatest length."""
        if self.strings == "selfies":
            return SelfiesVocabulary(tuple(self.words), self.length)
        return Vocabulary(tuple(self.words), self.length)

    @property
    def positions(self) -> int:
        """What is said of one string: its tokens and END."""
        return self.length + 1


def _fitted(x: Tensor, positions: int) -> Tensor:
    """Return the said tokens, without START, padded to ``positions``, (B, P)."""
    said = x[:, 1 : positions + 1]
    return nn.functional.pad(said, (0, positions - said.shape[1]), value=PAD)


class PositionEncoder(nn.Module):
    """Two convolutions, all positions flattened, and a dense layer: means and log variances."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.positions = sizes.positions
        self.table = nn.Embedding(sizes.vocabulary.size, 32)
        self.near = nn.Conv1d(32, 64, 5, padding=2)
        self.far = nn.Conv1d(64, 32, 5, padding=2)
        self.dense = nn.Linear(32 * sizes.positions, 320)
        self.head = nn.Linear(320, 2 * sizes.latent)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return means and log variances, shape (B, 2 Z)."""
        del c
        h = self.table(_fitted(x, self.positions)).transpose(1, 2)
        h = nn.functional.gelu(self.far(nn.functional.gelu(self.near(h))))
        h = self.head(nn.functional.gelu(self.dense(h.flatten(1))))
        mean, log_variance = full_precision(h).chunk(2, 1)
        return torch.cat([mean, log_variance.clamp(-10, 2)], 1)


class ParallelEncoder(nn.Module):
    """The published encoder: four widths of convolution side by side, flattened; dense 450."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.positions = max(sizes.positions, 6)
        self.table = nn.Embedding(sizes.vocabulary.size, 128)
        self.near = nn.ModuleList(nn.Conv1d(128, 128, width) for width in (3, 4, 5, 6))
        seen = sum(self.positions - width + 1 for width in (3, 4, 5, 6))
        self.dense = nn.Linear(128 * seen, 450)
        self.head = nn.Linear(450, 2 * sizes.latent)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return means and log variances, shape (B, 2 Z)."""
        del c
        h = self.table(_fitted(x, self.positions)).transpose(1, 2)
        seen = [nn.functional.relu(net(h)).flatten(1) for net in self.near]
        h = self.head(nn.functional.relu(self.dense(torch.cat(seen, 1))))
        mean, sigma = full_precision(h).chunk(2, 1)
        return torch.cat([mean, 2 * nn.functional.softplus(sigma).log()], 1)


class StringDecoder(nn.Module):
    """What both decoders share: the likelihood of a string and saying one, token by token."""

    positions: int
    """Tokens that it says at most, END included."""

    def noisy(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return (z_s, s), shape (B, Z + 1)."""
        if c is None:
            return torch.cat([z, torch.zeros_like(z[:, :1])], 1)
        s, e = c[:, :1], c[:, 1:]
        return torch.cat([(1 - s.square()).sqrt() * z + s * e, s], 1)

    def begin(self, zs: Tensor) -> tuple[Tensor, Any]:
        """Return what is read of the latent at each position (B, P, F), and the first memory."""
        raise NotImplementedError

    def read(self, x: Tensor, f: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Return the logits after each token of ``x`` (B, T, V), and the memory."""
        raise NotImplementedError

    def log_likelihood(self, x: Tensor, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return log p(x | z_s, s) in nats, shape (B,)."""
        f, memory = self.begin(self.noisy(z, c))
        logits, _ = self.read(x[:, :-1], f[:, : x.shape[1] - 1], memory)
        bill = nn.functional.cross_entropy(
            full_precision(logits).flatten(0, 1), x[:, 1:].flatten(),
            ignore_index=PAD, reduction="none",
        )  # fmt: skip
        return -bill.reshape(len(x), -1).sum(1)

    def reader(self) -> Read:
        """Return what reads one token of each row: (B,), (B, F) and memory to logits and memory."""

        def read(x: Tensor, f: Tensor, memory: Any) -> tuple[Tensor, Any]:
            logits, memory = self.read(x[:, None], f[:, None], memory)
            return logits[:, 0], memory

        return read

    def say(self, z: Tensor, choose: Choose, c: Tensor | None = None) -> Tensor:
        """Return what ``choose`` makes of the logits, token by token, shape (B, P)."""
        voice = _Voice(self.reader(), *self.begin(self.noisy(z, c)))
        first = torch.full((len(z),), START, dtype=torch.int64, device=z.device)
        rows = speak(voice, choose, first, self.positions)
        return nn.functional.pad(rows, (0, self.positions - rows.shape[1]), value=PAD)

    def draw(self, z: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return one string for each latent, shape (B, P)."""

        def choose(_: int, logits: Tensor, __: Tensor) -> Tensor:
            return torch.multinomial(logits.softmax(1), 1, generator=rng)[:, 0]

        return self.say(z, choose, c)

    def mean(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the likeliest string token by token, for strings have no mean, shape (B, P)."""
        return self.say(z, lambda _, logits, __: logits.argmax(1), c)

    def search(self, z: Tensor, width: int, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the likeliest string that a beam search finds, (B, P), and its ln p, (B,).

        ``width`` beginnings of each are kept; one that ends stays with its ln p. A string that does
        not end is returned only where none does.
        """
        n = len(z)
        f, memory = self.begin(self.noisy(z, c))
        copies, read = torch.arange(n, device=z.device).repeat_interleave(width), self.reader()
        memory = _rows(memory, copies)
        said = torch.full((n, width, self.positions), PAD, device=z.device)
        score = torch.full((n, width), -torch.inf, dtype=torch.float64, device=z.device)
        score[:, 0] = 0.0  # the others are no beginnings yet
        ended = torch.zeros_like(score, dtype=torch.bool)
        token = torch.full((n * width,), START, device=z.device)
        for t in range(self.positions):
            logits, memory = read(token, f[copies, t], memory)
            logits = full_precision(logits)
            logits[:, :END] = -torch.inf
            ln_p = logits.log_softmax(1).double().reshape(n, width, -1)
            ln_p = ln_p.masked_fill(ended[:, :, None], -torch.inf)
            ln_p[:, :, PAD] = ln_p[:, :, PAD].masked_fill(ended, 0.0)
            score, best = (score[:, :, None] + ln_p).flatten(1).topk(width, 1)
            parent, number = best // ln_p.shape[2], best % ln_p.shape[2]
            said = said.gather(1, parent[:, :, None].expand_as(said))
            said[:, :, t] = number
            ended = ended.gather(1, parent) | (number == END)
            if bool(ended.all()):
                break
            rows = (torch.arange(n, device=z.device)[:, None] * width + parent).flatten()
            memory, token = _rows(memory, rows), number.flatten()
        best = torch.where(ended, score, score - 1e6).argmax(1)
        every = torch.arange(n, device=z.device)
        return said[every, best], score[every, best]


class _Voice:
    """A decoder that reads its latents (B, P, F), and what it remembers of each string."""

    def __init__(self, read: Read, f: Tensor, memory: Any) -> None:
        self.read, self.f, self.memory = read, f, memory
        self.live = torch.arange(len(f), device=f.device)

    def after(self, position: int, numbers: Tensor) -> Tensor:
        """Return the logits (L, V) after one more number of each."""
        logits, self.memory = self.read(numbers, self.f[self.live, position], self.memory)
        return full_precision(logits)

    def keep(self, still: Tensor) -> None:
        """Forget the strings that are not ``still`` said."""
        self.live, self.memory = self.live[still], _rows(self.memory, still)


def _rows(memory: Any, rows: Tensor) -> Any:
    """Return the memories (layers, B, H), one or several, of some rows."""
    if isinstance(memory, tuple):
        return tuple(part[:, rows].contiguous() for part in memory)
    return memory[:, rows].contiguous()


class PositionDecoder(StringDecoder):
    """A GRU that reads the latent anew at every position."""

    def __init__(self, sizes: Sizes, seen: int = 64, embedded: int = 64) -> None:
        super().__init__()
        self.positions = sizes.positions
        numbers, inputs = sizes.vocabulary.size, sizes.latent + 1
        self.table = nn.Embedding(numbers, embedded)
        self.first = nn.Linear(inputs, sizes.width)
        self.at = nn.Linear(inputs, sizes.positions * seen)
        self.cells = nn.GRU(embedded + seen, sizes.width, batch_first=True)
        self.head = nn.Linear(sizes.width, numbers)
        self.hint = nn.Linear(seen, numbers, bias=False)
        nn.init.zeros_(self.hint.weight)

    def begin(self, zs: Tensor) -> tuple[Tensor, Any]:
        """Return U_t z + c_t and the first state."""
        f = self.at(zs).reshape(len(zs), self.positions, -1)
        return f, torch.tanh(self.first(zs))[None]

    def read(self, x: Tensor, f: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Return the logits after each token, (B, T, V), and the state."""
        h, memory = self.cells(torch.cat([self.table(x), f.to(self.table.weight.dtype)], 2), memory)
        return self.head(h) + self.hint(f), memory

    def reader(self) -> Read:
        """Return what reads one token of each row, without gradients, and soon."""
        step = Stepper(self.cells, self.table.weight)

        def read(x: Tensor, f: Tensor, memory: Any) -> tuple[Tensor, Any]:
            h, memory = step(x, f, memory)
            return self.head(h) + self.hint(f), memory

        return read


class InitialStateDecoder(StringDecoder):
    """The published decoder: one LSTM whose first state and cell are the halves of z."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.positions = sizes.positions
        self.units = sizes.latent // 2
        self.table = nn.Embedding(sizes.vocabulary.size, 128)
        self.cells = nn.LSTM(128, self.units, batch_first=True)
        self.head = nn.Linear(self.units, sizes.vocabulary.size)

    def begin(self, zs: Tensor) -> tuple[Tensor, Any]:
        """Return nothing to read at a position, and z as state and cell."""
        state, cell = zs[:, : self.units], zs[:, self.units : 2 * self.units]
        nothing = zs.new_zeros(len(zs), self.positions, 0)
        return nothing, (state[None].contiguous(), cell[None].contiguous())

    def read(self, x: Tensor, f: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Return the logits after each token, (B, T, V), and the state."""
        del f
        h, memory = self.cells(self.table(x), memory)
        return self.head(h), memory
