r"""The auxiliary-classifier GAN: a critic that must also name the class.

With T the critic's logit, P(c | x) its classifier and ``x~ = G(z, c)``, both sides reward a
class that is recognised:

    critic:    E softplus(-T(x)) + E softplus(T(x~)) - E log P(c | x) - E log P(c | x~)
    generator: E softplus(-T(x~)) - E log P(c | x~)

The critic is not shown the class. Known bias: at the optimum the generator minimises, beside a
divergence, the entropy H(c | x~), so that it avoids events that classes share; the overlap
of classes shrinks (Gong et al. 2019). Where classes overlap feed a GAN the condition instead.

- Odena, Olah and Shlens, Conditional Image Synthesis with Auxiliary Classifier GANs, 2016,
  https://arxiv.org/abs/1610.09585
- Gong et al., Twin Auxiliary Classifiers GAN (the bias), 2019, https://arxiv.org/abs/1907.02690
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from emulant.conditions import class_index
from emulant.methods.adversarial import AdversarialLoss, Critic, Regulariser, Scored
from emulant.methods.game import Draws, full_precision
from emulant.methods.gan import GAN
from emulant.types import Batch, Terms

__all__ = ["ACGAN", "Classifies"]


@runtime_checkable
class Classifies(Protocol):
    """A critic that also names classes."""

    def classify(self, x: Tensor) -> Tensor:
        """Return the classes' logits, shape (B, classes)."""
        ...


@dataclass(frozen=True, slots=True)
class _Recognition:
    """``-weight E log P(c | x)``: a penalty of the critic and a companion of the generator."""

    name: ClassVar[str] = "class"
    every: ClassVar[int] = 1
    critic: Classifies
    weight: float

    def surprise(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Return ``-E log P(c | x)`` in nats."""
        logits = full_precision(self.critic.classify(x))
        return cross_entropy(logits, class_index(c, logits.shape[1]))

    def penalty(self, _critic: Critic, real: Scored, fake: Scored, _rng: torch.Generator) -> Tensor:
        """Return what the critic pays for classes it does not recognise."""
        return self.weight * (self.surprise(real.x, real.c) + self.surprise(fake.x, fake.c))

    def __call__(
        self, _generator: Draws, batch: Batch, fake: Tensor, _rng: torch.Generator
    ) -> Terms:
        """Return what the generator pays for classes that are not recognised."""
        surprise = self.surprise(fake, batch.c)
        return Terms(self.weight * surprise, {"class": surprise})


class ACGAN(GAN):
    """A generator of asked classes against a critic that classifies.

    Arguments
    ---------
    generator : network that draws events of given classes c, integers (B,) or (B, 1).
    critic : network ``critic(x, c) -> logits`` (B,) with ``classify(x)`` -> (B, classes), such
        as :class:`~emulant.nets.classifying.ClassifyingCritic`.
    class_weight : price of a nat of the class's surprise.
    loss, regularisers, critic_turns : as in :class:`~emulant.methods.gan.GAN`.

    Examples
    --------
    >>> from emulant.latents import Normal, Pushforward
    >>> from emulant.nets.classifying import ClassifyingCritic
    >>> from emulant.nets.embed import ContextMLP, OneHotClasses
    >>> from emulant.nets.mlp import MLP
    >>> net = ContextMLP(MLP(2, 1, context=3), OneHotClasses(3))
    >>> gan = ACGAN(Pushforward(net, Normal((2,))), ClassifyingCritic(MLP(1, 4)))
    >>> gan.sample(3, torch.Generator().manual_seed(0), c=torch.tensor([0, 1, 2])).shape
    torch.Size([3, 1])
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        class_weight: float = 1.0,
        loss: AdversarialLoss | None = None,
        regularisers: Sequence[Regulariser] = (),
        critic_turns: int = 1,
    ) -> None:
        if not isinstance(critic, Classifies):
            raise ValueError(f"'critic' must have a method 'classify', got {type(critic)}")
        if not class_weight >= 0:
            raise ValueError(f"'class_weight' must not be negative, got {class_weight}")
        term = _Recognition(critic, class_weight)
        super().__init__(generator, critic, loss, (*regularisers, term), (term,), critic_turns)
