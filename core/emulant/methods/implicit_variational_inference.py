r"""Implicit variational inference for a given model, prior- or joint-contrastive.

Notation: a model p(z) p(x | z, c) that is not learned; noise e ~ N(0, I); the posterior's draws
``z = z_phi(x, e, c)`` with law q(z | x, c); the critic's logit T(x, z, c). The two contrasts are

    prior  T = log q(z | x) / p(z)              against (x, z'), z' ~ p(z)
           the posterior pays E_q [T - log p(x | z)]
    joint  T = log q(z | x) p_D(x) / p(x, z)    against (x', z') ~ p(z') p(x' | z', c)
           the posterior pays E_q T; no likelihood is evaluated: the model need only be simulated

and both reach q(z | x, c) = p(z | x, c) wherever events are shown, however frequent they are: p_D
adds to T what z cannot change. The joint one learns from the model's own events, and is slow
where the model makes few.

- Huszar, Variational Inference using Implicit Distributions, 2017,
  https://arxiv.org/abs/1702.08235 (its PC-Adv and JC-Adv)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

from emulant.latents import Prior
from emulant.likelihoods import Observes
from emulant.methods.game import Generative, evaluating, full_precision, require_contexts
from emulant.ratio import logistic
from emulant.types import Batch, Terms

__all__ = ["ImplicitVariationalInference"]


class ImplicitVariationalInference(Generative):
    """A posterior against a critic.

    Arguments
    ---------
    posterior : network ``(x, e, c) -> z`` of shape (B, Z), see :class:`~emulant.nets.joint.Joint`.
    critic : network ``(x, z, c) -> logits`` of shape (B,).
    model : module without parameters that obeys :class:`~emulant.likelihoods.Observes`.
    prior : law of the latents.
    noise : length of e.
    contrast : "prior" or "joint".
    critic_turns : turns of the critic for each turn of the posterior.
    """

    def __init__(
        self,
        posterior: nn.Module,
        critic: nn.Module,
        model: nn.Module,
        prior: Prior,
        noise: int,
        contrast: Literal["prior", "joint"] = "joint",
        critic_turns: int = 1,
    ) -> None:
        super().__init__()
        if not isinstance(model, Observes) or next(model.parameters(), None) is not None:
            raise ValueError("'model' must have 'draw', 'log_likelihood' and no parameters")
        if contrast not in ("prior", "joint"):
            raise ValueError(f"'contrast' must be 'prior' or 'joint', got {contrast!r}")
        if critic_turns < 1:
            raise ValueError(f"'critic_turns' must be at least 1, got {critic_turns}")
        self.turns = ("critic",) * critic_turns + ("posterior",)
        self.posterior, self.critic, self.model = posterior, critic, model
        self.prior, self.noise, self.contrast = prior, noise, contrast

    def players(self) -> Mapping[str, nn.Module]:
        """Return the critic and the posterior."""
        return {"critic": self.critic, "posterior": self.posterior}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays."""
        if batch.weight is not None:
            raise ValueError("'batch.weight' must be None here: resample the events instead")
        x, c = batch.x, batch.c
        if player == "critic":
            with torch.no_grad():
                z = self.infer(x, rng, c)
                other = self.prior.draw(len(x), rng)
                simulated = x if self.contrast == "prior" else self._model.draw(other, rng, c)
            bill = logistic(self._logits(x, z, c), self._logits(simulated, other, c))
            return Terms(bill, {"adversarial": bill})
        if player == "posterior":
            z = self.infer(x, rng, c)
            ratio = self._logits(x, z, c).mean()
            if self.contrast == "joint":
                return Terms(ratio, {"log_ratio": ratio})
            misfit = -self._model.log_likelihood(x, z, c).mean()
            return Terms(ratio + misfit, {"log_ratio": ratio, "misfit": misfit})
        raise ValueError(f"'player' must be 'critic' or 'posterior', got {player!r}")

    @property
    def _model(self) -> Observes:
        return cast(Observes, self.model)

    def _logits(self, x: Tensor, z: Tensor, c: Tensor | None) -> Tensor:
        return full_precision(self.critic(x, z, c))

    def infer(self, x: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return one z ~ q(z | x, c) for each event, shape (B, Z)."""
        e = torch.randn(len(x), self.noise, generator=rng, device=x.device)
        return full_precision(self.posterior(x, e, c))

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events of the model, shape (n, *X)."""
        require_contexts(n, c)
        with evaluating(self):
            return self._model.draw(self.prior.draw(n, rng), rng, c)
