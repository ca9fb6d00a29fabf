r"""The progressively growing GAN: the same game on a grid that doubles as training goes on.

Stage k of the generator works on sides ``base 2^k``. A new stage fades in: with the share a
rising from 0 to 1 over ``fade`` turns of the critic,

    G_k,a = (1 - a) enlarge(G_k-1) + a G_k ,

the critic likewise, and the data as ``(1 - a) enlarge(halve(x)) + a x``; then ``settle`` turns
at a = 1. At a = 0 the generator is the one of the stage before, at a = 1 the new one. The
stage is a function of the critic's turns played, which are part of the method's state. The
networks carry the paper's equalised learning rate, minibatch deviation and pixel norm.

- Karras et al., Progressive Growing of GANs for Improved Quality, Stability, and Variation,
  2017, https://arxiv.org/abs/1710.10196
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emulant.methods.adversarial import AdversarialLoss, GradientPenalty, Regulariser, Wasserstein
from emulant.methods.gan import GAN
from emulant.nets.progressive import (
    ProgressiveCritic,
    ProgressiveGenerator,
    enlarge,
    halve,
)
from emulant.types import Batch, Terms

__all__ = ["Growth", "ProgressiveGAN"]


@dataclass(frozen=True, slots=True)
class Growth:
    """How many turns of the critic a stage takes.

    >>> [Growth(settle=10, fade=4).at(turn, stages=3) for turn in (0, 12, 20, 24, 99)]
    [(0, 1.0), (1, 0.5), (1, 1.0), (2, 0.0), (2, 1.0)]
    """

    settle: int
    """At a = 1."""
    fade: int
    """From a = 0 to a = 1; the first stage has nothing to fade from."""

    def __post_init__(self) -> None:
        if self.settle < 1 or self.fade < 1:
            raise ValueError(f"'settle' and 'fade' must be at least 1, got {self}")

    def at(self, turn: int, stages: int) -> tuple[int, float]:
        """Return the stage and the share of its newest part at ``turn``."""
        if turn < self.settle:
            return 0, 1.0
        stage, into = divmod(turn - self.settle, self.fade + self.settle)
        return (stages - 1, 1.0) if stage + 1 >= stages else (stage + 1, min(1.0, into / self.fade))


class ProgressiveGAN(GAN):
    """A generator and a critic that grow together.

    Arguments
    ---------
    generator, critic : networks of the same stages.
    growth : turns of a stage.
    loss, regularisers : by default the paper's, Wasserstein with a gradient penalty.
    critic_turns : turns of the critic for each turn of the generator.

    Examples
    --------
    >>> generator = ProgressiveGenerator((8, 8), 1, (8, 4), latent=5)
    >>> critic = ProgressiveCritic((8, 8), 1, (8, 4))
    >>> gan = ProgressiveGAN(generator, critic, Growth(settle=100, fade=100))
    >>> gan.sample(3, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        generator: ProgressiveGenerator,
        critic: ProgressiveCritic,
        growth: Growth,
        loss: AdversarialLoss | None = None,
        regularisers: Sequence[Regulariser] | None = None,
        critic_turns: int = 1,
    ) -> None:
        if generator.stages != critic.stages or generator.base != critic.base:
            raise ValueError(f"'critic' must have {generator.stages} stages, got {critic.stages}")
        if regularisers is None:
            regularisers = (GradientPenalty(),) if loss is None else ()
        super().__init__(
            generator, critic, loss or Wasserstein(), regularisers, critic_turns=critic_turns
        )
        self.growing, self.growth = (generator, critic), growth

    def grow(self) -> tuple[int, float]:
        """Bring both networks to the stage of the turns played; return it and its share."""
        stages = self.growing[0].stages
        stage, share = self.growth.at(int(self.critic_turns_played), stages)
        for network in self.growing:
            network.at(stage, share)
        return stage, share

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays at the present stage, for data averaged to its grid."""
        stage, share = self.grow()
        x = batch.x
        sides = tuple(side * 2 ** (self.growing[0].stages - 1) for side in self.growing[0].base)
        if x.shape[2:] != sides:
            raise ValueError(f"'batch.x' must have the grid {sides}, got {tuple(x.shape[2:])}")
        for _ in range(self.growing[0].stages - 1 - stage):
            x = halve(x)
        if share < 1:
            x = torch.lerp(enlarge(halve(x)), x, share)
        return super().loss(player, Batch(x, batch.c, batch.weight), rng)

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events on the full grid; cells of an earlier stage are repeated."""
        stage, _ = self.grow()
        x = super().sample(n, rng, c)
        for _ in range(self.growing[0].stages - 1 - stage):
            x = enlarge(x)
        return x
