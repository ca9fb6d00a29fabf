"""What a critic pays: the adversarial loss and the penalties that are due.

Every adversarial method that pits real against fake events, pairs of event and latent, or
patches of images charges its critic here.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from emulant.methods.adversarial import AdversarialLoss, Critic, Regulariser, Scored
from emulant.types import Terms

__all__ = ["critic_bill", "due"]


def due(regularisers: Iterable[Regulariser], turn: int) -> tuple[Regulariser, ...]:
    """Return the penalties that are paid at the critic's ``turn``, counted from 0."""
    return tuple(regulariser for regulariser in regularisers if turn % regulariser.every == 0)


def critic_bill(
    critic: Critic,
    loss: AdversarialLoss,
    penalties: tuple[Regulariser, ...],
    real: Tensor,
    fake: Tensor,
    c: Tensor | None,
    rng: torch.Generator,
) -> Terms:
    """Return ``loss.critic(T(real, c), T(fake, c))`` plus ``penalties``; events are detached.

    A lazy penalty is ``every`` times as dear.
    """

    def score(x: Tensor) -> Scored:
        x = x.detach().requires_grad_(bool(penalties))
        return Scored(x, c, critic(x, c))

    true, false = score(real), score(fake)
    total = loss.critic(true.logits, false.logits)
    parts = {"adversarial": total}
    for regulariser in penalties:
        penalty = regulariser.every * regulariser.penalty(critic, true, false, rng)
        total = total + penalty
        parts[regulariser.name] = penalty
    return Terms(total, {**parts, "real": true.logits.mean(), "fake": false.logits.mean()})
