"""One published method, one file, its published name; each is a game played in turns."""

from emulant.methods.adversarial import (
    R1,
    R2,
    GradientPenalty,
    Hinge,
    NonSaturating,
    Relativistic,
    Wasserstein,
)
from emulant.methods.companions import EnergyDistance, Likelihood
from emulant.methods.game import Draws, Generative, Method, Scores
from emulant.methods.gan import GAN
from emulant.methods.maximum_likelihood import MaximumLikelihood

__all__ = [
    "GAN",
    "R1",
    "R2",
    "Draws",
    "EnergyDistance",
    "Generative",
    "GradientPenalty",
    "Hinge",
    "Likelihood",
    "MaximumLikelihood",
    "Method",
    "NonSaturating",
    "Relativistic",
    "Scores",
    "Wasserstein",
]
