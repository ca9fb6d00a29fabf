"""Bring a trained model nearer to a handful of molecules, and stop before it forgets the rest.

Every batch is mixed: a share of embedded molecules, the rest from the handful. After each round
two misfits, nats a string, are looked at (-E ln p(x | z) of a VAE, -E ln p(x) of a char-RNN): that
of held-out corpus molecules, which must not rise by more than ``patience`` (forgetting), and, from
ten molecules on, that of a fifth of the handful which is never trained on, which must not rise
above its best (learning by heart).

- Gupta et al., Generative Recurrent Networks for De Novo Drug Design, 2018,
  https://doi.org/10.1002/minf.201700111
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from emulant.errors import PASS, InputError
from emulant.methods.autoregressive import PAD as AFTER
from emulant.methods.game import Method, evaluating
from emulant.rng import derive, numpy_rng, torch_rng
from emulant.store import Provenance, current, new_directory
from emulant.store.hashing import hash_json
from emulant.train import Optimiser, Plan, Source, fit
from emulant.types import Batch
from emulant_apps.molecules import corpus
from emulant_apps.molecules.bank import Strings
from emulant_apps.molecules.char_rnn import CharModel, build_char, save_char, symbols_of
from emulant_apps.molecules.char_sample import CharEmulator
from emulant_apps.molecules.char_train import Lines, shuffle_some
from emulant_apps.molecules.config import FinetuneConfig
from emulant_apps.molecules.data import read_molecules
from emulant_apps.molecules.emulators import any_emulator
from emulant_apps.molecules.model import Model, build, save_model
from emulant_apps.molecules.vocabulary import PAD, Vocabulary

__all__ = ["CharPupil", "Mixed", "VaePupil", "run", "tune"]

Rows = NDArray[np.uint8]
"""Numbers of tokens (n, length + 2)."""
ROUND = 20
"""Steps between two looks at the guard."""
BATCH = 32
GUARD = 200
"""Held-out corpus molecules."""
LEAST_HELD = 10
"""Molecules from which on a fifth is held out."""


class Mixed:
    """Batches of the handful and of the corpus side by side, a :class:`~emulant.train.Source`."""

    def __init__(self, own: Source, others: Source, filler: int) -> None:
        self.own, self.others, self.filler = own, others, filler
        self.fingerprint = hash_json([own.fingerprint, others.fingerprint])

    def batch(self, step: int, rng: torch.Generator) -> Batch:
        """Return strings of both, in the sizes of their banks."""
        parts = self.own.batch(step, rng), self.others.batch(step, rng)
        width = max(part.x.shape[1] for part in parts)
        pad = torch.nn.functional.pad
        x = [pad(part.x, (0, width - part.x.shape[1]), value=self.filler) for part in parts]
        return Batch(torch.cat(x), torch.cat([part.c for part in parts if part.c is not None]))


class Pupil(Protocol):
    """A network that can be brought nearer to a handful of molecules."""

    player: str

    @property
    def method(self) -> Method:
        """The game that it plays."""
        ...

    def lessons(self, own: Rows, others: Rows, count: int, seed: int) -> Mixed:
        """Return batches of BATCH strings, ``count`` of them of the corpus."""
        ...

    def misfit(self, rows: Rows) -> float:
        """Return -E ln p of rows, nats a string, the same for the same rows."""
        ...

    def save(self, directory: Path, made: Provenance) -> None:
        """Write what was learnt."""
        ...


class VaePupil:
    """The prototype VAE: its misfit is -E ln p(x | z) at z ~ q."""

    player = "autoencoder"

    def __init__(self, model: Model, seed: int) -> None:
        self.model, self.method = model, build(model.sizes, seed, beta=0.15)
        self.method.load_state_dict(dict(model.vae.state_dict()))

    def lessons(self, own: Rows, others: Rows, count: int, seed: int) -> Mixed:
        """Return batches with latent noise."""
        del seed
        latent = self.model.sizes.latent
        return Mixed(
            Strings(own, BATCH - count, latent, 0.4), Strings(others, count, latent, 0.4), PAD
        )

    def misfit(self, rows: Rows) -> float:
        """Return -E ln p(x | z), with noise that is always the same."""
        x = torch.from_numpy(rows).long()
        with evaluating(self.method):
            z = self.method.encode(x).draw(torch_rng(0, "molecules guard"))
            return -float(self.method.decoder.log_likelihood(x, z).mean())

    def save(self, directory: Path, made: Provenance) -> None:
        """Write the VAE; its prior stays as it was."""
        save_model(directory, self.method, self.model.codes, self.model.sizes, made)


class CharPupil:
    """The char-RNN: its misfit is -E ln p(x), of strings in canonical order."""

    player = "model"

    def __init__(self, model: CharModel, seed: int) -> None:
        self.model, self.method = model, build_char(model.sizes, seed)
        self.method.load_state_dict(dict(model.rnn.state_dict()))

    def lessons(self, own: Rows, others: Rows, count: int, seed: int) -> Mixed:
        """Return batches in both orders: random orders make more of a handful."""
        vocabulary = self.model.sizes.vocabulary

        def lines(rows: Rows, share: float, size: int) -> Lines:
            strings = vocabulary.decode(rows[:, 1:])
            more = vocabulary.encode(shuffle_some(strings, share, seed)[0]).rows
            order = np.repeat(np.array([0, 1], dtype=np.float32), [len(rows), len(more)])
            return Lines(np.concatenate([rows, more]), order, size)

        return Mixed(lines(own, 0.5, BATCH - count), lines(others, 0.2, count), AFTER)

    def misfit(self, rows: Rows) -> float:
        """Return -E ln p(x)."""
        x = symbols_of(torch.from_numpy(rows))
        with evaluating(self.method):
            return -float(self.method.log_prob(x, torch.zeros(len(x), 1)).mean())

    def save(self, directory: Path, made: Provenance) -> None:
        """Write the char-RNN."""
        save_char(directory, self.method, self.model.sizes, made)


@dataclass(frozen=True, slots=True)
class Guard:
    """What the guard looks at."""

    corpus: float
    """Misfit of held-out corpus molecules, nats."""
    held: float | None
    """Misfit of the held-out part of the handful."""

    def objection(self, first: Guard, best: Guard, patience: float) -> str:
        """Return what speaks against going on; empty where nothing does."""
        if self.corpus > (1 + patience) * first.corpus + 0.05:
            return "forgets the corpus"
        by_heart = self.held is not None and best.held is not None and self.held > 1.02 * best.held
        return "learns by heart" if by_heart else ""


@dataclass(frozen=True, slots=True)
class Tuned:
    """How far a tuning went."""

    first: Guard
    last: Guard
    steps: int
    objection: str
    """Why it stopped before its steps were used; empty where it did not."""
    fingerprint: str
    """Hash of the data."""


def run(config: FinetuneConfig) -> int:
    """Run ``emulant molecules finetune``."""
    emulator = any_emulator(config.model, config.generator)
    molecules = read_molecules(config.data, config.column, workers=config.workers)
    encoded = emulator.model.sizes.vocabulary.encode(molecules.smiles)
    for index, why in encoded.unknown:
        sys.stderr.write(f"finetune: {molecules.smiles[index]} left out: {why}\n")
    if not len(encoded.rows):
        raise InputError(
            f"{config.data}: the model can read none of its molecules: {encoded.unknown[0][1]}; "
            "train anew"
        )
    directory = new_directory(config.out)
    pupil: Pupil
    if isinstance(emulator, CharEmulator):
        pupil = CharPupil(emulator.model, config.seed)
    else:
        pupil = VaePupil(emulator.model, config.seed)
    own, held = _parted(encoded.rows, config.seed)
    tuned = tune(pupil, emulator.model.sizes.vocabulary, own, held, config)
    made = current(
        "molecules finetune", config, config.seed, data=tuned.fingerprint,
        weights=emulator.model.content,
    )  # fmt: skip
    pupil.save(directory, made)
    sys.stdout.write(_told(tuned, len(own)) + f"model: {directory}\n")
    return PASS


def tune(
    pupil: Pupil, vocabulary: Vocabulary, own: Rows, held: Rows, config: FinetuneConfig
) -> Tuned:
    """Teach a pupil until its steps are used or the guard objects; it keeps the last good state."""
    others = vocabulary.encode(corpus.training_set()[::10]).rows
    guarded = vocabulary.encode(corpus.test_set()[:GUARD]).rows

    def look() -> Guard:
        return Guard(pupil.misfit(guarded), pupil.misfit(held) if len(held) else None)

    bank = pupil.lessons(own, others, max(1, round(config.mixed * BATCH)), config.seed)
    first = best = last = look()
    used, objection = 0, ""
    state = pupil.method.state_dict()
    kept = {name: value.clone() for name, value in state.items()}
    for turn in range(-(-config.steps // ROUND)):
        plan = Plan(
            {pupil.player: Optimiser(config.rate, clip=5.0)},
            steps=min(ROUND, config.steps - turn * ROUND),
            seed=derive(config.seed, "molecules finetune", turn),
        )
        fit(pupil.method, bank, plan, device=config.device, progress=lambda *_: None)
        pupil.method.cpu()
        now = look()
        objection = now.objection(first, best, config.patience)
        if objection:
            break
        kept = {name: value.clone() for name, value in pupil.method.state_dict().items()}
        last, used = now, used + (plan.steps or 0)
        if best.held is not None and now.held is not None and now.held < best.held:
            best = now
    pupil.method.load_state_dict(kept)
    return Tuned(first, last, used, objection, bank.fingerprint)


def _parted(rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """Return the rows to train on and those held out, a fifth of ten or more."""
    order = numpy_rng(seed, "molecules finetune").permutation(len(rows))
    count = len(rows) // 5 if len(rows) >= LEAST_HELD else 0
    return rows[np.sort(order[count:])], rows[np.sort(order[:count])]


def _told(tuned: Tuned, count: int) -> str:
    lines = []
    if tuned.objection:
        lines.append(f"stopped after {tuned.steps} steps: further on it {tuned.objection}")
    lines.append(f"{count} molecules, {tuned.steps} steps")
    for name, value in dataclasses.asdict(tuned.first).items():
        now = getattr(tuned.last, name)
        if value is not None:
            label = "held-out corpus" if name == "corpus" else "held-out of your own"
            lines.append(f"misfit, {label}: {value:.3f} -> {now:.3f} nats a string")
    return "\n".join(lines) + "\n"
