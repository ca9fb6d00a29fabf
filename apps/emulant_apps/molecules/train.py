"""Fit the prototype VAE, then a flow over its codes, which becomes its prior.

Two games of the engine, one after the other, each resumable: the VAE on batches of strings, and
the flow of :mod:`~.prior` on the codes z ~ q(z | x) of the training strings. Without the second, a
latent of N(0, I) lies where no molecule was ever coded (the *prior hole*).
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.errors import PASS, InputError
from emulant.methods.vae import VAE
from emulant.rng import numpy_rng
from emulant.store.hashing import hash_arrays
from emulant.store.provenance import current
from emulant.store.tensors import load_tensors
from emulant.train import Optimiser, alone
from emulant.train.plan import Precision
from emulant_apps.molecules.bank import Strings, training_strings
from emulant_apps.molecules.config import TrainConfig
from emulant_apps.molecules.games import played
from emulant_apps.molecules.model import FILE, build, codes_of, load_model, save_model
from emulant_apps.molecules.networks import Kind, Sizes
from emulant_apps.molecules.prior import Codes, CodesAndProperties, build_prior
from emulant_apps.molecules.selfies_words import SelfiesVocabulary
from emulant_apps.molecules.targets import PROPERTIES, kept_numbers, zero_and_unit
from emulant_apps.molecules.vocabulary import Vocabulary

__all__ = ["PRESETS", "Ramp", "Recipe", "fit_codes", "fit_strings", "run", "train"]


@dataclass(frozen=True, slots=True)
class Ramp:
    """A broken line over the share of the budget: 0 at first, then (share, factor) by turns.

    >>> [Ramp(100, ((0.5, 0.25), (0.75, 1.0)))(step) for step in (0, 50, 75, 99)]
    [0.0, 0.25, 1.0, 1.0]
    """

    steps: int
    corners: tuple[tuple[float, float], ...]

    def __call__(self, step: int) -> float:
        """Return the factor at ``step``, which starts at 0."""
        shares, factors = zip((0.0, 0.0), *self.corners, strict=True)
        return float(np.interp(step / self.steps, shares, factors))


@dataclass(frozen=True)
class Recipe:
    """Everything that a preset decides."""

    kind: Kind = "positions"
    latent: int = 64
    width: int = 384
    molecules: int | None = None
    """Training molecules, drawn at random; None: all."""
    batch: int = 64
    """Strings of a batch."""
    steps: int = 30_000
    rate: float = 3e-3
    """Highest learning rate of the VAE."""
    beta: float = 0.35
    """Weight of the KL divergence at the end."""
    corners: tuple[tuple[float, float], ...] = ((0.25, 0.25), (0.5, 1.0))
    """Rise of beta: (share of the steps, share of beta)."""
    noisy: float = 0.4
    """Share of the rows whose latent is made noisy."""
    precision: Precision = "bf16-mixed"
    codes: int = 200_000
    """Codes that the prior is fitted to, at most; 0: no learned prior."""
    code_steps: int = 8_000
    code_batch: int = 512
    code_rate: float = 2e-3


PRESETS: Mapping[str, Recipe] = {
    "quick": Recipe(molecules=100_000, steps=5_000, codes=50_000, code_steps=1_500),
    "full": Recipe(),
    "settle": Recipe(
        steps=1_000,
        rate=1.5e-3,
        beta=0.15,
        corners=((0.3, 1.0),),
        codes=100_000,
        code_steps=1_500,
        code_batch=256,
    ),
    "prior": Recipe(),
    "cdn": Recipe(
        kind="cdn",
        latent=300,
        steps=20_000,
        rate=1e-3,
        beta=1e-5,
        corners=((1e-6, 1.0),),
        noisy=0.0,
        precision="32-true",
        codes=0,
    ),
}
"""quick: within ten minutes. settle: what ends a run that was stopped. prior: the flow of full,
alone. cdn: the published one."""


def run(config: TrainConfig) -> int:
    """Run ``emulant molecules train``."""
    train(config)
    return PASS


@alone
def train(config: TrainConfig) -> Path:
    """Fit the model of ``config``; return the directory of its weights, ``config.out``.

    Raises
    ------
    InputError
        Data that cannot be used, or a run that is there already.
    Interrupted
        Ctrl-C or SIGTERM; the run can be resumed.
    """
    if config.strings != "smiles" and config.preset not in PRESETS:
        raise InputError(f"--strings: is for the VAE; --preset {config.preset} reads SMILES")
    if config.preset == "fingerprints":
        from emulant_apps.molecules.key_train import train_keys

        return train_keys(config)
    if config.preset not in PRESETS:
        from emulant_apps.molecules.char_train import train_char

        return train_char(config)
    recipe = PRESETS[config.preset]
    if config.steps is not None:
        less = min(recipe.code_steps, max(1, config.steps))
        recipe = dataclasses.replace(recipe, steps=config.steps, code_steps=less)
    if config.preset == "prior":
        return _refit(recipe, config)
    strings = training_strings(config, recipe.molecules)
    vocabulary = _vocabulary(strings, config)
    encoded = vocabulary.encode(strings)
    if encoded.unknown:
        sys.stderr.write(f"train: {len(encoded.unknown)} strings left out: rare tokens or long\n")
    sizes = _sizes(recipe, vocabulary, config)
    vae, fingerprint = fit_strings(recipe, sizes, encoded.rows, config)
    codes = fit_codes(recipe, vae, vocabulary, encoded.rows, config) if recipe.codes else None
    made = current("molecules train", config, config.seed, data=fingerprint)
    save_model(config.out, vae, codes, sizes, made)
    return config.out


def _vocabulary(strings: Sequence[str], config: TrainConfig) -> Vocabulary:
    """Return the tokens of the strings that the network is to say."""
    kind = SelfiesVocabulary if config.strings == "selfies" else Vocabulary
    return kind.of(strings, rare=config.rare)


def _sizes(recipe: Recipe, vocabulary: Vocabulary, config: TrainConfig) -> Sizes:
    return Sizes(
        recipe.kind,
        vocabulary.words,
        vocabulary.length,
        recipe.latent,
        recipe.width,
        config.strings,
    )


def fit_strings(
    recipe: Recipe, sizes: Sizes, rows: NDArray[np.uint8], config: TrainConfig
) -> tuple[VAE, str]:
    """Fit the VAE; return it with its averaged parameters, and the hash of its data."""
    bank = Strings(rows, recipe.batch, recipe.latent, recipe.noisy)
    vae = build(sizes, config.seed, recipe.beta, Ramp(recipe.steps, recipe.corners))
    if config.start is not None:
        _start_from(config.start, vae, sizes)
    optimiser = Optimiser(recipe.rate, clip=5.0, warmup=min(200, recipe.steps))
    averaged = played(
        vae, bank, {"autoencoder": optimiser}, config, "vae", "vae", recipe.steps,
        config.minutes, precision=recipe.precision,
    )  # fmt: skip
    return averaged, bank.fingerprint


def _refit(recipe: Recipe, config: TrainConfig) -> Path:
    """Fit the prior of a model that is there already; its other parameters stay as they are."""
    if config.start is None:
        raise InputError("--preset prior: needs --start, the directory of a model")
    strings = training_strings(config, recipe.molecules)
    content = None
    if (config.start / FILE).exists():
        model = load_model(config.start)
        vae, sizes, content = model.vae, model.sizes, model.content
    else:  # a run that was stopped before it had a prior
        sizes = _sizes(recipe, _vocabulary(strings, config), config)
        vae = build(sizes, config.seed)
        _start_from(config.start, vae, sizes)
    encoded = sizes.vocabulary.encode(strings)
    if not len(encoded.rows):
        raise InputError(f"--start {config.start}: can read none of these molecules")
    codes = fit_codes(recipe, vae, sizes.vocabulary, encoded.rows, config)
    data = hash_arrays({"rows": encoded.rows})
    made = current("molecules train", config, config.seed, data=data, weights=content)
    save_model(config.out, vae, codes, sizes, made)
    return config.out


def fit_codes(
    recipe: Recipe,
    vae: VAE,
    vocabulary: Vocabulary,
    rows: NDArray[np.uint8],
    config: TrainConfig,
) -> Codes:
    """Fit the flow over the codes and properties of the strings; return the learned prior."""
    chosen = numpy_rng(config.seed, "molecules codes").permutation(len(rows))[: recipe.codes]
    rows = rows[np.sort(chosen)]
    z = codes_of(vae, rows)
    mean, scatter = z.mean(0), z.std(0) + 1e-3
    y = kept_numbers(vocabulary.decode(rows[:, 1:]), config.out / PROPERTIES, config.workers)
    bank = CodesAndProperties((z - mean) / scatter, torch.from_numpy(y), recipe.code_batch)
    flow = build_prior(vae.latent, config.seed, zero_and_unit(y))
    optimiser = Optimiser(recipe.code_rate, warmup=min(100, recipe.code_steps))
    flow = played(
        flow, bank, {"field": optimiser}, config, "prior", "prior", recipe.code_steps,
        floor=0.01, log_every=50,
    )  # fmt: skip
    return Codes(flow.cpu().eval(), mean, scatter)


def _start_from(directory: Path, vae: VAE, sizes: Sizes) -> None:
    """Give ``vae`` the parameters of a model, or the averaged ones of a stopped run."""
    if (directory / FILE).exists():
        model = load_model(directory)
        known = model.sizes
        state: Mapping[str, Tensor] = model.vae.state_dict()
    else:
        stored = load_tensors(directory / "vae" / "checkpoint.safetensors").tensors
        state = {k.removeprefix("average/"): v for k, v in stored.items() if "average/" in k}
        known = sizes
    try:
        vae.load_state_dict(dict(state) | {"steps_played": torch.zeros((), dtype=torch.int64)})
    except RuntimeError as error:
        raise InputError(f"--start {directory}: is a model of other sizes") from error
    if known != sizes:
        raise InputError(f"--start {directory}: knows other tokens than these molecules use")
