r"""Generative adversarial networks, conditional when they are fed a context.

The critic's turn: ``loss.critic(T(x, c), T(G(c), c))`` plus the regularisers that are due.
The generator's turn: ``loss.generator(T(x, c), T(G(c), c))`` plus its companions.

- Goodfellow et al., Generative Adversarial Nets, 2014, https://arxiv.org/abs/1406.2661
- Mirza and Osindero, Conditional Generative Adversarial Nets, 2014,
  https://arxiv.org/abs/1411.1784
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from emulant.methods.adversarial import AdversarialLoss, NonSaturating, Regulariser
from emulant.methods.companions import Companion
from emulant.methods.critic_bill import critic_bill, due
from emulant.methods.game import (
    Draws,
    Generative,
    evaluating,
    full_precision,
    require_contexts,
)
from emulant.types import Batch, Terms

__all__ = ["GAN"]


class GAN(Generative):
    """A generator against a critic.

    Arguments
    ---------
    generator : network that obeys :class:`~emulant.methods.game.Draws`.
    critic : network, ``critic(x, c) -> logits`` of shape (B,).
    loss : what each side pays.
    regularisers : penalties on the critic; lazy ones count its turns.
    companions : further terms of the generator's bill.
    critic_turns : turns of the critic for each turn of the generator.

    Examples
    --------
    >>> from emulant.latents import Normal, Pushforward
    >>> from emulant.methods.adversarial import R1
    >>> from emulant.nets.mlp import MLP, MLPCritic
    >>> generator = Pushforward(MLP(2, 1, context=1), Normal((2,)))
    >>> gan = GAN(generator, MLPCritic(1, context=1), regularisers=(R1(0.1, every=4),))
    >>> gan.sample(5, torch.Generator().manual_seed(0), c=torch.zeros(5, 1)).shape
    torch.Size([5, 1])
    """

    critic_turns_played: Tensor

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        loss: AdversarialLoss | None = None,
        regularisers: Sequence[Regulariser] = (),
        companions: Sequence[Companion] = (),
        critic_turns: int = 1,
    ) -> None:
        super().__init__()
        if not isinstance(generator, Draws):
            raise ValueError(f"'generator' must have a method 'draw', got {type(generator)}")
        if critic_turns < 1:
            raise ValueError(f"'critic_turns' must be at least 1, got {critic_turns}")
        self.generator = generator
        self.critic = critic
        self.adversarial_loss: AdversarialLoss = NonSaturating() if loss is None else loss
        self.regularisers = tuple(regularisers)
        self.companions = tuple(companions)
        self.turns = ("critic",) * critic_turns + ("generator",)
        # Part of the state, so that a resumed run pays its lazy penalties on the same turns.
        self.register_buffer("critic_turns_played", torch.zeros((), dtype=torch.int64))

    def players(self) -> Mapping[str, nn.Module]:
        """Return the critic and the generator."""
        return {"critic": self.critic, "generator": cast(nn.Module, self.generator)}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays; a critic's turn in training mode is counted."""
        if batch.weight is not None:
            raise ValueError("'batch.weight' must be None in a GAN: resample the events instead")
        if player == "critic":
            return self._critic_bill(batch, rng)
        if player == "generator":
            return self._generator_bill(batch, rng)
        raise ValueError(f"'player' must be 'critic' or 'generator', got {player!r}")

    def _critic_bill(self, batch: Batch, rng: torch.Generator) -> Terms:
        penalties = due(self.regularisers, int(self.critic_turns_played))
        if self.training:
            self.critic_turns_played += 1
        with torch.no_grad():
            fake = self._draw(batch, rng)
        return critic_bill(
            self._logits, self.adversarial_loss, penalties, batch.x, fake, batch.c, rng
        )

    def _generator_bill(self, batch: Batch, rng: torch.Generator) -> Terms:
        fake = self._draw(batch, rng)
        real_logits = None
        if self.adversarial_loss.paired:
            with torch.no_grad():
                real_logits = self._logits(batch.x, batch.c)
        total = self.adversarial_loss.generator(real_logits, self._logits(fake, batch.c))
        parts = {"adversarial": total}
        for companion in self.companions:
            terms = companion(self.generator, batch, fake, rng)
            total = total + terms.total
            parts |= terms.parts
        return Terms(total, parts)

    def _draw(self, batch: Batch, rng: torch.Generator) -> Tensor:
        fake = self.generator.draw(len(batch), rng, batch.c)
        if fake.shape != batch.x.shape:
            shapes = f"{tuple(batch.x.shape)}, got {tuple(fake.shape)}"
            raise ValueError(f"'generator' must draw events of the shape of the data, {shapes}")
        return fake

    def _logits(self, x: Tensor, c: Tensor | None) -> Tensor:
        logits = full_precision(self.critic(x, c))
        if logits.shape != (len(x),):
            raise ValueError(f"'critic' must return shape ({len(x)},), got {tuple(logits.shape)}")
        return logits

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events of the generator, shape (n, *X)."""
        require_contexts(n, c)
        with evaluating(self):
            return self.generator.draw(n, rng, c)
