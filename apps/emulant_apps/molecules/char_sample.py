"""Draw strings with a char-RNN: from nothing, or from a beginning.

The strings come in chunks of a fixed size, as in :mod:`~.sample`: the same seed gives the same
strings whatever the number of workers, and fewer strings are the first of more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.errors import InputError
from emulant.methods.game import evaluating
from emulant.rng import torch_rng
from emulant.threads import one_thread
from emulant_apps.molecules.char_rnn import CharModel, load_char, symbols_of
from emulant_apps.molecules.decoding import (
    CHUNK,
    Choice,
    Drawn,
    Mode,
    in_chunks,
    until_molecules,
)
from emulant_apps.molecules.vocabulary import PAD, tokens

__all__ = ["SHIPPED", "CharEmulator", "token_scores"]

SHIPPED = "char_rnn.safetensors"
"""File of the weights that came with the package."""


class CharEmulator:
    """A trained char-RNN that draws molecules.

    >>> emulator = CharEmulator.pretrained()                            # doctest: +SKIP
    >>> emulator.sample(1000, seed=0, mode=Mode(temperature=1.0)).valid # doctest: +SKIP
    """

    def __init__(self, model: CharModel) -> None:
        self.model = model

    @classmethod
    def pretrained(cls) -> CharEmulator:
        """Return the emulator of the shipped weights.

        Raises
        ------
        InputError
            This version comes without them.
        """
        with resources.as_file(resources.files("emulant_apps.molecules") / "pretrained") as path:
            if not (path / SHIPPED).exists():
                raise InputError(
                    "this version comes without weights of a char-RNN; train one with 'emulant "
                    "molecules train --preset char-rnn --out DIR', and name it with --model DIR"
                )
            return cls(load_char(path, SHIPPED))

    @classmethod
    def load(cls, directory: str | Path) -> CharEmulator:
        """Return the emulator whose weights are in ``directory``.

        Raises
        ------
        InputError
            There are no weights of a char-RNN in it, or they are damaged.
        """
        return cls(load_char(Path(directory)))

    @property
    def content(self) -> str:
        """Hash of the weights."""
        return self.model.content

    @property
    def knows_properties(self) -> bool:
        """Whether properties may be asked."""
        return self.model.sizes.asked

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
        """Return ``count`` new strings, from number ``start``, a multiple of CHUNK, on.

        Parameters
        ----------
        asked
            Properties in the order of :data:`~.targets.TARGETS`, (5,) for all strings or
            (count, 5), NaN where nothing is asked.

        Raises
        ------
        InputError
            The temperature is 0: there would be one string only. Or properties are asked of a
            network that knows of none.
        """
        self._check(asked)
        mode = mode or Mode(temperature=1.0)
        if not mode.temperature > 0:
            raise InputError(
                "--temperature: must be above 0 for a char-RNN, which would say one and the same "
                "string; 1 is its own law"
            )
        work = partial(_new, self.model, mode, seed)
        return in_chunks(work, count, seed, workers, progress, start, asked)

    def draw(
        self,
        count: int,
        rng: torch.Generator,
        mode: Mode,
        asked: NDArray[np.float64] | None = None,
    ) -> Drawn:
        """Return ``count`` new strings of one stream of chance; ``asked`` as in :meth:`sample`."""
        self._check(asked)
        with evaluating(self.model.rnn), one_thread():
            return _said(self.model, count, mode, rng, asked=asked)

    def _check(self, asked: NDArray[np.float64] | None) -> None:
        if asked is not None and not self.knows_properties:
            raise InputError(
                "properties cannot be asked of this char-RNN, which was not told of any; train one "
                "with 'emulant molecules train --preset char-rnn'"
            )

    def go_on(
        self,
        openings: Sequence[str],
        rng: torch.Generator,
        mode: Mode,
        first: frozenset[str] | None = None,
    ) -> Drawn:
        """Return one string for each of ``openings`` that begins with it, in any order of atoms.

        Parameters
        ----------
        openings
            Beginnings of SMILES whose tokens are all in the vocabulary.
        first
            Tokens that may stand right after an opening; all where it is None.
        """
        vocabulary = self.model.sizes.vocabulary
        numbers = [[vocabulary.number[t] for t in tokens(text)] for text in openings]
        given = torch.zeros(len(openings), max(map(len, numbers), default=0), dtype=torch.int64)
        for row, some in enumerate(numbers):
            given[row, : len(some)] = torch.tensor(some, dtype=torch.int64)
        may = None
        if first is not None:
            may = torch.zeros(vocabulary.size, dtype=torch.bool)
            may[[vocabulary.number[t] for t in sorted(first)]] = True
        with evaluating(self.model.rnn), one_thread():
            return _said(self.model, len(openings), mode, rng, 1.0, given, may)


def token_scores(
    model: CharModel, strings: Sequence[str], order: float = 0.0
) -> list[NDArray[np.float64]]:
    """Return ln p of each token given those before, the end included, nats; (T + 1,) each.

    The strings must be in the vocabulary.
    """
    encoded = model.sizes.vocabulary.encode(strings)
    for index, why in encoded.unknown:
        raise InputError(f"'{strings[index]}': {why}")
    found = []
    with evaluating(model.rnn), one_thread():
        for start in range(0, len(encoded.rows), CHUNK):
            rows = encoded.rows[start : start + CHUNK]
            lengths = (rows != PAD).sum(1)
            x = symbols_of(torch.from_numpy(rows[:, : lengths.max()]))
            ends = x.masked_fill(x < 0, model.rnn.symbols)
            read = torch.nn.functional.pad(ends[:, :-1], (1, 0), value=model.rnn.symbols)
            logits = model.rnn.net(read, torch.full((len(x), 1), order)).logits
            ln_p = logits.log_softmax(2).gather(2, ends[:, :, None])[:, :, 0].double().numpy()
            found += [line[: length - 1] for line, length in zip(ln_p, lengths, strict=True)]
    return found


def _new(
    model: CharModel,
    mode: Mode,
    seed: int,
    chunk: int,
    asked: NDArray[np.float64] | None,
) -> Drawn:
    """Return one chunk of new strings."""
    rng = torch_rng(seed, "molecules char-rnn sample", chunk)
    with evaluating(model.rnn), one_thread():
        return _said(model, CHUNK, mode, rng, asked=asked)


def _said(
    model: CharModel,
    n: int,
    mode: Mode,
    rng: torch.Generator,
    order: float = 0.0,
    openings: Tensor | None = None,
    first: Tensor | None = None,
    asked: NDArray[np.float64] | None = None,
) -> Drawn:
    """Return n strings in ``mode``, each after its opening."""
    vocabulary = model.sizes.vocabulary

    def once(
        rows: Sequence[int] | None, temperature: float
    ) -> tuple[list[str], NDArray[np.float64]]:
        given = openings if openings is None or rows is None else openings[list(rows)]
        many = n if rows is None else len(rows)
        choice = Choice(vocabulary, many, rng, temperature, mode.masked, given, first)
        some = asked
        if asked is not None and asked.ndim == 2 and rows is not None:
            some = asked[list(rows)]
        said = model.rnn.say(choice, many, order, some, mode.guidance)
        return vocabulary.decode(said.numpy()), choice.score.numpy()

    return until_molecules(once, mode)
