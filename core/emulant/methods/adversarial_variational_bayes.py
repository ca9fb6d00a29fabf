r"""Adversarial variational Bayes: a posterior without a density, with adaptive contrast.

Notation: event x, context c, noise e ~ N(0, I), latent ``z = z_phi(x, e, c)`` with the law
q(z | x, c) that can be drawn but not evaluated; prior p(z); p(x | z, c) from the model; the
critic's logit T. The contrast r(z | x, c) is the prior or, adaptive, the normal law N(m, diag s^2)
with the moments of q(. | x, c), estimated from ``draws`` latents an event. With
``u = (z - m) / s`` (``u = z`` without it) the turns are

    critic       E_q softplus(-T(x, u)) + E_r softplus(T(x, u)),   so that T = log q / r
    autoencoder  E_q [T(x, u) + log r(z | x, c) - log p(z) - log p(x | z, c)]

in whose second line T is fixed (its gradient in phi has mean zero, proposition 2) and only z moves.

- Mescheder, Nowozin and Geiger, Adversarial Variational Bayes: Unifying Variational
  Autoencoders and Generative Adversarial Networks, 2017, https://arxiv.org/abs/1701.04722
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from emulant.latents import Prior
from emulant.likelihoods import Observes
from emulant.methods.game import Generative, evaluating, full_precision, require_contexts
from emulant.ratio import logistic
from emulant.types import Batch, Terms

__all__ = ["AdversarialVariationalBayes"]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Latents of a batch in which every event stands ``draws`` times."""

    x: Tensor
    c: Tensor | None
    z: Tensor
    """Shape (B draws, Z)."""
    m: Tensor
    s: Tensor
    """Moments of the contrast, detached, shape of ``z``."""

    @property
    def u(self) -> Tensor:
        return (self.z - self.m) / self.s


class AdversarialVariationalBayes(Generative):
    """An implicit encoder and a model, against a critic of pairs of event and latent.

    Arguments
    ---------
    encoder : network ``(x, e, c) -> z`` of shape (B, Z), see :class:`~emulant.nets.joint.Joint`.
    model : module that obeys :class:`~emulant.likelihoods.Observes`; one without parameters
        leaves pure inference.
    critic : network ``(x, u, c) -> logits`` of shape (B,).
    prior : law of the latents, with a density.
    noise : length of e.
    draws : latents for each event of a batch.
    adaptive : whether the contrast has the moments of the posterior; needs 8 draws or more.
    critic_turns : turns of the critic for each turn of the autoencoder.
    """

    def __init__(
        self,
        encoder: nn.Module,
        model: nn.Module,
        critic: nn.Module,
        prior: Prior,
        noise: int,
        draws: int = 1,
        adaptive: bool = False,
        critic_turns: int = 1,
    ) -> None:
        super().__init__()
        if not isinstance(model, Observes):
            raise ValueError(f"'model' must have 'log_likelihood', got {type(model)}")
        if draws < (8 if adaptive else 1):
            least = "8 for moments" if adaptive else "1"
            raise ValueError(f"'draws' must be at least {least}, got {draws}")
        if critic_turns < 1:
            raise ValueError(f"'critic_turns' must be at least 1, got {critic_turns}")
        self.turns = ("critic",) * critic_turns + ("autoencoder",)
        self.autoencoder = nn.ModuleDict({"encoder": encoder, "model": model})
        self.critic = critic
        self.prior, self.noise, self.draws, self.adaptive = prior, noise, draws, adaptive

    def players(self) -> Mapping[str, nn.Module]:
        """Return the critic and the autoencoder."""
        return {"critic": self.critic, "autoencoder": self.autoencoder}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays, in nats per event."""
        if batch.weight is not None:
            raise ValueError("'batch.weight' must be None here: resample the events instead")
        if player == "critic":
            with torch.no_grad():
                drawn = self._draw(batch, rng)
                contrast = self._contrast(drawn, rng)
            bill = logistic(self._logits(drawn, drawn.u), self._logits(drawn, contrast))
            return Terms(bill, {"adversarial": bill})
        if player == "autoencoder":
            drawn = self._draw(batch, rng)
            kl = self._logits(drawn, drawn.u)
            if self.adaptive:
                log_r = -0.5 * (drawn.u.square() + math.log(2 * math.pi)) - drawn.s.log()
                kl = kl + log_r.sum(1) - self.prior.log_prob(drawn.z)
            misfit = -self.model.log_likelihood(drawn.x, drawn.z, drawn.c)
            parts = {"misfit": misfit.mean(), "kl": kl.mean()}
            return Terms(parts["misfit"] + parts["kl"], parts)
        raise ValueError(f"'player' must be 'critic' or 'autoencoder', got {player!r}")

    @property
    def model(self) -> Observes:
        """Return p(x | z, c)."""
        return cast(Observes, self.autoencoder["model"])

    def _draw(self, batch: Batch, rng: torch.Generator) -> _Drawn:
        x, c = (
            None if t is None else t.repeat_interleave(self.draws, 0) for t in (batch.x, batch.c)
        )
        x = cast(Tensor, x)
        z = self.infer(x, rng, c)
        if not self.adaptive:
            return _Drawn(x, c, z, torch.zeros_like(z), torch.ones_like(z))
        grouped = z.detach().reshape(len(batch), self.draws, -1)
        m, s = grouped.mean(1), grouped.std(1).clamp(min=1e-3)
        return _Drawn(x, c, z, *(t.repeat_interleave(self.draws, 0) for t in (m, s)))

    def _contrast(self, drawn: _Drawn, rng: torch.Generator) -> Tensor:
        """Return u of latents of the contrast."""
        if not self.adaptive:
            return self.prior.draw(len(drawn.z), rng)
        return torch.randn(drawn.z.shape, generator=rng, device=drawn.z.device)

    def _logits(self, drawn: _Drawn, u: Tensor) -> Tensor:
        return full_precision(self.critic(drawn.x, u, drawn.c))

    def infer(self, x: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return one z ~ q(z | x, c) for each event, shape (B, Z)."""
        e = torch.randn(len(x), self.noise, generator=rng, device=x.device)
        return full_precision(self.autoencoder["encoder"](x, e, c))

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events of the model under the prior, shape (n, *X)."""
        require_contexts(n, c)
        with evaluating(self):
            return self.model.draw(self.prior.draw(n, rng), rng, c)
