"""Draw strings: from the learned prior, or around a prototype.

The strings come in chunks of a fixed size; each chunk has random streams derived from the seed and
its place, and is computed whole on one thread, so that the same seed gives the same strings
whatever the number of workers, and fewer strings are the first of more.

How a latent becomes a string is said in :mod:`~.decoding`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.errors import InputError
from emulant.methods.game import evaluating
from emulant.parallel import chunked_map
from emulant.rng import torch_rng
from emulant.threads import one_thread
from emulant_apps.molecules.decoding import (
    CHUNK,
    Choice,
    Drawn,
    Mode,
    in_chunks,
    is_molecule,
    joined,
    until_molecules,
)
from emulant_apps.molecules.model import Model, load_model, told

__all__ = ["CHUNK", "Drawn", "Emulator", "Mode", "is_molecule"]

Scores = NDArray[np.float64]


class Emulator:
    """A trained model that draws molecules.

    >>> emulator = Emulator.pretrained()                    # doctest: +SKIP
    >>> emulator.sample(1000, seed=0).valid                 # doctest: +SKIP
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    @classmethod
    def pretrained(cls) -> Emulator:
        """Return the emulator of the shipped weights."""
        with resources.as_file(resources.files("emulant_apps.molecules") / "pretrained") as path:
            return cls.load(path)

    @classmethod
    def load(cls, directory: str | Path) -> Emulator:
        """Return the emulator whose weights are in ``directory``.

        Raises
        ------
        InputError
            There is no such directory, or no weights in it, or they are damaged.
        """
        return cls(load_model(directory))

    def sample(
        self,
        count: int,
        seed: int,
        mode: Mode | None = None,
        workers: int | None = 1,
        start: int = 0,
        progress: Callable[[int, int], None] | None = None,
        asked: NDArray[np.float64] | None = None,
    ) -> Drawn:
        """Return ``count`` strings of the prior, from number ``start``, a multiple of CHUNK, on.

        Parameters
        ----------
        asked
            Properties in the order of :data:`~.targets.TARGETS`, (5,) for all strings or
            (count, 5), NaN where nothing is asked.
        """
        work = partial(_of_prior, self.model, mode or Mode(), seed, start // CHUNK, asked)
        return in_chunks(work, count, seed, workers, progress, start)

    def analogues(
        self,
        prototypes: Sequence[str],
        count: int,
        seed: int,
        diversity: float = 1.0,
        mode: Mode | None = None,
        workers: int | None = 1,
    ) -> Drawn:
        """Return ``count`` strings around each prototype, ``z = m + D sigma e``.

        Raises
        ------
        InputError
            A prototype holds tokens outside the vocabulary, or is too long; they are listed.
        """
        encoded = self.model.sizes.vocabulary.encode(prototypes)
        for index, why in encoded.unknown:
            raise InputError(f"'{prototypes[index]}': {why}")
        jobs = [(row, start) for row in range(len(prototypes)) for start in range(0, count, CHUNK)]
        work = partial(_of_prototype, self.model, mode or Mode(), seed, diversity, encoded.rows)
        parts = chunked_map(_Jobs(work, jobs), len(jobs), 1, seed, workers)
        drawn = []
        for row in range(len(prototypes)):
            own = [part for part, job in zip(parts, jobs, strict=True) if job[0] == row]
            drawn.append(joined(own, count))
        return Drawn(
            tuple(text for part in drawn for text in part.strings),
            np.concatenate([part.log_likelihood for part in drawn]),
            sum(part.redrawn for part in drawn),
            tuple(row for row, part in enumerate(drawn) for _ in part.strings),
        )

    def reconstruct(self, strings: Sequence[str]) -> tuple[str, ...]:
        """Return the greedy string of the mean code of each; all must be in the vocabulary."""
        encoded = self.model.sizes.vocabulary.encode(strings)
        if encoded.unknown:
            index, why = encoded.unknown[0]
            raise InputError(f"'{strings[index]}': {why}")
        said = []
        with evaluating(self.model.vae), one_thread():
            for start in range(0, len(encoded.rows), CHUNK):
                x = torch.from_numpy(encoded.rows[start : start + CHUNK]).long()
                z = self.model.vae.encode(x).mean
                rows = self.model.decoder.mean(z, told(z, self.model.doubt))
                said += self.model.sizes.vocabulary.decode(rows.numpy())
        return tuple(said)


@dataclass(frozen=True)
class _Jobs:
    """A list of jobs as chunks; picklable."""

    work: Callable[[tuple[int, int]], Drawn]
    jobs: Sequence[tuple[int, int]]

    def __call__(self, start: int, size: int, seed: int) -> Drawn:
        del size, seed
        return self.work(self.jobs[start])


def _of_prior(
    model: Model,
    mode: Mode,
    seed: int,
    first: int,
    asked: NDArray[np.float64] | None,
    chunk: int,
    size: int,
    unused: int,
) -> Drawn:
    """Return the strings of one chunk of the prior; rows asked begin with those of ``first``."""
    del size, unused
    rng = torch_rng(seed, "molecules sample", chunk)
    with evaluating(model.vae), one_thread():
        if mode.prior == "normal" or model.codes is None:
            z = model.vae.prior.draw(CHUNK, rng)
        else:
            z = model.codes.draw(CHUNK, rng, _of_chunk(asked, chunk - first), mode.guidance)
        return _said(model, z, mode, rng)


def _of_chunk(asked: NDArray[np.float64] | None, chunk: int) -> NDArray[np.float64] | None:
    """Return what is asked of the strings of a chunk, one row each, or one row for all."""
    if asked is None or asked.ndim == 1:
        return asked
    rows = asked[chunk * CHUNK : (chunk + 1) * CHUNK]
    nothing = np.full((CHUNK - len(rows), asked.shape[1]), np.nan)
    return np.concatenate([rows, nothing])


def _of_prototype(
    model: Model,
    mode: Mode,
    seed: int,
    diversity: float,
    rows: NDArray[np.uint8],
    job: tuple[int, int],
) -> Drawn:
    """Return one chunk of strings around one prototype."""
    row, start = job
    rng = torch_rng(seed, "molecules analogues", row, start)
    with evaluating(model.vae), one_thread():
        q = model.vae.encode(torch.from_numpy(rows[row : row + 1]).long())
        e = torch.randn(CHUNK, model.sizes.latent, generator=rng)
        return _said(model, q.mean + diversity * (0.5 * q.log_variance).exp() * e, mode, rng)


def _said(model: Model, z: Tensor, mode: Mode, rng: torch.Generator) -> Drawn:
    """Return what the decoder says of latents (n, Z), in ``mode``."""

    def once(rows: Sequence[int] | None, temperature: float) -> tuple[list[str], Scores]:
        some = z if rows is None else z[list(rows)]
        return _once(model, some, temperature, mode.masked, rng, mode.doubt)

    return until_molecules(once, mode)


def _once(
    model: Model,
    z: Tensor,
    temperature: float,
    masked: bool,
    rng: torch.Generator,
    doubt: float | None = None,
) -> tuple[list[str], Scores]:
    """Return one string of each latent, and its ln p."""
    masked = masked and model.sizes.strings == "smiles"  # SELFIES are grammatical of themselves
    choice = Choice(model.sizes.vocabulary, len(z), rng, temperature, masked)
    rows = model.decoder.say(z, choice, told(z, model.doubt if doubt is None else doubt))
    return model.sizes.vocabulary.decode(rows.numpy()), choice.score.numpy()


def strings_of(model: Model, z: Tensor, mode: Mode, rng: torch.Generator) -> tuple[str, ...]:
    """Return the string of each latent of z (n, Z)."""
    with evaluating(model.vae), one_thread():
        return _said(model, z, mode, rng).strings


def codes_of_strings(
    emulator: Emulator, strings: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return KL(q || N(0, I)) in nats (n,) and the mean codes (n, Z) of strings that it reads."""
    rows = emulator.model.sizes.vocabulary.encode(strings).rows
    kl, means = [], []
    with evaluating(emulator.model.vae), one_thread():
        for start in range(0, len(rows), CHUNK):
            q = emulator.model.vae.encode(torch.from_numpy(rows[start : start + CHUNK]).long())
            kl.append(q.kl().double().numpy())
            means.append(q.mean.double().numpy())
    return np.concatenate(kl), np.concatenate(means)


def decode_pairs(emulator: Emulator, count: int, seed: int) -> tuple[list[str], list[str]]:
    """Return two strings at temperature one of each of ``count`` latents of the prior."""
    rng = torch_rng(seed, "molecules pairs")
    with evaluating(emulator.model.vae), one_thread():
        z = emulator.model.draw_latents(count, rng)
        first, _ = _once(emulator.model, z, 1.0, False, rng)
        second, _ = _once(emulator.model, z, 1.0, False, rng)
    return first, second
