"""How every network of the application is trained: one plan, one place in the run's directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, cast

from emulant.methods.game import Method
from emulant.rng import derive
from emulant.train import Optimiser, Plan, Source, begun, fit
from emulant.train.plan import Precision
from emulant_apps.molecules.config import TrainConfig

__all__ = ["played"]

Game = TypeVar("Game", bound=Method)


def played(
    method: Game,
    source: Source,
    optimisers: Mapping[str, Optimiser],
    config: TrainConfig,
    place: str,
    purpose: str,
    steps: int,
    minutes: float | None = None,
    floor: float = 0.02,
    ema: float = 0.999,
    precision: Precision = "32-true",
    log_every: int = 100,
) -> Game:
    """Return ``method`` trained, with its averaged parameters.

    Arguments
    ---------
    place : directory of its checkpoints, below ``config.out``.
    purpose : of its stream of chance.

    Raises
    ------
    Interrupted
        Ctrl-C or SIGTERM; the run can be resumed.
    """
    plan = Plan(
        optimisers,
        steps=steps,
        minutes=minutes,
        schedule="cosine",
        floor=floor,
        ema=ema,
        precision=precision,
        seed=derive(config.seed, "molecules", purpose),
        checkpoint_every=500,
        log_every=log_every,
    )
    out = config.out / place
    resume = config.resume and begun(out)
    fitted = fit(method, source, plan, out, resume, device=config.device)
    return cast(Game, fitted.averaged())
