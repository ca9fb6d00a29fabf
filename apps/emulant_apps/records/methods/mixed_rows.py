r"""The law of a row of numbers and levels, some of them missing.

Notation: an event is (z, s, o): P numbers z with zeros in their holes, whether each was seen s, and
one-hot levels o of the nominal columns, all zero where missing. The head reads h = (m, l), means
and logits:

    log p(z, o | h) = sum_j s_j log N(z_j; m_j, sd_j) + sum_b o_b . log softmax(l_b)

A drawn row has no holes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch import distributions as laws

from emulant.likelihoods import Head

__all__ = ["MixedRows"]

LEAST_LOG_SD = -3.0


class MixedRows(Head):
    """Normal numbers, of one sd a column, and categorical levels.

    Arguments
    ---------
    numbers : P.
    levels : the number of levels of each nominal column.
    """

    def __init__(self, numbers: int, levels: Sequence[int]) -> None:
        super().__init__((2 * numbers + sum(levels),), 1)
        self.numbers, self.levels = numbers, tuple(levels)
        self.width = numbers + sum(levels)
        self.log_sd = nn.Parameter(torch.zeros(numbers))

    @property
    def sd(self) -> Tensor:
        """Return the standard deviations (P,)."""
        return self.log_sd.clamp(min=LEAST_LOG_SD).exp()

    def forward(self, h: Tensor) -> laws.Distribution:
        """Return the law of events (B, 2 P + sum levels)."""
        return _Rows(*self._parts(h), self.sd)

    def mean(self, h: Tensor) -> Tensor:
        """Return means, ones, and the probabilities of the levels."""
        m, logits = self._parts(h)
        return torch.cat([m, torch.ones_like(m), *(part.softmax(1) for part in logits)], 1)

    def draw(self, h: Tensor, rng: torch.Generator) -> Tensor:
        """Return one row without holes for each of ``h``."""
        m, logits = self._parts(h)
        z = m + self.sd * torch.randn(m.shape, generator=rng, device=m.device)
        shown = []
        for part in logits:
            level = torch.multinomial(part.softmax(1), 1, generator=rng)[:, 0]
            shown.append(nn.functional.one_hot(level, part.shape[1]).to(m.dtype))
        return torch.cat([z, torch.ones_like(z), *shown], 1)

    def _parts(self, h: Tensor) -> tuple[Tensor, list[Tensor]]:
        if h.shape[1:] != (self.width,):
            raise ValueError(f"'h' must have shape (B, {self.width}), got {tuple(h.shape)}")
        m, logits = h[:, : self.numbers], h[:, self.numbers :]
        return m, list(torch.split(logits, list(self.levels), 1)) if self.levels else []


class _Rows(laws.Distribution):
    """The law of :class:`MixedRows`."""

    def __init__(self, mean: Tensor, logits: list[Tensor], sd: Tensor) -> None:
        self.location, self.logits, self.sd = mean, logits, sd
        super().__init__(mean.shape[:1], mean.shape[1:], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density of what was seen, (B,)."""
        numbers = self.location.shape[1]
        z, seen, rest = value[:, :numbers], value[:, numbers : 2 * numbers], value[:, 2 * numbers :]
        misfit = ((z - self.location) / self.sd).square() + 2 * self.sd.log()
        score = -0.5 * (seen * (misfit + math.log(2 * math.pi))).sum(1)
        if self.logits:
            surprise = torch.cat([part.log_softmax(1) for part in self.logits], 1)
            score = score + (rest * surprise).sum(1)
        return score
