r"""Autoregressive models of sequences of tokens.

    log q(s | c) = sum_t log q(s_t | s_<t, c) ,

over symbols 0 ... V - 1 and an end. An event is a row of ``length`` integers: the symbols of a
sequence, then -1 wherever it has ended. A sequence of full length ends by force, at no cost, so
that q is a normalised law over all sequences of at most ``length`` symbols; where all data are
of full length the end never comes and q is a law over those.

- Bengio et al., A Neural Probabilistic Language Model, 2003,
  https://www.jmlr.org/papers/v3/bengio03a.html
- Segler et al., Generating Focused Molecule Libraries (temperature; SMILES), 2017,
  https://arxiv.org/abs/1701.01329
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from emulant.methods.game import evaluating, full_precision, require_contexts
from emulant.methods.maximum_likelihood import MaximumLikelihood
from emulant.nets.recurrent import Heard

__all__ = ["PAD", "Autoregressive"]

PAD = -1
"""Fills a row after the end of its sequence."""


class _Sentences(nn.Module):
    """A network that reads tokens, as a law over sequences: it draws and scores.

    Tokens 0 ... V - 1 are symbols, V is the start; logit V is the end.
    """

    def __init__(self, net: nn.Module, symbols: int, length: int) -> None:
        super().__init__()
        self.net, self.symbols, self.length = net, symbols, length

    def _check(self, x: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] != self.length or x.is_floating_point():
            rule = f"be integers of shape (B, {self.length})"
            raise ValueError(f"'x' must {rule}, got {x.dtype} {tuple(x.shape)}")
        if bool(((x < PAD) | (x >= self.symbols)).any()):
            raise ValueError(f"'x' must hold symbols 0 ... {self.symbols - 1} or {PAD}, got {x}")
        if bool(((x[:, :-1] == PAD) & (x[:, 1:] != PAD)).any()):
            raise ValueError(f"'x' must hold nothing but {PAD} after the first {PAD}")

    def log_prob(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return log q(x | c) in nats, shape (B,)."""
        self._check(x)
        start = torch.full_like(x[:, :1], self.symbols)
        read = torch.cat([start, x[:, :-1]], 1)
        ended = read == PAD  # what the network says there is not asked
        heard: Heard[object] = self.net(read.masked_fill(ended, self.symbols), c)
        log_q = full_precision(heard.logits).log_softmax(2)
        said = x.masked_fill(x == PAD, self.symbols)
        return log_q.gather(2, said[:, :, None]).squeeze(2).masked_fill(ended, 0.0).sum(1)

    def draw(
        self, n: int, rng: torch.Generator, c: Tensor | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Return ``n`` sequences, shape (n, length)."""
        token = torch.full((n, 1), self.symbols, dtype=torch.int64, device=rng.device)
        ended, memory, said = torch.zeros_like(token, dtype=torch.bool), None, []
        for _ in range(self.length):
            heard: Heard[object] = self.net(token, c, memory)
            memory = heard.memory
            q = (full_precision(heard.logits[:, 0]) / temperature).softmax(1)
            token = torch.multinomial(q, 1, generator=rng)
            ended = ended | (token == self.symbols)
            said.append(token.masked_fill(ended, PAD))
        return torch.cat(said, 1)


class Autoregressive(MaximumLikelihood):
    """A network that reads, fitted to say what comes next.

    Arguments
    ---------
    net : ``net(tokens, c, memory) -> Heard`` that reads ``symbols + 1`` tokens and answers as
        many logits: :class:`~emulant.nets.recurrent.GRU` or
        :class:`~emulant.nets.transformer.Transformer`.
    symbols : number of symbols V.
    length : most symbols of a sequence.

    Examples
    --------
    >>> from emulant.nets.recurrent import GRU
    >>> model = Autoregressive(GRU(5, 5, width=8), symbols=4, length=6)
    >>> x = model.sample(3, torch.Generator().manual_seed(0), temperature=0.5)
    >>> x.shape, model.log_prob(x).shape
    (torch.Size([3, 6]), torch.Size([3]))
    """

    def __init__(self, net: nn.Module, symbols: int, length: int) -> None:
        if symbols < 1 or length < 1:
            raise ValueError(f"'symbols' and 'length' must be positive, got {symbols}, {length}")
        super().__init__(_Sentences(net, symbols, length))

    def sample(
        self,
        n: int,
        rng: torch.Generator,
        c: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Return ``n`` sequences, shape (n, length); symbol by symbol ``q^(1/temperature)``."""
        require_contexts(n, c)
        if not temperature > 0:
            raise ValueError(f"'temperature' must be positive, got {temperature}")
        with evaluating(self):
            return cast(_Sentences, self.model).draw(n, rng, c, temperature)
