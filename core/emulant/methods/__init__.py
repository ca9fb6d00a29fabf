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
from emulant.methods.adversarial_autoencoder import AdversarialAutoencoder
from emulant.methods.adversarial_variational_bayes import AdversarialVariationalBayes
from emulant.methods.ali import ALI
from emulant.methods.annealing import Cyclical, WarmUp
from emulant.methods.autoregressive import Autoregressive
from emulant.methods.auxiliary_classifier_gan import ACGAN
from emulant.methods.companions import EnergyDistance, Likelihood
from emulant.methods.denoising_autoencoder import (
    Additive,
    DenoisingAutoencoder,
    Masking,
    StackedDenoisingAutoencoder,
)
from emulant.methods.diffusion import Diffusion
from emulant.methods.evolution_strategies import EvolutionStrategies
from emulant.methods.flow_matching import FlowMatching
from emulant.methods.game import Draws, Generative, Method, Scores
from emulant.methods.gan import GAN
from emulant.methods.implicit_variational_inference import ImplicitVariationalInference
from emulant.methods.maximum_likelihood import MaximumLikelihood
from emulant.methods.normalising_flow import NormalisingFlow
from emulant.methods.pix2pixhd import LeastSquares, Pix2PixHD
from emulant.methods.progressive_gan import Growth, ProgressiveGAN
from emulant.methods.semi_supervised import M1, M1M2, M2
from emulant.methods.vae import VAE

__all__ = [
    "ACGAN",
    "ALI",
    "GAN",
    "M1",
    "M1M2",
    "M2",
    "R1",
    "R2",
    "VAE",
    "Additive",
    "AdversarialAutoencoder",
    "AdversarialVariationalBayes",
    "Autoregressive",
    "Cyclical",
    "DenoisingAutoencoder",
    "Diffusion",
    "Draws",
    "EnergyDistance",
    "EvolutionStrategies",
    "FlowMatching",
    "Generative",
    "GradientPenalty",
    "Growth",
    "Hinge",
    "ImplicitVariationalInference",
    "LeastSquares",
    "Likelihood",
    "Masking",
    "MaximumLikelihood",
    "Method",
    "NonSaturating",
    "NormalisingFlow",
    "Pix2PixHD",
    "ProgressiveGAN",
    "Relativistic",
    "Scores",
    "StackedDenoisingAutoencoder",
    "WarmUp",
    "Wasserstein",
]
