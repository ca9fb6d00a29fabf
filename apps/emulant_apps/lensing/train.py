"""Fit an emulator: lognormal fields of the theory's C_ℓ into simulated maps, against a critic.

One game of the engine, :class:`~emulant.methods.gan.GAN`: the generator carries fresh lognormal
fields, the critic sees maps, their measured features and the cosmology, and the generator also
pays the energy distance between the features of its maps and of true ones at one cosmology, in
which the scatter of the band powers from map to map, their covariance, has its say. Last, an
isotropic filter per cosmology gives the mean C_ℓ of theory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

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
from emulant.methods.gan import GAN
from emulant.nets.initial import initial_parameters
from emulant.rng import torch_rng
from emulant.store import current
from emulant.train import Optimiser, Plan, begun, fit, require_room
from emulant.types import Batch
from emulant_apps.lensing.config import DEGREES, PIXELS, TrainConfig
from emulant_apps.lensing.data import lognormal_shift, split
from emulant_apps.lensing.field.grid import Bands, Patch
from emulant_apps.lensing.field.pixels import pixel_variance
from emulant_apps.lensing.field.random import RandomSky
from emulant_apps.lensing.files import read_maps
from emulant_apps.lensing.maps import Maps
from emulant_apps.lensing.model import Filter, Sizes, build, save_model
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology
from emulant_apps.lensing.transport import (
    MEAN,
    SCALE,
    TRIM,
    CosmologyCritic,
    MapFeatures,
    Transport,
)

__all__ = ["PRESETS", "Pairs", "Recipe", "calibrated_filter", "run", "train"]

GROUP = 8
"""Maps of one cosmology whose features are compared with those of as many true ones."""
SKEWNESS = 1.2
"""Of the lognormal fields."""


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


PRESETS: Mapping[str, Recipe] = {
    "quick": Recipe(Sizes(width=24, blocks=2), 300),
    "full": Recipe(Sizes(), 4000),
    "dcgan": Recipe(
        Sizes("noise", norm="batch"), 1500, 5e-4, 5e-4, 32, 0.0, NonSaturating(), (), 1
    ),
    "wgan": Recipe(
        Sizes("noise"), 800, 5e-4, 5e-4, 32, 0.0, Wasserstein(), (GradientPenalty(10.0),), 3
    ),
}


class Pairs:
    """True maps and fresh lognormal fields at the same cosmologies, in groups.

    Arguments
    ---------
    maps : the training part of a data set.
    batch : rows, a multiple of GROUP; each group has one cosmology.
    """

    def __init__(self, maps: Maps, batch: int) -> None:
        omega_m, sigma8 = maps.known_cosmologies("--data")
        if maps.patch.n != PIXELS or not math.isclose(maps.degrees, DEGREES, rel_tol=1e-3):
            raise InputError(
                f"--data: maps must have {PIXELS} pixels on {DEGREES:g} degrees, got "
                f"{maps.patch.n} on {maps.degrees:g}; cut or degrade them"
            )
        if maps.masked:
            raise InputError("--data: maps with missing pixels cannot train; cut them away")
        if batch % GROUP:
            raise ValueError(f"'batch' must be a multiple of {GROUP}, got {batch}")
        self.batch_size, self.fingerprint = batch, maps.fingerprint
        pairs = np.stack([omega_m, sigma8], axis=1)
        found = np.unique(pairs, axis=0)
        self.cosmologies = tuple((float(m), float(s)) for m, s in found)
        patch = Patch(PIXELS, DEGREES)
        side = PIXELS + 2 * TRIM
        torus = Patch(side, DEGREES * side / PIXELS)
        self.maps: list[Tensor] = []
        self.skies: list[RandomSky] = []
        self.sigmas: list[float] = []
        self.contexts: list[Tensor] = []
        for m, s in self.cosmologies:
            cosmology = Cosmology(m, s)
            kappa = Convergence(cosmology)
            sigma = math.sqrt(pixel_variance(patch, kappa.spectrum))
            own = maps.kappa[np.all(pairs == (m, s), axis=1)]
            self.maps.append(torch.from_numpy(own / np.float32(sigma))[:, None])
            shift = lognormal_shift(sigma, SKEWNESS)
            self.skies.append(RandomSky(torus, kappa.spectrum, shift, torus=True))
            self.sigmas.append(sigma)
            self.contexts.append(torch.tensor([m, cosmology.s8], dtype=torch.float32))

    def batch(self, step: int, rng: torch.Generator) -> Batch:  # noqa: ARG002 - chance is enough
        """Return true maps, turned and mirrored at random, and contexts with lognormal fields."""
        noise = np.random.default_rng(int(torch.randint(1 << 62, (), generator=rng)))
        rows, contexts = [], []
        for _ in range(self.batch_size // GROUP):
            k = int(torch.randint(len(self.maps), (), generator=rng))
            pick = torch.randint(len(self.maps[k]), (GROUP,), generator=rng)
            for x in self.maps[k][pick]:
                turn = int(torch.randint(8, (), generator=rng))
                y = torch.rot90(x, turn % 4, (1, 2))
                rows.append(y.flip(1) if turn >= 4 else y)
            field = torch.from_numpy(self.skies[k].draw(GROUP, noise) / np.float32(self.sigmas[k]))
            cosmology = self.contexts[k][None, :, None, None].expand(GROUP, 2, *field.shape[1:])
            contexts.append(torch.cat([field[:, None], cosmology], 1))
        return Batch(torch.stack(rows), torch.cat(contexts))


def run(config: TrainConfig) -> int:
    """Run ``emulant lensing train``."""
    train(config)
    return PASS


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
    require_room(config.out, config.resume)
    whole = read_maps(config.data)
    maps = split(whole, "train")
    if len(maps) == 0:
        raise InputError(f"{config.data}: holds no maps for training")
    source = Pairs(maps, recipe.batch)
    generator = build(recipe.sizes, config.seed)
    method = _method(recipe, generator, source, config.seed)
    plan = Plan(
        optimisers={
            "generator": Optimiser(recipe.rate, (0.0, 0.99), clip=10.0, warmup=30),
            "critic": Optimiser(recipe.critic_rate, (0.0, 0.99), clip=10.0),
        },
        steps=_steps(config, recipe),
        minutes=config.minutes,
        schedule="cosine",
        floor=0.02,
        ema=0.995 if (_steps(config, recipe) or 4000) > 400 else 0.98,
        seed=config.seed,
        checkpoint_every=100,
        log_every=20,
    )
    place = config.out / "training"
    resume = config.resume and begun(place)
    fitted = fit(method, source, plan, place, resume, device=config.device)
    prefix = "generator."
    state = {
        k.removeprefix(prefix): v.cpu() for k, v in fitted.ema_state.items() if k.startswith(prefix)
    }
    generator.cpu().load_state_dict(state)
    shape = Filter.none()
    if isinstance(generator, Transport):
        shape = calibrated_filter(generator, source.cosmologies, config.seed)
    made = current("lensing train", config, config.seed, data=source.fingerprint)
    save_model(config.out, recipe.sizes, state, shape, SKEWNESS, source.cosmologies, made)
    return config.out


def _steps(config: TrainConfig, recipe: Recipe) -> int | None:
    if config.steps is not None:
        return config.steps
    return None if config.minutes is not None else recipe.steps


def _method(recipe: Recipe, generator: nn.Module, source: Pairs, seed: int) -> GAN:
    features = MapFeatures()
    features.standardise(torch.cat([maps[:200] for maps in source.maps]))
    with initial_parameters(torch_rng(seed, "lensing", "critic")):
        critic = CosmologyCritic(features)
    companions = (
        [EnergyDistance(features, recipe.energy_distance, GROUP)] if recipe.energy_distance else []
    )
    return GAN(generator, critic, recipe.loss, recipe.regularisers, companions, recipe.critic_turns)


def calibrated_filter(
    network: Transport,
    cosmologies: Sequence[tuple[float, float]],
    seed: int,
    count: int = 24,
    pixels: int = 128,
) -> Filter:
    """Return the filter that gives the network's maps the C_ℓ of theory.

    T² = ⟨power in⟩ / ⟨power out⟩ of the same fields on a torus of ``pixels`` a side: the fields
    that go in have the C_ℓ of theory exactly, so that their own scatter drops out of the ratio.
    """
    torus = Patch(pixels, DEGREES * pixels / PIXELS)
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
        sky = RandomSky(torus, kappa.spectrum, lognormal_shift(sigma, SKEWNESS), torus=True)
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
