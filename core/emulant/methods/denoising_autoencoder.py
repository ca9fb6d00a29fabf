r"""Denoising autoencoders, plain and stacked.

Notation: event x, context c; a corruption draws x' given x; ``R(x', c)`` restores; p(x | R) is
the law of the head around R. A player pays ``-E log p(x | R(x', c))``, which for a normal head is

    E |x - R(x + sigma e)|^2 / (2 v) + (D / 2) log v + constant,

least at ``R(y) = E[x | x' = y]``. With x' = x + sigma e, e ~ N(0, I), that gives the score of the
corrupted data, ``grad log p_sigma(y) = (R(y) - y) / sigma^2``. Events are drawn by a Markov
chain, ``x' ~ corruption(x), x ~ p(x | R(x'))``, whose stationary law is the data's where the
head's law is the true p(x | x').

The stacked one restores, layer by layer, the code of the layers below: player k pays for
``|h_k - R_k(h_k')|^2``, ``h_k = f_k(... f_1(x))`` without gradients below.

- Vincent et al., Extracting and Composing Robust Features with Denoising Autoencoders, 2008
- Vincent et al., Stacked Denoising Autoencoders, 2010 (JMLR 11)
- Vincent, A Connection Between Score Matching and Denoising Autoencoders, 2011
- Alain and Bengio, What Regularized Auto-Encoders Learn, 2012, https://arxiv.org/abs/1211.4246
- Bengio et al., Generalized Denoising Auto-Encoders as Generative Models, 2013,
  https://arxiv.org/abs/1305.6663
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from emulant.likelihoods import Head
from emulant.methods.game import Generative, evaluating, full_precision, require_contexts
from emulant.types import Batch, Terms

__all__ = ["Additive", "DenoisingAutoencoder", "Masking", "StackedDenoisingAutoencoder"]

Corruption = Callable[[Tensor, torch.Generator], Tensor]
"""``corruption(x, rng) -> x'`` of the same shape."""


@dataclass(frozen=True, slots=True)
class Additive:
    """``x + sigma e`` with e ~ N(0, I); sigma in the unit of x."""

    sigma: float

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return the noisy events."""
        return x + self.sigma * torch.randn(x.shape, generator=rng, device=x.device)


@dataclass(frozen=True, slots=True)
class Masking:
    """Each entry is set to ``value`` with probability ``rate``."""

    rate: float
    value: float = 0.0

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return the masked events."""
        hidden = torch.rand(x.shape, generator=rng, device=x.device) < self.rate
        return x.masked_fill(hidden, self.value)


