r"""How a method is trained: budget, learning rates, averaging, precision, seed.

Notation: ``s = max(step / steps, minutes used / minutes)`` is the share of the budget that is
spent, in [0, 1]. The learning rate of a player at its k-th step, k = 0, 1, ..., is

    lr min(1, (k + 1) / warmup) F(s),   F = 1 (constant) or
                                        F = floor + (1 - floor) (1 + cos(pi s)) / 2 (cosine).

- Loshchilov and Hutter, SGDR, 2016, https://arxiv.org/abs/1608.03983
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Optimiser", "Plan", "Precision", "Schedule"]

Schedule = Literal["constant", "cosine"]
Precision = Literal["32-true", "bf16-mixed"]


def _require(holds: bool, name: str, rule: str, value: object) -> None:
    if not holds:
        raise ValueError(f"'{name}' must {rule}, got {value}")


@dataclass(frozen=True, slots=True)
class Optimiser:
    """Adam for one player, with decoupled weight decay."""

    lr: float = 1e-3
    """Learning rate at its highest."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay per step of the means of the gradient and of its square."""
    weight_decay: float = 0.0
    """Share of each parameter that is taken off a step, in units of the learning rate."""
    clip: float | None = None
    """Norm above which the player's gradient is scaled down to it; None for never."""
    warmup: int = 0
    """Steps over which the learning rate rises from zero."""
    start_after: int = 0
    """Number of steps that the player sits out first."""

    def __post_init__(self) -> None:
        _require(self.lr > 0, "lr", "be positive", self.lr)
        for beta in self.betas:
            _require(0 <= beta < 1, "betas", "lie in [0, 1)", self.betas)
        _require(self.weight_decay >= 0, "weight_decay", "not be negative", self.weight_decay)
        _require(self.clip is None or self.clip > 0, "clip", "be positive", self.clip)
        _require(self.warmup >= 0, "warmup", "not be negative", self.warmup)
        _require(self.start_after >= 0, "start_after", "not be negative", self.start_after)


@dataclass(frozen=True, slots=True)
class Plan:
    """Every number of a training run that the method itself does not hold.

    >>> plan = Plan({"model": Optimiser(lr=1.0, warmup=2)}, steps=100, schedule="cosine")
    >>> plan.learning_rate("model", 0, 0.0), plan.learning_rate("model", 50, 0.5)
    (0.5, 0.5)
    """

    optimisers: Mapping[str, Optimiser]
    """Optimiser of each player, by name."""
    steps: int | None = None
    """Budget in steps; None for no such limit."""
    minutes: float | None = None
    """Budget in minutes of wall-clock time; None for no such limit."""
    schedule: Schedule = "constant"
    floor: float = 0.0
    """Share of the learning rate that the cosine ends at."""
    ema: float = 0.0
    """Decay per step of the running mean of all parameters; 0 for none."""
    precision: Precision = "32-true"
    seed: int = 0
    checkpoint_every: int = 1000
    """Steps from one checkpoint, and one validation, to the next."""
    log_every: int = 50
    """Steps over which a row of the log is averaged."""

    def __post_init__(self) -> None:
        _require(bool(self.optimisers), "optimisers", "name at least one player", "none")
        limits = (self.steps, self.minutes)
        _require(limits != (None, None), "steps", "be given where 'minutes' is not", None)
        _require(self.steps is None or self.steps > 0, "steps", "be positive", self.steps)
        _require(self.minutes is None or self.minutes > 0, "minutes", "be positive", self.minutes)
        schedules = ("constant", "cosine")
        _require(self.schedule in schedules, "schedule", f"be one of {schedules}", self.schedule)
        _require(0 <= self.floor <= 1, "floor", "lie in [0, 1]", self.floor)
        _require(0 <= self.ema < 1, "ema", "lie in [0, 1)", self.ema)
        precisions = ("32-true", "bf16-mixed")
        _require(
            self.precision in precisions, "precision", f"be one of {precisions}", self.precision
        )
        _require(
            self.checkpoint_every > 0, "checkpoint_every", "be positive", self.checkpoint_every
        )
        _require(self.log_every > 0, "log_every", "be positive", self.log_every)

    def spent(self, step: int, seconds: float) -> float:
        """Return the share s of the budget that is spent; 1 or more when it is used up."""
        by_steps = 0.0 if self.steps is None else step / self.steps
        by_time = 0.0 if self.minutes is None else seconds / (60 * self.minutes)
        return max(by_steps, by_time)

    def learning_rate(self, player: str, step: int, spent: float) -> float:
        """Return the learning rate of ``player`` at ``step``, at or after its first."""
        optimiser = self.optimisers[player]
        rise = min(1.0, (step - optimiser.start_after + 1) / max(1, optimiser.warmup))
        if self.schedule == "constant":
            return optimiser.lr * rise
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, spent)))
        return optimiser.lr * rise * (self.floor + (1 - self.floor) * fall)
