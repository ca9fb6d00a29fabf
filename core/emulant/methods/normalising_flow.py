r"""Normalising flows, by wrapping zuko (optional extra ``flows``).

An invertible network ``z = f(x, c)`` with a triangular Jacobian and a standard normal z:

    log q(x | c) = log N(f(x, c); 0, I) + log |det df/dx| ,

fitted by maximum likelihood; ``x = f^-1(z, c)`` draws.

- Rezende and Mohamed, Variational Inference with Normalizing Flows, 2015,
  https://arxiv.org/abs/1505.05770
- Papamakarios et al., Masked Autoregressive Flow ("maf"), 2017, https://arxiv.org/abs/1705.07057
- Durkan et al., Neural Spline Flows ("nsf"), 2019, https://arxiv.org/abs/1906.04032
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from emulant.latents import Normal
from emulant.methods.maximum_likelihood import MaximumLikelihood

__all__ = ["NormalisingFlow"]

Kind = Literal["maf", "nsf"]


class _ZukoFlow(nn.Module):
    """A flow that draws from an explicit generator and scores."""

    def __init__(
        self, features: int, context: int, kind: Kind, transforms: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        try:
            from zuko.flows import MAF, NSF  # optional: only this file needs it
        except ImportError as error:
            message = "normalising flows need zuko: pip install 'emulant[flows]'"
            raise ImportError(message) from error
        if kind not in ("maf", "nsf"):
            raise ValueError(f"'kind' must be 'maf' or 'nsf', got {kind!r}")
        # f is autoregressive: one pass scores, one pass a coordinate draws
        build = MAF if kind == "maf" else NSF
        self.flow: Any = build(
            features, context, transforms=transforms, hidden_features=tuple(hidden)
        )
        self.base, self.context = Normal((features,)), context

    def _transform(self, c: Tensor | None) -> Any:
        if (0 if c is None else c.shape[-1]) != self.context:
            rule = f"have shape (B, {self.context})" if self.context else "be None"
            raise ValueError(f"'c' must {rule}, got {None if c is None else tuple(c.shape)}")
        return self.flow(c).transform

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events, shape (n, features)."""
        x: Tensor = self._transform(c).inv(self.base.draw(n, rng))
        return x

    def log_prob(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return log q(x | c) in nats, shape (B,)."""
        if x.ndim != 2 or x.shape[1:] != self.base.shape:
            raise ValueError(f"'x' must have shape (B, {self.base.shape[0]}), got {tuple(x.shape)}")
        z, log_volume = self._transform(c).call_and_ladj(x)
        log_q: Tensor = self.base.log_prob(z) + log_volume.reshape(len(x))
        return log_q


class NormalisingFlow(MaximumLikelihood):
    """A flow of events of ``features`` numbers of about unit scale.

    Arguments
    ---------
    features : numbers of an event.
    context : numbers of a context; 0 for none.
    kind : "nsf", monotone splines within [-5, 5] and the identity outside, or "maf", affine.
    transforms, hidden : number of layers, and the widths of the network within each.

    Raises
    ------
    ImportError
        zuko is not installed.

    Examples
    --------
    >>> flow = NormalisingFlow(2, hidden=(8,))  # doctest: +SKIP
    """

    def __init__(
        self,
        features: int,
        context: int = 0,
        kind: Kind = "nsf",
        transforms: int = 3,
        hidden: Sequence[int] = (64, 64),
    ) -> None:
        super().__init__(_ZukoFlow(features, context, kind, transforms, hidden))