class DenoisingAutoencoder(Generative):
    """A network that restores corrupted events.

    Arguments
    ---------
    net : network ``(x', c) -> (B, head.width)``.
    head : law of events around what is restored.
    corruption : draws x' given x.
    chain : steps of the Markov chain that draws events.
    """

    turns = ("autoencoder",)

    def __init__(
        self, net: nn.Module, head: Head, corruption: Corruption, chain: int = 100
    ) -> None:
        super().__init__()
        if chain < 1:
            raise ValueError(f"'chain' must be at least 1, got {chain}")
        self.autoencoder = nn.ModuleDict({"net": net, "head": head})
        self.corruption, self.chain = corruption, chain

    @property
    def _head(self) -> Head:
        return cast(Head, self.autoencoder["head"])

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"autoencoder": self.autoencoder}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return ``-E[w log p(x | R(x'))]`` in nats per event."""
        if player != "autoencoder":
            raise ValueError(f"'player' must be 'autoencoder', got {player!r}")
        if batch.x.shape[1:] != self._head.event:
            shape = f"(B, *{self._head.event}), got {tuple(batch.x.shape)}"
            raise ValueError(f"'x' must have shape {shape}")
        weight = 1.0 if batch.weight is None else batch.weight
        h = self.autoencoder["net"](self.corruption(batch.x, rng), batch.c)
        misfit = -(weight * self._head(h).log_prob(batch.x)).mean()
        return Terms(misfit, {"misfit": misfit})

    def restore(self, y: Tensor, c: Tensor | None = None) -> Tensor:
        """Return R(y, c), the mean of clean events given corrupted ones, shape (B, *X)."""
        return self._head.mean(self.autoencoder["net"](y, c))

    def score(self, y: Tensor, c: Tensor | None = None) -> Tensor:
        """Return ``grad log p_sigma(y | c)``, shape (B, *X), of data with additive noise.

        Raises
        ------
        ValueError
            The corruption is not :class:`Additive`.
        """
        if not isinstance(self.corruption, Additive):
            raise ValueError(f"'corruption' must be Additive for a score, got {self.corruption}")
        return (self.restore(y, c) - y) / self.corruption.sigma**2

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return the ends of ``n`` chains that start at zero, shape (n, *X)."""
        require_contexts(n, c)
        with evaluating(self):
            x = torch.zeros(n, *self._head.event, device=rng.device)
            for _ in range(self.chain):
                x = self._head.draw(self.autoencoder["net"](self.corruption(x, rng), c), rng)
            return x


class StackedDenoisingAutoencoder(Generative):
    """Denoising autoencoders, each of the code of those below; one player a layer.

    Arguments
    ---------
    encoders : networks f_k, ``(h_{k-1}, c) -> h_k`` of shape (B, K_k), with h_0 = x flat.
    decoders : networks back, ``(h_k, c) -> h_{k-1}``; R_k is decoder after encoder.
    corruption : draws h' given h, at every layer.
    chain : steps of the Markov chain that draws events.
    """

    spread: Tensor

    def __init__(
        self,
        encoders: Sequence[nn.Module],
        decoders: Sequence[nn.Module],
        corruption: Corruption,
        event: tuple[int, ...],
        chain: int = 100,
    ) -> None:
        super().__init__()
        if len(encoders) != len(decoders) or not encoders:
            raise ValueError(
                f"'decoders' must be {len(encoders)}, at least one, got {len(decoders)}"
            )
        pairs = zip(encoders, decoders, strict=True)
        self.layers = nn.ModuleList(nn.ModuleDict({"f": f, "g": g}) for f, g in pairs)
        self.turns = tuple(f"layer_{k}" for k in range(len(encoders)))
        self.corruption, self.event, self.chain = corruption, event, chain
        # Running mean of the squared error of the whole stack: the variance of p(x | R).
        self.register_buffer("spread", torch.ones(()))

    def players(self) -> Mapping[str, nn.Module]:
        """Return the layers, lowest first."""
        return dict(zip(self.turns, self.layers, strict=True))

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return ``E |h - R(h')|^2`` of the player's layer, a mean over its entries."""
        if player not in self.turns:
            raise ValueError(f"'player' must be one of {list(self.turns)}, got {player!r}")
        if batch.weight is not None:
            raise ValueError("'batch.weight' must be None here: resample the events instead")
        k = self.turns.index(player)
        with torch.no_grad():
            h = self.encode(batch.x, batch.c, depth=k)
        layer = cast(nn.ModuleDict, self.layers[k])
        restored = layer["g"](layer["f"](self.corruption(h, rng), batch.c), batch.c)
        bill = (full_precision(restored) - h).square().mean()
        if self.training and k == len(self.layers) - 1:
            with torch.no_grad():
                whole = self.restore(self.corruption(batch.x, rng), batch.c)
                self.spread.lerp_((whole - batch.x).square().mean(), 0.01)
        return Terms(bill, {"squared_error": bill})

    def encode(self, x: Tensor, c: Tensor | None = None, depth: int | None = None) -> Tensor:
        """Return the code h_depth of ``x``, that of the whole stack where no depth is given."""
        h = x.flatten(1)
        for layer in list(self.layers)[:depth]:
            h = full_precision(cast(nn.ModuleDict, layer)["f"](h, c))
        return h

    def restore(self, y: Tensor, c: Tensor | None = None, depth: int | None = None) -> Tensor:
        """Return what the lowest ``depth`` layers, all by default, make of ``y``, (B, *X)."""
        h = self.encode(y, c, depth)
        for layer in reversed(list(self.layers)[:depth]):
            h = full_precision(cast(nn.ModuleDict, layer)["g"](h, c))
        return h.reshape(len(y), *self.event)

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return the ends of ``n`` chains that start at zero, shape (n, *X)."""
        require_contexts(n, c)
        with evaluating(self):
            x = torch.zeros(n, *self.event, device=rng.device)
            for _ in range(self.chain):
                restored = self.restore(self.corruption(x, rng), c)
                noise = torch.randn(x.shape, generator=rng, device=rng.device)
                x = restored + self.spread.sqrt() * noise
            return x
