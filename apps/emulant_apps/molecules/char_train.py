"""Fit the char-RNN: one game of the engine, on batches of strings of similar length.

A share of the strings is written in a random order, and the network is told which
(:mod:`~.char_rnn`): that is what growing from a scaffold stands on. On half of the rows it is told
some of the properties of the molecule, too, so that they may be asked.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.errors import InputError
from emulant.parallel import chunked_map
from emulant.rng import derive, numpy_rng
from emulant.store.hashing import hash_json
from emulant.store.provenance import current
from emulant.train import Optimiser
from emulant.train.plan import Precision
from emulant.types import Batch
from emulant_apps.molecules.bank import Strings, training_strings
from emulant_apps.molecules.char_rnn import CharSizes, build_char, save_char, symbols_of
from emulant_apps.molecules.chemistry.parse import shuffled
from emulant_apps.molecules.config import TrainConfig
from emulant_apps.molecules.games import played
from emulant_apps.molecules.prior import some_told
from emulant_apps.molecules.targets import PROPERTIES, kept_numbers, zero_and_unit
from emulant_apps.molecules.vocabulary import Vocabulary

__all__ = ["CHAR_PRESETS", "CharRecipe", "Lines", "shuffle_some", "train_char"]

LENGTH = 120
"""Most tokens of a string."""


@dataclass(frozen=True)
class CharRecipe:
    """Everything that a preset decides."""

    width: int = 512
    molecules: int | None = None
    """Training molecules, drawn at random; None: all."""
    batch: int = 128
    """Strings of a batch."""
    steps: int = 24_000
    rate: float = 2e-3
    """Highest learning rate."""
    shuffled: float = 0.2
    """Share of the strings that are written in a random order."""
    precision: Precision = "bf16-mixed"


CHAR_PRESETS: Mapping[str, CharRecipe] = {
    "char-rnn-quick": CharRecipe(320, molecules=100_000, batch=64, steps=4_000, rate=3e-3),
    "char-rnn": CharRecipe(),
}


class Lines:
    """Strings with what is said of them, a :class:`~emulant.train.Source`.

    Arguments
    ---------
    rows : numbers of tokens (n, length + 2), as :class:`~.vocabulary.Encoded` holds them.
    order : 0 where a string is canonical, 1 where its order is random, (n,).
    size : rows B of a batch.
    properties : of the molecules, shape (n, P), of which some are told; None: nothing is.
    """

    def __init__(
        self,
        rows: NDArray[np.uint8],
        order: NDArray[np.float32] | None,
        size: int,
        properties: NDArray[np.float64] | None = None,
    ) -> None:
        self.strings = Strings(rows, size, 0)
        said = np.zeros(len(rows), dtype=np.float32) if order is None else order
        self.order = torch.from_numpy(said[self.strings.order])[:, None]
        self.properties: Tensor | None = None
        told = [self.strings.fingerprint, float(said.sum())]
        if properties is not None:
            self.properties = torch.from_numpy(properties[self.strings.order]).float()
            told.append(float(np.nansum(properties)))
        self.fingerprint = hash_json(told)

    def batch(self, step: int, rng: torch.Generator) -> Batch:
        """Return symbols (B, T), each row with its end, and contexts (B, 1) or (B, 1 + P)."""
        del step
        x, chosen = self.strings.draw(rng)
        c = self.order[chosen]
        if self.properties is not None:
            c = torch.cat([c, some_told(self.properties[chosen], rng)], 1)
        return Batch(symbols_of(x), c)


def train_char(config: TrainConfig) -> Path:
    """Fit the char-RNN of ``config``; return the directory of its weights, ``config.out``.

    Raises
    ------
    InputError
        Data or options that cannot be used, or a run that is there already.
    Interrupted
        Ctrl-C or SIGTERM; the run can be resumed.
    """
    recipe = CHAR_PRESETS[config.preset]
    if config.start is not None:
        raise InputError(
            "--start: is for the VAE; a char-RNN goes on with "
            "'emulant molecules finetune --model', or --resume"
        )
    if config.steps is not None:
        recipe = dataclasses.replace(recipe, steps=config.steps)
    strings = training_strings(config, recipe.molecules)
    vocabulary = Vocabulary.wide(strings, LENGTH, config.rare)
    lines, left_out = _lines(strings, vocabulary, recipe, config)
    if left_out:
        sys.stderr.write(f"train: {left_out} strings left out: rare tokens or long\n")
    sizes = CharSizes(vocabulary.words, vocabulary.length, recipe.width, asked=True)
    assert lines.properties is not None
    rnn = build_char(sizes, config.seed, zero_and_unit(lines.properties.double().numpy()))
    optimiser = Optimiser(recipe.rate, clip=5.0, warmup=min(200, recipe.steps))
    averaged = played(
        rnn, lines, {"model": optimiser}, config, "char_rnn", "char-rnn", recipe.steps,
        config.minutes, precision=recipe.precision,
    )  # fmt: skip
    made = current("molecules train", config, config.seed, data=lines.fingerprint)
    save_char(config.out, averaged, sizes, made)
    return config.out


def shuffle_some(
    strings: Sequence[str], share: float, seed: int, workers: int | None = 1
) -> tuple[list[str], NDArray[np.int64]]:
    """Return as many strings in a random order as make ``share`` of all, and of which they are."""
    count = math.floor(len(strings) * share / (1 - share))
    if not count:
        return [], np.zeros(0, np.int64)
    rng = numpy_rng(seed, "molecules shuffled")
    chosen = rng.choice(len(strings), count, replace=count > len(strings))
    work = _Shuffle([strings[k] for k in chosen])
    return [x for part in chunked_map(work, count, 1000, seed, workers) for x in part], chosen


@dataclass(frozen=True)
class _Shuffle:
    """The work of one chunk; picklable."""

    strings: Sequence[str]

    def __call__(self, start: int, size: int, seed: int) -> list[str]:
        some = self.strings[start : start + size]
        return [shuffled(text, derive(seed, k)) for k, text in enumerate(some)]


def _lines(
    strings: Sequence[str], vocabulary: Vocabulary, recipe: CharRecipe, config: TrainConfig
) -> tuple[Lines, int]:
    """Return the bank of both orders, and how many canonical strings it lacks."""
    plain = vocabulary.encode(strings)
    if not len(plain.rows):
        raise InputError(f"{config.data}: no molecule is left; first: {plain.unknown[0][1]}")
    kept = [strings[k] for k in plain.kept.tolist()]
    others, of = shuffle_some(kept, recipe.shuffled, config.seed, config.workers)
    encoded = vocabulary.encode(others)
    rows = [plain.rows, encoded.rows]
    order = np.repeat(np.array([0, 1], dtype=np.float32), [len(part) for part in rows])
    numbers = kept_numbers(kept, config.out / PROPERTIES, config.workers)
    properties = np.concatenate([numbers, numbers[of[encoded.kept]]])
    return Lines(np.concatenate(rows), order, recipe.batch, properties), len(plain.unknown)
