"""Bring a trained model nearer to a handful of molecules, and stop before it forgets the rest.

Every batch is mixed: a share of embedded molecules, the rest from the handful. After each round
two misfits -E ln p(x | z), nats a string, are looked at: that of held-out corpus molecules, which
must not rise by more than ``patience`` (forgetting), and, from ten molecules on, that of a fifth
of the handful which is never trained on, which must not rise above its best (learning by heart).

- Gupta et al., Generative Recurrent Networks for De Novo Drug Design, 2018,
  https://doi.org/10.1002/minf.201700111
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from emulant.errors import PASS, InputError
from emulant.methods.game import evaluating
from emulant.methods.vae import VAE
from emulant.rng import derive, numpy_rng, torch_rng
from emulant.store import current, new_directory
from emulant.store.hashing import hash_arrays
from emulant.train import Optimiser, Plan, fit
from emulant.types import Batch
from emulant_apps.molecules import corpus
from emulant_apps.molecules.bank import Strings
from emulant_apps.molecules.config import FinetuneConfig
from emulant_apps.molecules.data import read_molecules
from emulant_apps.molecules.model import build, save_model
from emulant_apps.molecules.sample import Emulator

__all__ = ["Mixed", "run"]

ROUND = 20
"""Steps between two looks at the guard."""
BATCH = 32
GUARD = 200
"""Held-out corpus molecules."""
LEAST_HELD = 10
"""Molecules from which on a fifth is held out."""


class Mixed:
    """Batches of the handful and of the corpus side by side, a :class:`~emulant.train.Source`."""

    def __init__(self, own: Strings, others: Strings) -> None:
        self.own, self.others = own, others
        self.fingerprint = hash_arrays({"own": own.rows, "others": others.rows})

    def batch(self, step: int, rng: torch.Generator) -> Batch:
        """Return strings of both, in the sizes of their banks."""
        first, second = self.own.batch(step, rng), self.others.batch(step, rng)
        width = max(first.x.shape[1], second.x.shape[1])
        x = [torch.nn.functional.pad(b.x, (0, width - b.x.shape[1])) for b in (first, second)]
        assert first.c is not None
        assert second.c is not None
        return Batch(torch.cat(x), torch.cat([first.c, second.c]))


@dataclass(frozen=True, slots=True)
class _Guard:
    corpus: float
    """Misfit of held-out corpus molecules, nats."""
    held: float | None
    """Misfit of the held-out part of the handful."""


def run(config: FinetuneConfig) -> int:
    """Run ``emulant molecules finetune``."""
    emulator = Emulator.pretrained() if config.model is None else Emulator.load(config.model)
    molecules = read_molecules(config.data, config.column, workers=config.workers)
    sizes = emulator.model.sizes
    encoded = sizes.vocabulary.encode(molecules.smiles)
    for index, why in encoded.unknown:
        sys.stderr.write(f"finetune: {molecules.smiles[index]} left out: {why}\n")
    if not len(encoded.rows):
        raise InputError(f"{config.data}: the model can read none of its molecules; train anew")
    directory = new_directory(config.out)
    own, held = _parted(encoded.rows, config.seed)
    others = sizes.vocabulary.encode(corpus.training_set()[::10]).rows
    guarded = sizes.vocabulary.encode(corpus.test_set()[:GUARD]).rows
    count = max(1, round(config.mixed * BATCH))
    bank = Mixed(
        Strings(own, BATCH - count, sizes.latent, 0.4), Strings(others, count, sizes.latent, 0.4)
    )
    vae = build(sizes, config.seed, beta=0.15)
    state = dict(emulator.model.vae.state_dict())
    vae.load_state_dict(state)
    first = best = _look(vae, guarded, held)
    kept, used = state, 0
    for turn in range(-(-config.steps // ROUND)):
        plan = Plan(
            {"autoencoder": Optimiser(config.rate, clip=5.0)},
            steps=min(ROUND, config.steps - turn * ROUND),
            seed=derive(config.seed, "molecules finetune", turn),
        )
        fit(vae, bank, plan, device=config.device, progress=lambda *_: None)
        vae.cpu()
        now = _look(vae, guarded, held)
        forgets = now.corpus > (1 + config.patience) * first.corpus + 0.05
        by_heart = now.held is not None and best.held is not None and now.held > 1.02 * best.held
        if forgets or by_heart:
            why = "forgets the corpus" if forgets else "learns by heart"
            sys.stdout.write(f"stopped after {used} steps: further on it {why}\n")
            break
        kept = {name: value.clone() for name, value in vae.state_dict().items()}
        best, used = now, used + plan.steps if plan.steps else used
    vae.load_state_dict(kept)
    made = current(
        "molecules finetune", config, config.seed, data=bank.fingerprint,
        weights=emulator.model.content,
    )  # fmt: skip
    save_model(directory, vae, emulator.model.codes, sizes, made)
    sys.stdout.write(_told(first, best, used, len(own)) + f"model: {directory}\n")
    return PASS


def _parted(rows: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the rows to train on and those held out, a fifth of ten or more."""
    order = numpy_rng(seed, "molecules finetune").permutation(len(rows))
    count = len(rows) // 5 if len(rows) >= LEAST_HELD else 0
    return rows[np.sort(order[count:])], rows[np.sort(order[:count])]


def _look(vae: VAE, guarded: NDArray[np.uint8], held: NDArray[np.uint8]) -> _Guard:
    return _Guard(_misfit(vae, guarded), _misfit(vae, held) if len(held) else None)


def _misfit(vae: VAE, rows: NDArray[np.uint8]) -> float:
    """Return -E ln p(x | z) of rows at z ~ q, nats a string, with noise that is always the same."""
    x = torch.from_numpy(rows).long()
    with evaluating(vae):
        z = vae.encode(x).draw(torch_rng(0, "molecules guard"))
        return -float(vae.decoder.log_likelihood(x, z).mean())


def _told(first: _Guard, last: _Guard, steps: int, count: int) -> str:
    lines = [f"{count} molecules, {steps} steps"]
    for name, value in dataclasses.asdict(first).items():
        now = getattr(last, name)
        if value is not None:
            label = "held-out corpus" if name == "corpus" else "held-out of your own"
            lines.append(f"misfit, {label}: {value:.3f} -> {now:.3f} nats a string")
    return "\n".join(lines) + "\n"
