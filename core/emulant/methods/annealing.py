"""Factors, functions of the step, by which a term of a bill is let in slowly.

- Bowman et al., Generating Sentences from a Continuous Space, 2015,
  https://arxiv.org/abs/1511.06349
- Fu et al., Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing, 2019,
  https://arxiv.org/abs/1903.10145
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cyclical", "WarmUp"]


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Linearly from 0 to 1 over the first ``steps`` steps.

    >>> [WarmUp(4)(step) for step in (0, 1, 3, 10)]
    [0.25, 0.5, 1.0, 1.0]
    """

    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"'steps' must be at least 1, got {self.steps}")

    def __call__(self, step: int) -> float:
        """Return the factor at ``step``, which starts at 0."""
        return min(1.0, (step + 1) / self.steps)


@dataclass(frozen=True, slots=True)
class Cyclical:
    """Again and again: from 0 to 1 over the first half of every ``period``, then 1.

    >>> [Cyclical(4)(step) for step in range(5)]
    [0.5, 1.0, 1.0, 1.0, 0.5]
    """

    period: int

    def __post_init__(self) -> None:
        if self.period < 1:
            raise ValueError(f"'period' must be at least 1, got {self.period}")

    def __call__(self, step: int) -> float:
        """Return the factor at ``step``, which starts at 0."""
        return min(1.0, 2 * (step % self.period + 1) / self.period)
