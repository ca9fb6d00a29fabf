r"""Maximum likelihood for models whose probability can be evaluated.

One player pays ``-E_data[w log q(x | c)]``, the cross-entropy in nats per event: up to the
entropy of the data it is KL(data || q).

- Fisher, On the Mathematical Foundations of Theoretical Statistics, 1922,
  https://doi.org/10.1098/rsta.1922.0009
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from emulant.methods.game import (
    Draws,
    Generative,
    Scores,
    evaluating,
    full_precision,
    require_contexts,
)
from emulant.types import Batch, Terms

__all__ = ["MaximumLikelihood", "ScoresByPart", "nll_terms"]


@runtime_checkable
class ScoresByPart(Protocol):
    """A model whose negative log-likelihood is a sum of named parts."""

    def nll_terms(self, x: Tensor, c: Tensor | None = None) -> Mapping[str, Tensor]:
        """Return the parts of -log q(x | c) in nats, each of shape (B,)."""
        ...


def nll_terms(model: object, x: Tensor, c: Tensor | None = None) -> Mapping[str, Tensor]:
    """Return the named parts of -log q(x | c), each (B,); one part where the model names none.

    Raises
    ------
    ValueError
        The model neither scores nor scores by part.
    """
    if isinstance(model, ScoresByPart):
        return model.nll_terms(x, c)
    if not isinstance(model, Scores):
        raise ValueError(f"'model' must have 'log_prob', got {type(model)}")
    return {"nll": -model.log_prob(x, c)}


class MaximumLikelihood(Generative):
    """A model that obeys Draws and Scores, fitted to the data's cross-entropy.

    Where the model offers ``nll_terms`` its parts are logged one by one.
    """

    turns = ("model",)

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not (isinstance(model, Draws) and isinstance(model, Scores)):
            raise ValueError(f"'model' must have 'draw' and 'log_prob', got {type(model)}")
        self.model = model

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"model": self.model}

    def loss(
        self,
        player: str,
        batch: Batch,
        rng: torch.Generator,  # noqa: ARG002 - no chance in it
    ) -> Terms:
        """Return ``-E[w log q(x | c)]``."""
        if player != "model":
            raise ValueError(f"'player' must be 'model', got {player!r}")
        terms = nll_terms(self.model, batch.x, batch.c)
        weight = 1.0 if batch.weight is None else batch.weight
        parts = {name: (weight * full_precision(term)).mean() for name, term in terms.items()}
        return Terms(torch.stack(list(parts.values())).sum(), parts)

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events of the model, shape (n, *X)."""
        require_contexts(n, c)
        with evaluating(self):
            return cast(Draws, self.model).draw(n, rng, c)

    def log_prob(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return log q(x | c) in nats, shape (B,)."""
        return cast(Scores, self.model).log_prob(x, c)
