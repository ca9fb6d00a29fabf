r"""The adversarial autoencoder: any prior that one can draw from.

Notation: event x, context c, latent z; ``q(z | x, c)`` from the encoder, plain or normal;
prior p(z), of which only draws are needed; the critic's logit T(z, c). The aggregated posterior is
``q(z | c) = E_{p(x | c)} q(z | x, c)``. In turns

    critic       E_p(z) softplus(-T) + E_q(z | c) softplus(T)
    autoencoder  -E_q log p(x | z, c) + weight E_q(z | c) softplus(-T)

so that at the optimum the aggregated posterior is the prior, and ``z ~ p, x ~ p(x | z, c)`` draws
from the data. Encoder and decoder are one player: the paper's two phases share the encoder.

- Makhzani et al., Adversarial Autoencoders, 2015, https://arxiv.org/abs/1511.05644
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from emulant.likelihoods import Observes
from emulant.methods.adversarial import AdversarialLoss, NonSaturating, Regulariser
from emulant.methods.critic_bill import critic_bill, due
from emulant.methods.game import Generative, evaluating, full_precision, require_contexts
from emulant.methods.posterior import gaussian
from emulant.types import Batch, Terms

__all__ = ["AdversarialAutoencoder", "DrawsLatents"]


class DrawsLatents(Protocol):
    """A prior without a density: a cloud, a mixture, a swiss roll."""

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` latents, shape (n, Z)."""
        ...


class AdversarialAutoencoder(Generative):
    """An autoencoder against a critic of its latents.

    Arguments
    ---------
    encoder : network ``(x, c) -> (B, Z)``, or ``(B, 2 Z)`` where ``stochastic``.
    decoder : module that obeys :class:`~emulant.likelihoods.Observes`.
    critic : network ``(z, c) -> logits`` of shape (B,).
    prior : draws latents of shape (Z,).
    latent : number Z of latent coordinates.
    weight : of the adversarial term, in nats of the reconstruction.
    stochastic : whether the encoder returns means and log variances.
    regularisers : penalties on the critic.
    """

    turns = ("critic", "autoencoder")
    critic_turns_played: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        critic: nn.Module,
        prior: DrawsLatents,
        latent: int,
        weight: float = 1.0,
        stochastic: bool = False,
        regularisers: Sequence[Regulariser] = (),
    ) -> None:
        super().__init__()
        if not isinstance(decoder, Observes):
            raise ValueError(f"'decoder' must have 'log_likelihood', got {type(decoder)}")
        if not weight >= 0:
            raise ValueError(f"'weight' must not be negative, got {weight}")
        self.autoencoder = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        self.critic = critic
        self.prior, self.latent = prior, latent
        self.weight, self.stochastic = weight, stochastic
        self.regularisers = tuple(regularisers)
        self.adversarial_loss: AdversarialLoss = NonSaturating()
        # Part of the state, so that a resumed run pays its lazy penalties on the same turns.
        self.register_buffer("critic_turns_played", torch.zeros((), dtype=torch.int64))

    def players(self) -> Mapping[str, nn.Module]:
        """Return the critic and the autoencoder."""
        return {"critic": self.critic, "autoencoder": self.autoencoder}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays."""
        if batch.weight is not None:
            raise ValueError("'batch.weight' must be None here: resample the events instead")
        if player == "critic":
            return self._critic_bill(batch, rng)
        if player == "autoencoder":
            z = self.encode(batch.x, rng, batch.c)
            misfit = -self._decoder.log_likelihood(batch.x, z, batch.c).mean()
            fooling = self.adversarial_loss.generator(None, self._logits(z, batch.c))
            parts = {"misfit": misfit, "adversarial": fooling}
            return Terms(misfit + self.weight * fooling, parts)
        raise ValueError(f"'player' must be 'critic' or 'autoencoder', got {player!r}")

    def _critic_bill(self, batch: Batch, rng: torch.Generator) -> Terms:
        penalties = due(self.regularisers, int(self.critic_turns_played))
        if self.training:
            self.critic_turns_played += 1
        with torch.no_grad():
            fake = self.encode(batch.x, rng, batch.c)
        real = self.prior.draw(len(batch), rng)
        return critic_bill(self._logits, self.adversarial_loss, penalties, real, fake, batch.c, rng)

    @property
    def _decoder(self) -> Observes:
        return cast(Observes, self.autoencoder["decoder"])

    def _logits(self, z: Tensor, c: Tensor | None) -> Tensor:
        return full_precision(self.critic(z, c))

    def encode(self, x: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return z ~ q(z | x, c), shape (B, Z)."""
        encoded = full_precision(self.autoencoder["encoder"](x, c))
        if self.stochastic:
            return gaussian(encoded, self.latent).draw(rng)
        if encoded.shape != (len(x), self.latent):
            shape = f"(B, {self.latent}), got {tuple(encoded.shape)}"
            raise ValueError(f"'encoder' must return shape {shape}")
        return encoded

    def reconstruct(self, x: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return E[x | z, c] at z ~ q(z | x, c), shape (B, *X)."""
        with evaluating(self):
            return self._decoder.mean(self.encode(x, rng, c), c)

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events, shape (n, *X)."""
        require_contexts(n, c)
        with evaluating(self):
            return self._decoder.draw(self.prior.draw(n, rng), rng, c)
