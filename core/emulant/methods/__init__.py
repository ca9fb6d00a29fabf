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
from emulant.methods.ali import ALI
from emulant.methods.autoregressive import Autoregressive
from emulant.methods.auxiliary_classifier_gan import ACGAN
from emulant.methods.companions import EnergyDistance, Likelihood
from emulant.methods.diffusion import Diffusion
from emulant.methods.evolution_strategies import EvolutionStrategies
from emulant.methods.flow_matching import FlowMatching
from emulant.methods.game import Draws, Generative, Method, Scores
from emulant.methods.gan import GAN
from emulant.methods.maximum_likelihood import MaximumLikelihood
from emulant.methods.normalising_flow import NormalisingFlow

__all__ = [
    "ACGAN",
    "ALI",
    "GAN",
    "R1",
    "R2",
    "Autoregressive",
    "Diffusion",
    "Draws",
    "EnergyDistance",
    "EvolutionStrategies",
    "FlowMatching",
    "Generative",
    "GradientPenalty",
    "Hinge",
    "Likelihood",
    "MaximumLikelihood",
    "Method",
    "NonSaturating",
    "NormalisingFlow",
    "Relativistic",
    "Scores",
    "Wasserstein",
]
