"""Fit the adversarial autoencoder of fingerprints, and say whether its draws are like true ones."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from emulant.errors import InputError
from emulant.rng import numpy_rng
from emulant.store.provenance import current
from emulant.tables import aligned
from emulant.train import Optimiser, Resampled
from emulant_apps.molecules.bank import training_strings
from emulant_apps.molecules.config import TrainConfig
from emulant_apps.molecules.games import played
from emulant_apps.molecules.key_aae import KeyEmulator, KeySizes, build_keys, save_keys
from emulant_apps.molecules.keys import compare, keys_of_all, report_text

__all__ = ["KeyRecipe", "train_keys"]


@dataclass(frozen=True)
class KeyRecipe:
    """Everything that the preset decides."""

    molecules: int = 100_000
    batch: int = 512
    steps: int = 8_000
    rate: float = 1e-3
    weight: float = 5.0
    """Of the critic's verdict, in nats of the fingerprint."""


def train_keys(config: TrainConfig) -> Path:
    """Fit the autoencoder of ``config``; return the directory of its weights, ``config.out``.

    A fortieth of the molecules, 5,000 at most, is held out; the table that is printed judges by it.

    Raises
    ------
    InputError
        Data or options that cannot be used, or a run that is there already.
    Interrupted
        Ctrl-C or SIGTERM; the run can be resumed.
    """
    recipe = KeyRecipe()
    if config.start is not None:
        raise InputError("--start: is for the VAE; an autoencoder of fingerprints has none")
    if config.steps is not None:
        recipe = dataclasses.replace(recipe, steps=config.steps)
    strings = training_strings(config, recipe.molecules)
    bits = keys_of_all(strings, config.workers)
    order = numpy_rng(config.seed, "molecules keys held out").permutation(len(bits))
    held = min(5000, len(bits) // 40 + 2)
    if len(bits) < 10:
        raise InputError(f"an autoencoder of fingerprints needs 10 molecules, got {len(bits)}")
    kept = bits[np.sort(order[held:])]
    bank = Resampled(torch.from_numpy(kept.astype(np.float32)), size=recipe.batch)
    sizes = KeySizes()
    aae = build_keys(sizes, config.seed, recipe.weight)
    optimiser = Optimiser(recipe.rate, warmup=min(100, recipe.steps))
    averaged = played(
        aae, bank, {"critic": optimiser, "autoencoder": optimiser}, config, "keys", "keys",
        recipe.steps, config.minutes, ema=0.99,
    )  # fmt: skip
    made = current("molecules train", config, config.seed, data=bank.fingerprint)
    content = save_keys(config.out, averaged, sizes, made)
    truth = bits[order[:held]]
    drawn = KeyEmulator(averaged, sizes, content).draw(held, config.seed)
    rows = report_text(compare(drawn, truth), compare(bits[order[held : 2 * held]], truth))
    head = ("fingerprints", "drawn : true", "true : true")
    sys.stdout.write(aligned(head, rows))
    return config.out
