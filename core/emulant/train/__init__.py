"""The one training loop, and what it is given: a plan, a source of batches, a method."""

from emulant.train.alone import alone
from emulant.train.interruption import Interrupted
from emulant.train.loop import Fitted, fit
from emulant.train.plan import Optimiser, Plan
from emulant.train.players import DivergenceError
from emulant.train.run import begun
from emulant.train.source import Resampled, Source

__all__ = [
    "DivergenceError",
    "Fitted",
    "Interrupted",
    "Optimiser",
    "Plan",
    "Resampled",
    "Source",
    "alone",
    "begun",
    "fit",
]
