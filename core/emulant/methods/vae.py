r"""The variational autoencoder; conditional (CVAE) when it is fed a context.

Notation: event x, context c, latent z; ``q(z | x, c) = N(m, diag v)`` from the encoder,
``p(z) = N(0, I)``, ``p(x | z, c)`` from the decoder and its head. The player pays

    -E_q log p(x | z, c) + beta_t sum_z max(free_bits, mean_B KL(q(z | x, c) || p(z)))

or, with ``importance = K > 1``, minus the tighter bound (L_K increases with K to log p(x | c))

    L_K = E log 1/K sum_k p(x | z_k, c) p(z_k) / q(z_k | x, c),   z_k ~ q.

- Kingma and Welling, Auto-Encoding Variational Bayes, 2013, https://arxiv.org/abs/1312.6114
- Sohn, Lee and Yan, Learning Structured Output Representation using Deep Conditional
  Generative Models, 2015 (CVAE)
- Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2015,
  https://arxiv.org/abs/1509.00519 (L_K, active units)
- Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, 2016,
  https://arxiv.org/abs/1606.04934 (free bits)
- Higgins et al., beta-VAE: Learning Basic Visual Concepts, 2017; its schedules are in
  :mod:`emulant.methods.annealing`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from emulant.latents import Normal
from emulant.likelihoods import Observes
from emulant.methods.game import Generative, evaluating, require_contexts
from emulant.methods.posterior import Posterior, gaussian
from emulant.types import Batch, Terms

__all__ = ["VAE"]


class VAE(Generative):
    """An encoder and a decoder with one bill.

    Arguments
    ---------
    encoder : network ``(x, c) -> (B, 2 Z)``, means and log variances.
    decoder : module that obeys :class:`~emulant.likelihoods.Observes`, such as
        :class:`~emulant.likelihoods.Decoder`.
    latent : number Z of latent coordinates.
    beta : weight of the KL divergence.
    free_bits : nats that each coordinate's KL, mean over the batch, may cost for nothing.
    schedule : factor of beta as a function of the step.
    importance : K; above 1 the bill is -L_K, and beta and free_bits must stay as they are.

    Examples
    --------
    >>> from emulant.likelihoods import Decoder, Gaussian
    >>> from emulant.nets.mlp import MLP
    >>> decoder = Decoder(MLP(2, 3, context=1), Gaussian((3,)))
    >>> vae = VAE(MLP(3, 4, context=1), decoder, latent=2)
    >>> vae.sample(5, torch.Generator().manual_seed(0), c=torch.zeros(5, 1)).shape
    torch.Size([5, 3])
    """

    turns = ("autoencoder",)
    steps_played: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        beta: float = 1.0,
        free_bits: float = 0.0,
        schedule: Callable[[int], float] | None = None,
        importance: int = 1,
    ) -> None:
        super().__init__()
        if not beta >= 0:
            raise ValueError(f"'beta' must not be negative, got {beta}")
        if not free_bits >= 0:
            raise ValueError(f"'free_bits' must not be negative, got {free_bits}")
        if importance < 1:
            raise ValueError(f"'importance' must be at least 1, got {importance}")
        if importance > 1 and (beta, free_bits, schedule) != (1.0, 0.0, None):
            raise ValueError(f"'importance' must be 1 where the KL is weighted, got {importance}")
        if not isinstance(decoder, Observes):
            raise ValueError(f"'decoder' must have 'log_likelihood', got {type(decoder)}")
        self.autoencoder = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        self.prior = Normal((latent,))
        self.latent, self.beta, self.free_bits = latent, beta, free_bits
        self.schedule, self.importance = schedule, importance
        # Part of the state, so that a resumed run goes on with its schedule.
        self.register_buffer("steps_played", torch.zeros((), dtype=torch.int64))

    @property
    def decoder(self) -> Observes:
        """Return p(x | z, c)."""
        return cast(Observes, self.autoencoder["decoder"])

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"autoencoder": self.autoencoder}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return the bill in nats per event; a turn in training mode moves the schedule."""
        if player != "autoencoder":
            raise ValueError(f"'player' must be 'autoencoder', got {player!r}")
        step = int(self.steps_played)
        if self.training:
            self.steps_played += 1
        weight = 1.0 if batch.weight is None else batch.weight
        if self.importance > 1:
            bound = -(weight * self.bound(batch.x, rng, batch.c, self.importance)).mean()
            return Terms(bound, {f"minus_bound_{self.importance}": bound})
        q = self.encode(batch.x, batch.c)
        misfit = -(weight * self.decoder.log_likelihood(batch.x, q.draw(rng), batch.c)).mean()
        kl = (weight * q.kl_by_coordinate().T).mean(1)
        beta = self.beta * (1.0 if self.schedule is None else self.schedule(step))
        total = misfit + beta * kl.clamp(min=self.free_bits).sum()
        return Terms(total, {"misfit": misfit, "kl": kl.sum()})

    def encode(self, x: Tensor, c: Tensor | None = None) -> Posterior:
        """Return q(z | x, c)."""
        return gaussian(self.autoencoder["encoder"](x, c), self.latent)

    def bound(self, x: Tensor, rng: torch.Generator, c: Tensor | None = None, k: int = 1) -> Tensor:
        """Return L_k of each event in nats, shape (B,); k = 1 is the evidence lower bound."""
        q = self.encode(x, c)
        log_weights = []
        for _ in range(k):
            z = q.draw(rng)
            log_weights.append(
                self.decoder.log_likelihood(x, z, c) + self.prior.log_prob(z) - q.log_prob(z)
            )
        return torch.logsumexp(torch.stack(log_weights), 0) - math.log(k)

    def active_units(self, x: Tensor, c: Tensor | None = None, least: float = 0.01) -> int:
        """Return how many latents move with x: Var_x E[z | x] above ``least`` (Burda, eq. 9)."""
        with evaluating(self):
            return int((self.encode(x, c).mean.var(0) > least).sum())

    def reconstruct(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return E[x | z, c] at z = E[z | x, c], shape (B, *X)."""
        with evaluating(self):
            return self.decoder.mean(self.encode(x, c).mean, c)

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events, shape (n, *X)."""
        require_contexts(n, c)
        with evaluating(self):
            return self.decoder.draw(self.prior.draw(n, rng), rng, c)
