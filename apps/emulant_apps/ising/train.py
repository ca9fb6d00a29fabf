"""Fit an emulator: first by likelihood, then against a critic with the likelihood kept.

The two stages of the hierarchical generator are two games of the engine on the same data:
:class:`~emulant.methods.maximum_likelihood.MaximumLikelihood`, then
:class:`~emulant.methods.gan.GAN` with likelihood and energy distance as companions. The
baselines play the second game alone, without a likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emulant.errors import PASS, InputError
from emulant.methods.adversarial import R1, R2, NonSaturating, Relativistic
from emulant.methods.companions import Companion, EnergyDistance, Likelihood
from emulant.methods.game import Method
from emulant.methods.gan import GAN
from emulant.methods.maximum_likelihood import MaximumLikelihood
from emulant.nets.initial import initial_parameters
from emulant.progress import Progress
from emulant.rng import torch_rng
from emulant.store.provenance import current
from emulant.train import Optimiser, Plan, alone, begun, fit
from emulant_apps.ising.adversary import PlainCritic, SpinCritic, SpinFeatures
from emulant_apps.ising.bank import Bank
from emulant_apps.ising.config import CRITICAL, SimulateConfig, TrainConfig
from emulant_apps.ising.data import read_states, simulate_states
from emulant_apps.ising.model import Kind, Sizes, build, save_model

__all__ = ["PRESETS", "TEMPERATURES", "Recipe", "Stage", "adversarial_game", "run", "train"]

COLD = (1.5, 1.6, 1.7, 1.9, 2.05, 2.1, 2.15, 2.25, CRITICAL)
HOT = (2.3, 2.4, 2.5, 2.7, 2.9, 3.0, 3.2, 3.4, 3.6)
TEMPERATURES = (*COLD, *HOT)
"""Trained temperatures, J/k_B. 1.8, 2.0, 2.2, 2.35, 2.6 and 2.8 are kept for the test."""

NEAR = (2.1, 2.5)
"""Temperatures between which states are drawn more often: there the emulator has most to learn."""
NEAR_WEIGHT = 3.0
GROUP = 16
"""States at one temperature that the critic looks at together."""


@dataclass(frozen=True)
class Stage:
    """One game, its budget and its rates."""

    steps: int
    """Budget in steps; 0 leaves the stage out."""
    rate: float
    """Highest learning rate of the generator."""
    critic_rate: float = 0.0
    """Highest learning rate of the critic."""
    spins: int = 1 << 18
    """Spins in a batch."""
    likelihood: float = 0.0
    """Weight of the likelihood beside the critic."""
    energy_distance: float = 0.0
    """Weight of the energy distance beside the critic."""


@dataclass(frozen=True)
class Recipe:
    """Everything that a preset decides."""

    kind: Kind
    lattices: tuple[int, ...]
    counts: Mapping[int, int]
    """True states to simulate at each temperature, for each side."""
    likelihood: Stage
    adversarial: Stage
    temperatures: tuple[float, ...] = TEMPERATURES
    helped: bool = True
    """Whether the critic sees bonds, observables and groups."""


NO_STAGE = Stage(0, 1.0)
PRESETS: Mapping[str, Recipe] = {
    "quick": Recipe(
        "hierarchical",
        (32,),
        {32: 4000},
        Stage(900, 1.2e-2),
        NO_STAGE,
    ),
    "full": Recipe(
        "hierarchical",
        (16, 32, 64),
        {16: 16000, 32: 16000, 64: 8000},
        Stage(24000, 1.2e-2),
        Stage(600, 2e-4, 1e-3, 1 << 17, likelihood=1.0, energy_distance=0.1),
    ),
    "adversarial": Recipe(
        "signs",
        (32,),
        {32: 8000},
        NO_STAGE,
        Stage(700, 1e-3, 1e-3, 1 << 16, energy_distance=0.3),
    ),
    "dcgan": Recipe(
        "tanh",
        (32,),
        {32: 8000},
        NO_STAGE,
        Stage(700, 5e-4, 5e-4, 1 << 16),
        helped=False,
    ),
}


def run(config: TrainConfig) -> int:
    """Run ``emulant ising train``."""
    train(config)
    return PASS


@alone
def train(config: TrainConfig) -> Path:
    """Fit the emulator of ``config``; return the directory of its weights, ``config.out``.

    Raises
    ------
    InputError
        Data, sides or temperatures that cannot be used, or a run that is there already.
    Interrupted
        Ctrl-C or SIGTERM; the run can be resumed.
    """
    recipe = PRESETS[config.preset]
    sizes = Sizes(recipe.kind, config.lattices or recipe.lattices)
    build(sizes)  # refuses sides before any work
    temperatures, spins = _states(config, recipe, sizes)
    sizes = replace(sizes, lattices=tuple(sorted(spins)))
    generator = build(sizes, config.seed)
    states: Mapping[str, Tensor] = generator.state_dict()
    fingerprint = ""
    for name, stage in (("likelihood", recipe.likelihood), ("adversarial", recipe.adversarial)):
        if not stage.steps:
            continue
        generator.load_state_dict(dict(states))
        bank = Bank(temperatures, spins, stage.spins, _groups(stage, spins), _weights(temperatures))
        fingerprint = bank.fingerprint
        method = _method(name, stage, recipe, generator, bank, config.seed)
        plan = _plan(config, recipe, name, stage, tuple(method.players()))
        place = config.out / name
        resume = config.resume and begun(place)  # a run may have stopped before its last stage
        fitted = fit(method, bank, plan, place, resume, device=config.device)
        states = _owned(fitted.ema_state, "model." if name == "likelihood" else "generator.")
    made = current("ising train", config, config.seed, data=fingerprint)
    save_model(config.out, sizes, states, temperatures, made)
    return config.out


def _states(
    config: TrainConfig, recipe: Recipe, sizes: Sizes
) -> tuple[tuple[float, ...], dict[int, NDArray[np.int8]]]:
    """Return the temperatures and, for each side, states (T, n, L, L)."""
    if config.data is not None:
        states = read_states(config.data, config.temperatures)
        if config.lattices is not None and config.lattices != (states.lattice,):
            raise InputError(f"{config.data}: has side {states.lattice}; leave out --lattices")
        build(replace(sizes, lattices=(states.lattice,)))
        return tuple(states.temperatures.tolist()), {states.lattice: states.spins}
    temperatures = config.temperatures or recipe.temperatures
    spins = {}
    with Progress("simulate", total=len(temperatures) * len(sizes.lattices)) as progress:
        for k, lattice in enumerate(sizes.lattices):
            wanted = SimulateConfig(
                out=config.out / "states.npz",
                lattice=lattice,
                temperatures=temperatures,
                count=recipe.counts.get(lattice, min(recipe.counts.values())),
                seed=config.seed,
                workers=config.workers,
            )

            def moved(done: int, total: int, before: int = k) -> None:
                progress.update(before * total + done, len(sizes.lattices) * total)

            spins[lattice] = simulate_states(wanted, moved).spins
    return temperatures, spins


def _groups(stage: Stage, spins: Mapping[int, NDArray[np.int8]]) -> int:
    """Return the temperatures in a batch: 8, or as many as give groups of 16 states."""
    return 8 if not stage.critic_rate else max(1, stage.spins // max(spins) ** 2 // GROUP)


def _weights(temperatures: tuple[float, ...]) -> list[float]:
    low, high = NEAR
    return [NEAR_WEIGHT if low < t < high else 1.0 for t in temperatures]


def _method(
    name: str, stage: Stage, recipe: Recipe, generator: nn.Module, bank: Bank, seed: int
) -> Method:
    """Return the game of one stage."""
    if name == "likelihood":
        return MaximumLikelihood(generator)
    if recipe.helped:
        return adversarial_game(stage, generator, bank, seed)
    with initial_parameters(torch_rng(seed, "ising", "critic")):
        return GAN(generator, PlainCritic((32, 48, 64)), NonSaturating())


def adversarial_game(stage: Stage, generator: nn.Module, bank: Bank, seed: int) -> GAN:
    """Return the game of ``generator`` against a critic that sees bonds, observables, groups."""
    features = SpinFeatures(bank.lattices, bank.temperatures.tolist())
    some = torch.arange(min(1000, min(b.shape[1] for b in bank.bits.values())))
    count = range(len(bank.temperatures))
    features.measure({L: [bank.states(L, t, some) for t in count] for L in bank.lattices})
    with initial_parameters(torch_rng(seed, "ising", "critic")):
        critic = SpinCritic(features, (32, 48, 64), GROUP)
    companions: list[Companion] = []
    if stage.likelihood:
        companions.append(Likelihood(stage.likelihood))
    if stage.energy_distance:
        companions.append(EnergyDistance(features, stage.energy_distance, GROUP))
    penalties = (R1(0.5, every=4), R2(0.5, every=4))
    return GAN(generator, critic, Relativistic(), penalties, companions)


def _plan(
    config: TrainConfig, recipe: Recipe, name: str, stage: Stage, players: tuple[str, ...]
) -> Plan:
    """Return the plan of one stage; a budget on the command line is shared by their steps."""
    total = recipe.likelihood.steps + recipe.adversarial.steps
    share = stage.steps / total
    steps: int | None = stage.steps
    if config.steps is not None:
        steps = max(1, math.ceil(config.steps * share))
    elif config.minutes is not None:
        steps = None
    rates = {"model": stage.rate, "generator": stage.rate, "critic": stage.critic_rate}
    betas = (0.9, 0.99) if name == "likelihood" else (0.5, 0.99)
    optimisers = {
        player: Optimiser(
            lr=rates[player],
            betas=betas,
            clip=20.0,
            warmup=50,
            start_after=20 if player == "generator" and stage.likelihood else 0,
        )
        for player in players
    }
    return Plan(
        optimisers=optimisers,
        steps=steps,
        minutes=None if config.minutes is None else config.minutes * share,
        schedule="cosine",
        floor=0.01,
        ema=0.998,
        seed=config.seed,
        checkpoint_every=250,
        log_every=50,
    )


def _owned(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the entries under ``prefix``, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
