"""Fit an emulator: lognormal fields of the theory's C_ℓ into simulated maps, against a critic.

One game of the engine, :class:`~emulant.methods.gan.GAN`: the generator carries fresh lognormal
fields, the critic sees maps, their measured features and the cosmology, and the generator also
pays the energy distance between the features of its maps and of true ones at one cosmology, in
which the scatter of the band powers from map to map, their covariance, has its say. Last, an
isotropic filter per cosmology gives the mean C_ℓ of theory, and a gain per map, of a few per cent,
the covariance of the true band powers (:mod:`~.scatter`).

``paired`` begins with flow matching from the lognormal field of each map's own linear density to
the map, and then lets the same critic judge where the flow arrives. ``dcgan``, ``wgan`` and
``white`` are baselines from white noise: Mustafa et al. 2019, Perraudin et al. 2020, and flow
matching.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emulant.errors import PASS, InputError
from emulant.methods.adversarial import (
    R1,
    R2,
    AdversarialLoss,
    GradientPenalty,
    NonSaturating,
    Regulariser,
    Relativistic,
    Wasserstein,
)
from emulant.methods.companions import EnergyDistance
from emulant.methods.game import Method
from emulant.methods.gan import GAN
from emulant.nets.initial import initial_parameters
from emulant.rng import derive, torch_rng
from emulant.store import current
from emulant.train import Optimiser, Plan, alone, begun, fit
from emulant_apps.lensing.batches import GROUP, Pairs, Related, of_pixels
from emulant_apps.lensing.config import DEGREES, PIXELS, TrainConfig
from emulant_apps.lensing.data import lognormal_shift, split
from emulant_apps.lensing.features import MapFeatures
from emulant_apps.lensing.field.grid import Bands, Patch
from emulant_apps.lensing.field.pixels import pixel_variance
from emulant_apps.lensing.field.random import RandomSky
from emulant_apps.lensing.files import read_maps
from emulant_apps.lensing.maps import Maps, degraded
from emulant_apps.lensing.means import FeatureMeans
from emulant_apps.lensing.model import (
    Filter,
    Model,
    PairedFlow,
    Sizes,
    WhiteFlow,
    build,
    save_model,
)
from emulant_apps.lensing.sample import Emulator
from emulant_apps.lensing.scatter import LEAST_BOXES, Draw, Scatter, calibrated_scatter
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology
from emulant_apps.lensing.transport import (
    MEAN,
    SCALE,
    Carrier,
    CosmologyCritic,
    Flow,
)

__all__ = ["PRESETS", "SKEWNESS", "Recipe", "calibrated_filter", "run", "train"]

SKEWNESS = {64: 1.2, 128: 1.4}
"""Of the lognormal fields, by pixels on five degrees."""
COARSE = {64: 0, 128: 3}
"""Residual convolutions on blocks twice as wide, by pixels on five degrees."""
MEAN_BATCH = {64: 96, 128: 32}
"""Rows of a step of the last stage, by pixels on five degrees: finer maps cost more."""
DRAWN = 300
"""Maps at each cosmology whose scatter is compared with that of true ones."""


@dataclass(frozen=True)
class Recipe:
    """Everything that a preset decides."""

    sizes: Sizes
    steps: int
    rate: float = 6e-4
    critic_rate: float = 8e-4
    batch: int = 16
    energy_distance: float = 0.3
    loss: AdversarialLoss = Relativistic()  # noqa: RUF009 - a frozen value
    regularisers: tuple[Regulariser, ...] = (R1(0.2, every=4), R2(0.2, every=4))
    critic_turns: int = 1
    flow_steps: int = 0
    """Steps of flow matching that come first."""
    features: bool = True
    """Whether the critic sees what is measured on the maps beside them."""
    mean_steps: int = 0
    """Steps of the last stage, in which the means of the features are matched."""
    mean_rate: float = 1.5e-4


PRESETS: Mapping[str, Recipe] = {
    "quick": Recipe(Sizes(width=24, blocks=2), 300, mean_steps=40),
    "full": Recipe(Sizes(), 1500, mean_steps=800),
    "paired": Recipe(Sizes("flow"), 80, flow_steps=500),
    "dcgan": Recipe(
        Sizes("noise", norm="batch"), 1500, 5e-4, 5e-4, 32, 0.0, NonSaturating(), (), 1
    ),
    "wgan": Recipe(
        Sizes("noise"),
        800,
        1e-4,
        1e-4,
        32,
        0.0,
        Wasserstein(),
        (GradientPenalty(10.0),),
        3,
        features=False,
    ),
    "white": Recipe(Sizes("white"), 1500, 1e-3, batch=16, energy_distance=0.0),
}


@dataclass(frozen=True)
class Stage:
    """One call of the training loop."""

    name: str
    method: Method
    source: Pairs
    plan: Plan


def run(config: TrainConfig) -> int:
    """Run ``emulant lensing train``."""
    train(config)
    return PASS


@alone
def train(config: TrainConfig) -> Path:
    """Fit the emulator of ``config``; return the directory of its weights, ``config.out``.

    Raises
    ------
    InputError
        Data that cannot be used, or a run that is there already.
    Interrupted
        Ctrl-C or SIGTERM; the run can be resumed.
    """
    recipe = PRESETS[config.preset]
    sizes = replace(recipe.sizes, pixels=config.pixels)
    if sizes.kind == "transport":
        sizes = replace(sizes, coarse=min(COARSE[config.pixels], sizes.blocks))
    own = split(read_maps(config.data), "train")
    if len(own) == 0:
        raise InputError(f"{config.data}: holds no maps for training")
    skewness = SKEWNESS[config.pixels]
    generator = build(sizes, config.seed)
    for stage in _stages(config, recipe, generator, own, skewness):
        place = config.out / stage.name
        resume = config.resume and begun(place)
        fitted = fit(stage.method, stage.source, stage.plan, place, resume, device=config.device)
        stage.method.cpu().load_state_dict(dict(fitted.ema_state))
        source = stage.source
    generator.eval()
    shape = Filter.none()
    if isinstance(generator, Carrier):
        shape = calibrated_filter(
            generator, source.cosmologies, config.seed, skewness, sizes.pixels
        )
    scatter = None
    if isinstance(generator, Carrier):
        fitted_model = Model(generator, sizes, shape, skewness, source.cosmologies, None, "")
        fine = degraded(own, own.patch.n // config.pixels)
        scatter = calibrated_scatter(partial(_drawing, fitted_model), fine, config.seed)
        if scatter is None:
            sys.stderr.write(
                f"train: fewer than {LEAST_BOXES} boxes do not know the scatter of C_ℓ from map to "
                "map, which is left as the network makes it\n"
            )
    made = current("lensing train", config, config.seed, data=source.fingerprint)
    state = {name: value.cpu() for name, value in generator.state_dict().items()}
    save_model(config.out, sizes, state, shape, skewness, source.cosmologies, made, scatter)
    return config.out


def _drawing(model: Model, scatter: Scatter | None) -> Draw:
    """Return the maker of a model's maps after ``scatter`` was done to them."""
    emulator = Emulator(replace(model, scatter=scatter))
    size = model.sizes.pixels

    def draw(omega_m: float, sigma8: float, seed: int) -> NDArray[np.float32]:
        return emulator.sample(omega_m, sigma8, DRAWN, size, derive(seed, "lensing scatter")).kappa

    return draw


