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
from emulant.methods.pix2pixhd import LeastSquares, Pix2PixHD
from emulant.methods.progressive_gan import Growth, ProgressiveGAN

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
    "Growth",
    "Hinge",
    "LeastSquares",
    "Likelihood",
    "MaximumLikelihood",
    "Method",
    "NonSaturating",
    "NormalisingFlow",
    "Pix2PixHD",
    "ProgressiveGAN",
    "Relativistic",
    "Scores",
    "Wasserstein",
]
