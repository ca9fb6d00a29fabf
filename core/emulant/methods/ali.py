r"""Adversarially learned inference, also known as bidirectional GAN.

Two joint laws of event and latent, ``q(x, z) = p_data(x) q(z | x)`` and
``p(x, z) = p(z) p(x | z)``, and a critic T(x, z) that tells them apart:

    critic:    E_q softplus(-T(x, z)) + E_p softplus(T(x, z))
    generator: E_q softplus(T(x, z)) + E_p softplus(-T(x, z))        (encoder and decoder)

Where the laws agree, so do their conditionals: q(z | x) is the posterior. Here
``q(z | x) = N(m(x), v(x))`` and ``p(x | z) = N(G(z), noise^2)``, G alone where noise is 0.
Agreement does not fix the pairing of x and z where G can be anything: with a deterministic G
and encoder they are each other's inverse (Donahue et al., theorem 2).

- Dumoulin et al., Adversarially Learned Inference, 2016, https://arxiv.org/abs/1606.00704
- Donahue, Kraehenbuehl and Darrell, Adversarial Feature Learning, 2016,
  https://arxiv.org/abs/1605.09782
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import torch
from torch import Tensor, nn

from emulant.latents import Prior, reparameterise
from emulant.methods.adversarial import AdversarialLoss, NonSaturating, Regulariser
from emulant.methods.critic_bill import critic_bill, due
from emulant.methods.game import Generative, evaluating, full_precision, require_contexts
from emulant.types import Batch, Terms

__all__ = ["ALI"]


class ALI(Generative):
    """An encoder and a decoder against a critic of pairs.

    Arguments
    ---------
    encoder : network ``(x, c) -> (mean, log variance)`` of z side by side, shape (B, 2 Z).
    decoder : network ``(z, c) -> x``.
    critic : network ``critic(x, z) -> logits`` (B,); with a context, ``critic(x, (z, c))``.
    prior : law of z, a vector of length Z.
    noise : deviation of p(x | z) around G(z), in the unit of x.
    loss, regularisers : as in :class:`~emulant.methods.gan.GAN`; slopes are those of pairs.

    Examples
    --------
    >>> from emulant.latents import Normal
    >>> from emulant.nets.mlp import MLP, MLPCritic
    >>> ali = ALI(MLP(2, 2), MLP(1, 2), MLPCritic(2, context=1), Normal((1,)))
    >>> x = ali.sample(5, torch.Generator().manual_seed(0))
    >>> ali.encode(x, torch.Generator().manual_seed(1)).shape
    torch.Size([5, 1])
    """

    critic_turns_played: Tensor
    turns = ("critic", "generator")

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        critic: nn.Module,
        prior: Prior,
        noise: float = 0.0,
        loss: AdversarialLoss | None = None,
        regularisers: Sequence[Regulariser] = (),
    ) -> None:
        super().__init__()
        if not noise >= 0:
            raise ValueError(f"'noise' must not be negative, got {noise}")
        self.generator = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        self.critic, self.prior, self.noise = critic, prior, noise
        self.adversarial_loss: AdversarialLoss = NonSaturating() if loss is None else loss
        self.regularisers = tuple(regularisers)
        self.register_buffer("critic_turns_played", torch.zeros((), dtype=torch.int64))

    def players(self) -> Mapping[str, nn.Module]:
        """Return the critic and the generator, which is encoder and decoder."""
        return {"critic": self.critic, "generator": self.generator}

    def _encode(self, x: Tensor, rng: torch.Generator, c: Tensor | None) -> Tensor:
        mean, log_variance = self.generator["encoder"](x, c).chunk(2, 1)
        return reparameterise(mean, log_variance, rng)

    def _decode(self, z: Tensor, rng: torch.Generator, c: Tensor | None) -> Tensor:
        x: Tensor = self.generator["decoder"](z, c)
        if self.noise == 0:
            return x
        return x + self.noise * torch.randn(x.shape, generator=rng, device=x.device)

    def _pairs(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return pairs (x, z) of q and of p, flat and side by side, (B, X + Z)."""
        z = self.prior.draw(len(batch), rng)
        fake = self._decode(z, rng, batch.c)
        if fake.shape != batch.x.shape:
            shapes = f"{tuple(batch.x.shape)}, got {tuple(fake.shape)}"
            raise ValueError(f"'decoder' must give events of the shape of the data, {shapes}")
        known = self._encode(batch.x, rng, batch.c)
        return torch.cat([batch.x.flatten(1), known], 1), torch.cat([fake.flatten(1), z], 1)

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays; a critic's turn in training mode is counted."""
        if batch.weight is not None:
            raise ValueError("'batch.weight' must be None in ALI: resample the events instead")
        if player not in self.turns:
            raise ValueError(f"'player' must be 'critic' or 'generator', got {player!r}")
        event = batch.x.shape[1:]

        def critic(pair: Tensor, c: Tensor | None) -> Tensor:
            x, z = pair[:, : prod(event)].reshape(len(pair), *event), pair[:, prod(event) :]
            beside = z if c is None else torch.cat([z, c.flatten(1).to(z.dtype)], 1)
            return full_precision(self.critic(x, beside))

        pays = self.adversarial_loss
        if player == "critic":
            with torch.no_grad():
                q, p = self._pairs(batch, rng)
            penalties = due(self.regularisers, int(self.critic_turns_played))
            if self.training:
                self.critic_turns_played += 1
            return critic_bill(critic, pays, penalties, q, p, batch.c, rng)
        r, f = (critic(pair, batch.c) for pair in self._pairs(batch, rng))
        total = pays.generator(r, f) if pays.paired else pays.generator(None, f)
        if not pays.paired:  # the encoder's side of the game is the decoder's with T -> -T
            total = total + pays.generator(None, -r)
        return Terms(total, {"adversarial": total})

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events, shape (n, *X)."""
        require_contexts(n, c)
        with evaluating(self):
            return self._decode(self.prior.draw(n, rng), rng, c)

    def encode(self, x: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return latents drawn from q(z | x, c), shape (B, Z)."""
        with evaluating(self):
            return self._encode(x, rng, c)

    def reconstruct(self, x: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``G(z)`` for z drawn from q(z | x, c), shape (B, *X), without noise."""
        with evaluating(self):
            y: Tensor = self.generator["decoder"](self._encode(x, rng, c), c)
            return y