def _stages(
    config: TrainConfig, recipe: Recipe, generator: nn.Module, own: Maps, skewness: float
) -> Iterator[Stage]:
    """Yield the calls of the loop, the next one when the last has come home."""
    maps = of_pixels(own, config.pixels)
    count = 1 + bool(recipe.flow_steps) + bool(recipe.mean_steps)
    minutes = None if config.minutes is None else config.minutes / count
    if recipe.flow_steps:
        assert isinstance(generator, Flow)
        related = Related(maps, recipe.batch, skewness)
        plan = _plan(config, {"field": Optimiser(1e-3, clip=1.0, warmup=30)}, recipe.flow_steps,
                     minutes)  # fmt: skip
        yield Stage("training/flow", PairedFlow(generator), related, plan)
    source = Pairs(maps, recipe.batch, skewness)
    if isinstance(generator, WhiteFlow):
        optimisers = {"field": Optimiser(recipe.rate, clip=1.0, warmup=30)}
        yield Stage("training", generator, source, _plan(config, optimisers, recipe.steps, minutes))
        return
    optimisers = {
        "generator": Optimiser(recipe.rate, (0.0, 0.99), clip=10.0, warmup=30),
        "critic": Optimiser(recipe.critic_rate, (0.0, 0.99), clip=10.0),
    }
    features = MapFeatures()
    features.standardise(torch.cat([member.maps[:200] for member in source.members]))
    game = _game(recipe, generator, features, config.seed)
    name = "training/critic" if recipe.flow_steps else "training"
    yield Stage(name, game, source, _plan(config, optimisers, recipe.steps, minutes))
    if recipe.mean_steps:
        assert isinstance(generator, Carrier)
        contexts = torch.stack([member.context for member in source.members])
        true = [member.maps for member in source.members]
        if config.pixels > PIXELS:
            true = source.in_sigma(degraded(own, own.patch.n // config.pixels))
            features = MapFeatures(config.pixels)
            features.standardise(torch.cat([x[:200] for x in true]))
        means = FeatureMeans(generator, features, true, contexts, config.pixels > PIXELS)
        count = MEAN_BATCH[config.pixels]
        wide = Pairs(maps, count, skewness, opposed=True, pixels=config.pixels)
        optimisers = {"generator": Optimiser(recipe.mean_rate, clip=1.0, warmup=20)}
        plan = _plan(config, optimisers, recipe.mean_steps, minutes)
        yield Stage("training/means", means, wide, plan)


def _plan(
    config: TrainConfig, optimisers: Mapping[str, Optimiser], own: int, minutes: float | None
) -> Plan:
    steps = config.steps
    if steps is None and minutes is None:
        steps = own
    return Plan(
        optimisers=optimisers,
        steps=steps,
        minutes=minutes,
        schedule="cosine",
        floor=0.02,
        ema=0.995 if (steps or own) > 400 else 0.98,
        seed=config.seed,
        checkpoint_every=100,
        log_every=20,
    )


def _game(recipe: Recipe, generator: nn.Module, features: MapFeatures, seed: int) -> GAN:
    with initial_parameters(torch_rng(seed, "lensing", "critic")):
        critic = CosmologyCritic(features if recipe.features else None)
    companions = (
        [EnergyDistance(features, recipe.energy_distance, GROUP)] if recipe.energy_distance else []
    )
    return GAN(generator, critic, recipe.loss, recipe.regularisers, companions, recipe.critic_turns)


def calibrated_filter(
    network: Carrier,
    cosmologies: Sequence[tuple[float, float]],
    seed: int,
    skewness: float = SKEWNESS[PIXELS],
    scale: int = PIXELS,
    count: int = 24,
    pixels: int = 128,
) -> Filter:
    """Return the filter that gives the network's maps the C_ℓ of theory.

    T² = ⟨power in⟩ / ⟨power out⟩ of the same fields on a torus of ``pixels`` a side, ``scale`` of
    which span five degrees: the fields that go in have the C_ℓ of theory exactly, so that their
    own scatter drops out of the ratio.
    """
    torus = Patch(pixels, DEGREES * pixels / scale)
    edges = np.geomspace(0.999 * torus.fundamental, 1.42 * torus.nyquist, 22)
    while True:  # drop edges between which there is no mode
        counts = np.histogram(torus.ell, edges)[0]
        if counts.min() > 0:
            break
        edges = np.delete(edges, int(counts.argmin()) + 1)
    bands = Bands(torus, tuple(edges))
    rows, values = [], []
    for m, s in cosmologies:
        cosmology = Cosmology(m, s)
        kappa = Convergence(cosmology)
        sigma = math.sqrt(pixel_variance(torus, kappa.spectrum))
        sky = RandomSky(torus, kappa.spectrum, lognormal_shift(sigma, skewness), torus=True)
        noise = np.random.default_rng(seed)
        source = torch.from_numpy(sky.draw(count, noise) / np.float32(sigma))[:, None]
        context = torch.tensor([[m, cosmology.s8]]).float().expand(count, 2)
        rng = torch_rng(seed, "lensing filter")
        with torch.no_grad():
            out = network(source, context, torch.randn(source.shape, generator=rng))
        before, after = (torus.power(x[:, 0].numpy()).mean(0) for x in (source, out))
        values.append(np.log(bands.mean(before) / bands.mean(after)))
        rows.append([1.0, (m - MEAN[0]) / SCALE[0], (cosmology.s8 - MEAN[1]) / SCALE[1]])
    few = len(cosmologies) < 4
    x = np.array(rows)[:, :1] if few else np.array(rows)
    solved = np.linalg.lstsq(x, np.array(values), rcond=None)[0].T
    coefficients = np.zeros((len(bands.centres), 3))
    coefficients[:, : solved.shape[1]] = solved
    return Filter(bands.centres, coefficients)
