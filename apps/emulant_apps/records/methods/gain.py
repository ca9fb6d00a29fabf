r"""Generative adversarial imputation (GAIN).

Notation: rows x (B, D) with zeros in their holes, masks m in {0, 1} (B, D), noise u, hints h.

    generator:      xbar = G(m x + (1 - m) u, m),    x^ = m x + (1 - m) xbar
    discriminator:  D(x^, h) -> logits (B, D): which cells are observed?
    hint:           h = b m + (1 - b) / 2,           b ~ Bernoulli(rate) cell by cell

    discriminator pays  E sum BCE(D(x^, h), m) / D
    generator pays      E [-(1 - m) log D(x^, h)] + alpha E m (x - xbar)^2

An event is (x, m), shape (B, 2 D).

- Yoon, Jordon and van der Schaar, GAIN: Missing Data Imputation using Generative Adversarial
  Nets, 2018, https://arxiv.org/abs/1806.02920
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from emulant.methods.game import Method
from emulant.types import Batch, Terms

__all__ = ["GAIN"]

NOISE = 0.01


class GAIN(Method):
    """A generator that fills holes against a discriminator that looks for them.

    Arguments
    ---------
    generator, discriminator : networks ``(B, 2 D) -> (B, D)``.
    alpha : price of the squared error of observed cells.
    hint : share of the mask that the discriminator is told.
    """

    turns = ("discriminator", "generator")

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, alpha: float = 10.0, hint: float = 0.9
    ) -> None:
        super().__init__()
        if not alpha >= 0:
            raise ValueError(f"'alpha' must not be negative, got {alpha}")
        if not 0 <= hint < 1:
            raise ValueError(f"'hint' must lie in [0, 1), got {hint}")
        self.generator, self.discriminator = generator, discriminator
        self.alpha, self.hint = alpha, hint

    def players(self) -> Mapping[str, nn.Module]:
        """Return the two players."""
        return {"discriminator": self.discriminator, "generator": self.generator}

    def impute(self, x: Tensor, m: Tensor, rng: torch.Generator) -> Tensor:
        """Return xbar (B, D), what the generator makes of every cell."""
        noise = NOISE * torch.rand(x.shape, generator=rng, device=x.device)
        made: Tensor = self.generator(torch.cat([m * x + (1 - m) * noise, m], 1))
        return made

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays, a mean over rows and cells."""
        if player not in self.turns:
            raise ValueError(f"'player' must be one of {list(self.turns)}, got {player!r}")
        x, m = batch.x.chunk(2, 1)
        made = self.impute(x, m, rng)
        filled = m * x + (1 - m) * made
        told = (torch.rand(m.shape, generator=rng, device=m.device) < self.hint).to(m.dtype)
        hint = told * m + 0.5 * (1 - told)
        if player == "discriminator":
            logits = self.discriminator(torch.cat([filled.detach(), hint], 1))
            return Terms(binary_cross_entropy_with_logits(logits, m))
        logits = self.discriminator(torch.cat([filled, hint], 1))
        fooled = ((1 - m) * softplus(-logits)).mean()
        error = (m * (x - made).square()).sum() / m.sum().clamp(min=1.0)
        return Terms(fooled + self.alpha * error, {"fooled": fooled, "squared_error": error})
