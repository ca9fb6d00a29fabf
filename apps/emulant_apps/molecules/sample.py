"""Draw strings: from a prior, or around a prototype.

A latent of the *language* prior is the mean code of a molecule that a char-RNN says; of the others
it is drawn among the codes (:mod:`~.prior`).

The strings come in chunks of a fixed size; each chunk has random streams derived from the seed and
its place, and is computed whole on one thread, so that the same seed gives the same strings
whatever the number of workers, and fewer strings are the first of more.

How a latent becomes a string is said in :mod:`~.decoding`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from emulant.store.hashing import hash_json
from emulant.threads import one_thread
from emulant_apps.molecules.char_sample import CharEmulator
from emulant_apps.molecules.decoding import (
    CHUNK,
    REDRAWS,
    Choice,
    Drawn,
    Mode,
    Prior,
    are_molecules,
    in_chunks,
    is_molecule,
    joined,
    until_molecules,
)
from emulant_apps.molecules.model import Model, codes_of, load_model, told

__all__ = ["CHUNK", "Drawn", "Emulator", "Mode", "is_molecule"]

Scores = NDArray[np.float64]


class Emulator:
    """A trained model that draws molecules.

    Arguments
    ---------
    model : the VAE.
    language : the char-RNN of its language prior, where it has one.

    >>> emulator = Emulator.pretrained()                    # doctest: +SKIP
    >>> emulator.sample(1000, seed=0).valid                 # doctest: +SKIP
    """

    def __init__(self, model: Model, language: CharEmulator | None = None) -> None:
        self.model, self.language = model, language

    @classmethod
    def pretrained(cls) -> Emulator:
        """Return the emulator of the shipped weights."""
        with resources.as_file(resources.files("emulant_apps.molecules") / "pretrained") as path:
            return cls(load_model(path), CharEmulator.pretrained())

    @classmethod
    def load(cls, directory: str | Path, language: str | Path | None = None) -> Emulator:
        """Return the emulator whose weights are in ``directory``.

        ``language``: directory of the char-RNN of its language prior.

        Raises
        ------
        InputError
            There is no such directory, or no weights in it, or they are damaged.
        """
        talker = None if language is None else CharEmulator.load(language)
        return cls(load_model(directory), talker)

    @property
    def content(self) -> str:
        """Hash of all weights."""
        if self.language is None:
            return self.model.content
        return hash_json([self.model.content, self.language.content])

    def prior_of(self, mode: Mode, asked: NDArray[np.float64] | None = None) -> Prior:
        """Return the prior that ``mode`` means: the first that there is, and that can be asked.

        Raises
        ------
        InputError
            There is no such prior, or it cannot be asked for properties.
        """
        if mode.prior == "language" and self.language is None:
            raise InputError(
                "--prior language: needs a char-RNN beside this model; name one with --language"
            )
        if mode.prior == "flow" and self.model.codes is None:
            raise InputError("--prior flow: this model has none; fit one with --preset prior")
        if mode.prior is not None:
            found = mode.prior
        elif self.language is not None and (asked is None or self.language.knows_properties):
            found = "language"
        else:
            found = "normal" if self.model.codes is None else "flow"
        if asked is not None and found == "normal":
            raise InputError("--prior normal: knows of no properties; leave it out to ask for some")
        return found

    def doubt_of(self, mode: Mode) -> float:
        """Return the share of noise that the decoder is told: none of the code of a molecule."""
        if mode.doubt is not None:
            return mode.doubt
        return 0.0 if self.prior_of(mode) == "language" else self.model.doubt

    def latents(
        self,
        n: int,
        rng: torch.Generator,
        mode: Mode | None = None,
        asked: NDArray[np.float64] | None = None,
    ) -> Tensor:
        """Return ``n`` latents of the prior, shape (n, Z).

        Parameters
        ----------
        asked
            Properties, shape (5,) or (n, 5), NaN where nothing is asked.
        """
        mode = mode or Mode()
        prior = self.prior_of(mode, asked)
        if prior == "language":
            return self._spoken(n, rng, asked, mode.guidance)
        with evaluating(self.model.vae), one_thread():
            if prior == "flow" and self.model.codes is not None:
                return self.model.codes.draw(n, rng, asked, mode.guidance)
            return self.model.vae.prior.draw(n, rng)

    def _spoken(
        self,
        n: int,
        rng: torch.Generator,
        asked: NDArray[np.float64] | None,
        guidance: float,
    ) -> Tensor:
        """Return the mean codes of ``n`` molecules that the char-RNN says and the VAE can read.

        What is seldom one of those is said with masks in the second half of the rounds.
        """
        assert self.language is not None
        vocabulary = self.model.sizes.vocabulary
        z = torch.zeros(n, self.model.sizes.latent)
        missing = np.arange(n)
        for turn in range(REDRAWS):
            talk = Mode(1.0, masked=turn >= REDRAWS // 2, guidance=guidance)
            some = asked if asked is None or asked.ndim == 1 else asked[missing]
            strings = self.language.draw(len(missing), rng, talk, some).strings
            good = np.array(are_molecules(strings))
            rows = vocabulary.encode([strings[k] for k in np.flatnonzero(good)])
            place = np.flatnonzero(good)[rows.kept]
            if len(place):
                z[torch.from_numpy(missing[place])] = self.codes(rows.rows)
            missing = np.delete(missing, place)
            if not len(missing):
                return z
        raise InputError(
            "--prior language: the char-RNN says too few molecules that this model can read; ask "
            "for what is nearer to its training molecules, or give it one that was trained longer"
        )

    def codes(self, rows: NDArray[np.uint8]) -> Tensor:
        """Return the mean codes (n, Z) of encoded strings."""
        with one_thread():
            return codes_of(self.model.vae, rows)

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
        work = partial(_of_prior, self, mode or Mode(), seed)
        return in_chunks(work, count, seed, workers, progress, start, asked)

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
        """Return the greedy string of the mean code of each; all must be in the vocabulary.

        The decoder doubts the codes as much as it does those of the prior.
        """
        encoded = self.model.sizes.vocabulary.encode(strings)
        if encoded.unknown:
            index, why = encoded.unknown[0]
            raise InputError(f"'{strings[index]}': {why}")
        said: list[str] = []
        with evaluating(self.model.vae), one_thread():
            for start in range(0, len(encoded.rows), CHUNK):
                z = self.codes(encoded.rows[start : start + CHUNK])
                rows = self.model.decoder.mean(z, told(z, self.doubt_of(Mode())))
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
    emulator: Emulator,
    mode: Mode,
    seed: int,
    chunk: int,
    asked: NDArray[np.float64] | None,
) -> Drawn:
    """Return the strings of one chunk of the prior."""
    rng = torch_rng(seed, "molecules sample", chunk)
    z = emulator.latents(CHUNK, rng, mode, asked)
    with evaluating(emulator.model.vae), one_thread():
        return _said(emulator.model, z, replace(mode, doubt=emulator.doubt_of(mode)), rng)


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
    doubt = model.doubt if mode.doubt is None else mode.doubt

    def once(rows: Sequence[int] | None, temperature: float) -> tuple[list[str], Scores]:
        some = z if rows is None else z[list(rows)]
        if mode.beam > 1 and rows is None:
            found, score = model.decoder.search(some, mode.beam, told(some, doubt))
            return model.sizes.vocabulary.decode(found.numpy()), score.numpy()
        return _once(model, some, temperature, mode.masked, rng, doubt)

    return until_molecules(once, mode)


def _once(
    model: Model,
    z: Tensor,
    temperature: float,
    masked: bool,
    rng: torch.Generator,
    doubt: float,
) -> tuple[list[str], Scores]:
    """Return one string of each latent, and its ln p."""
    masked = masked and model.sizes.strings == "smiles"  # SELFIES are grammatical of themselves
    choice = Choice(model.sizes.vocabulary, len(z), rng, temperature, masked)
    rows = model.decoder.say(z, choice, told(z, doubt))
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
    z, doubt = emulator.latents(count, rng), emulator.doubt_of(Mode())
    with evaluating(emulator.model.vae), one_thread():
        first, _ = _once(emulator.model, z, 1.0, False, rng, doubt)
        second, _ = _once(emulator.model, z, 1.0, False, rng, doubt)
    return first, second
