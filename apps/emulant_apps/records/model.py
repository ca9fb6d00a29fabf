"""The networks of this application, wired into methods, and their weights as plain arrays.

An event of the imputers is a row with its mask, (x, m), shape (B, 2 D): encoded numbers
(:mod:`emulant_apps.records.encoding`) with zeros in the holes. An event of the classifier is an
encoded row with zeros in its holes and the masks of the columns that have holes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch import distributions as laws
from torch.nn.functional import cross_entropy

from emulant.conditions import class_index
from emulant.latents import Normal, Pushforward
from emulant.likelihoods import Decoder, Head
from emulant.methods.adversarial import R1
from emulant.methods.auxiliary_classifier_gan import ACGAN
from emulant.methods.critic_bill import critic_bill
from emulant.methods.denoising_autoencoder import DenoisingAutoencoder, StackedDenoisingAutoencoder
from emulant.methods.game import Draws, Method
from emulant.methods.vae import VAE
from emulant.nets.classifying import ClassifyingCritic
from emulant.nets.initial import initial_parameters
from emulant.nets.mlp import MLP
from emulant.rng import torch_rng
from emulant.store import load_tensors, save_tensors
from emulant.types import Batch, Terms
from emulant_apps.records.methods.gain import GAIN
from emulant_apps.records.methods.miwae import MIWAE
from emulant_apps.records.methods.mixed_rows import MixedRows

__all__ = [
    "UNLABELLED",
    "ClassGenerator",
    "Hide",
    "MaskedGaussian",
    "Recogniser",
    "SemiSupervisedACGAN",
    "acgan",
    "arrays_of",
    "autoencoder",
    "gain",
    "load",
    "miwae",
    "read_model",
    "recogniser",
    "restorer",
    "stack",
    "write_model",
]

Weights = Mapping[str, NDArray[np.float32]]

UNLABELLED = -1
"""Class of a row without a label."""


class MaskedGaussian(Head):
    """Normal cells around the means in ``h`` (B, D); a cell counts where its mask is 1.

    The sd of each column is learned and shared by the rows.
    """

    def __init__(self, columns: int) -> None:
        super().__init__((2 * columns,), 1)
        self.width = columns
        self.log_sd = nn.Parameter(torch.zeros(columns))

    def forward(self, h: Tensor) -> laws.Distribution:
        """Return the law of events (x, m)."""
        return _Masked(self._flat(h), self.log_sd.exp())

    def mean(self, h: Tensor) -> Tensor:
        """Return (E[x], 1), shape (B, 2 D)."""
        return torch.cat([self._flat(h), torch.ones_like(h)], 1)

    def draw(self, h: Tensor, rng: torch.Generator) -> Tensor:
        """Return (x, 1), shape (B, 2 D)."""
        e = torch.randn(h.shape, generator=rng, device=h.device)
        return torch.cat([self._flat(h) + self.log_sd.exp() * e, torch.ones_like(h)], 1)

    def _flat(self, h: Tensor) -> Tensor:
        if h.shape != (len(h), self.width):
            raise ValueError(f"'h' must have shape (B, {self.width}), got {tuple(h.shape)}")
        return h


class _Masked(laws.Distribution):
    """The law of :class:`MaskedGaussian`."""

    def __init__(self, mean: Tensor, sd: Tensor) -> None:
        self.location, self.sd = mean, sd
        super().__init__(mean.shape[:1], mean.shape[1:], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density of the observed cells, (B,)."""
        x, m = value.chunk(2, 1)
        misfit = ((x - self.location) / self.sd).square() + 2 * self.sd.log()
        return -0.5 * (m * (misfit + math.log(2 * math.pi))).sum(1)


@dataclass(frozen=True, slots=True)
class Hide:
    """Hide cells of (x, m): in each row a share of them, itself drawn between two ends."""

    low: float = 0.1
    high: float = 0.6

    def __call__(self, event: Tensor, rng: torch.Generator) -> Tensor:
        """Return the event with fewer cells."""
        rows = torch.rand((len(event), 1), generator=rng, device=event.device)
        rate = self.low + (self.high - self.low) * rows
        half = event.shape[1] // 2
        keep = torch.rand((len(event), half), generator=rng, device=event.device) >= rate
        kept = keep.to(event.dtype)
        return event * torch.cat([kept, kept], 1)


class _Layer(nn.Module):
    """``h, c -> activation(W h + b)``; the linear one has no activation."""

    def __init__(self, inputs: int, outputs: int, linear: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.activation: nn.Module = nn.Identity() if linear else nn.SiLU()

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - no context
        out: Tensor = self.activation(self.linear(h.flatten(1)))
        return out


class _Chain(nn.Module):
    """Layers one after the other, ``(B, 2 D), c -> (B, D)``."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - no context
        out: Tensor = self.layers(x)
        return out


def stack(columns: int, hidden: Sequence[int], seed: int) -> StackedDenoisingAutoencoder:
    """Return the stack that is trained layer by layer first; events (x, m), (B, 2 D)."""
    widths = (2 * columns, *hidden)
    with initial_parameters(torch_rng(seed, "records", "stack")):
        encoders = [_Layer(a, b) for a, b in pairwise(widths)]
        decoders = [_Layer(b, a, linear=True) for a, b in pairwise(widths)]
    return StackedDenoisingAutoencoder(encoders, decoders, _hide_some, (2 * columns,))


def _hide_some(h: Tensor, rng: torch.Generator) -> Tensor:
    """Set a fifth of the entries to zero."""
    return h * (torch.rand(h.shape, generator=rng, device=h.device) >= 0.2).to(h.dtype)


def restorer(
    columns: int,
    hidden: Sequence[int],
    seed: int,
    start: StackedDenoisingAutoencoder | None = None,
    hide: tuple[float, float] = (0.1, 0.6),
) -> DenoisingAutoencoder:
    """Return the denoising autoencoder of rows with masks, from ``start`` where it is given."""
    from copy import deepcopy

    with initial_parameters(torch_rng(seed, "records", "restorer")):
        widths = (2 * columns, *hidden)
        ups: Sequence[nn.Module] = [_Layer(a, b) for a, b in pairwise(widths)]
        downs = [_Layer(b, a) for a, b in pairwise(hidden)][::-1]
        last = _Layer(hidden[0], columns, linear=True)
    if start is not None:
        pairs = list(start.layers)
        ups = [deepcopy(pair["f"]) for pair in pairs]  # type: ignore[index]  # ModuleDicts
    return DenoisingAutoencoder(_Chain([*ups, *downs, last]), MaskedGaussian(columns), Hide(*hide))


def gain(columns: int, hidden: Sequence[int], seed: int, alpha: float, hint: float) -> GAIN:
    """Return GAIN of ``columns`` encoded numbers."""
    with initial_parameters(torch_rng(seed, "records", "gain")):
        nets = [MLP(2 * columns, columns, hidden) for _ in range(2)]
    return GAIN(nets[0], nets[1], alpha, hint)


def miwae(columns: int, hidden: Sequence[int], codes: int, seed: int, draws: int) -> MIWAE:
    """Return MIWAE of ``columns`` encoded numbers."""
    with initial_parameters(torch_rng(seed, "records", "miwae")):
        encoder = MLP(2 * columns, 2 * codes, hidden)
        decoder = MLP(codes, columns, hidden)
    return MIWAE(encoder, decoder, columns, draws)


def autoencoder(
    numbers: int, levels: Sequence[int], hidden: Sequence[int], codes: int, seed: int
) -> VAE:
    """Return the variational autoencoder of rows of ``numbers`` numbers and some levels."""
    with initial_parameters(torch_rng(seed, "records", "autoencoder")):
        head = MixedRows(numbers, levels)
        encoder = MLP(head.event[0], 2 * codes, hidden)
        return VAE(encoder, Decoder(MLP(codes, head.width, hidden), head), codes)


class ClassGenerator(nn.Module):
    """``z, c -> event``, of class c."""

    def __init__(self, classes: int, net: nn.Module, masks: int) -> None:
        super().__init__()
        self.net, self.classes, self.masks = net, classes, masks

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return events (B, D + masks); masks lie in (0, 1)."""
        one = nn.functional.one_hot(class_index(c, self.classes), self.classes)
        made: Tensor = self.net(z, one.to(z.dtype))
        if not self.masks:
            return made
        return torch.cat([made[:, : -self.masks], made[:, -self.masks :].sigmoid()], 1)


class SemiSupervisedACGAN(ACGAN):
    r"""An AC-GAN some of whose rows have no class, -1.

    The critic pays the AC-GAN's bill on the labelled rows and, on the others x_u with as many
    generated rows x~ of labelled classes, ``E softplus(-T(x_u)) + E softplus(T(x~))``.
    """

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays."""
        if batch.c is None:
            raise ValueError("'c' must hold the class of each event, -1 where unknown, got None")
        known = batch.c.reshape(len(batch)) != UNLABELLED
        terms = super().loss(player, Batch(batch.x[known], batch.c[known]), rng)
        rest = batch.x[~known]
        if player != "critic" or not len(rest):
            return terms
        like = torch.randint(int(known.sum()), (len(rest),), generator=rng, device=rng.device)
        with torch.no_grad():
            fake = cast(Draws, self.generator).draw(len(rest), rng, batch.c[known][like])
        loss = self.adversarial_loss
        more = critic_bill(lambda x, _: self.critic(x), loss, (), rest, fake, None, rng)
        return Terms(terms.total + more.total, {**terms.parts, "unlabelled": more.total})


def acgan(
    events: int, masks: int, classes: int, hidden: Sequence[int], codes: int, seed: int, r1: float
) -> SemiSupervisedACGAN:
    """Return the game of a class-conditional generator and a critic that classifies."""
    with initial_parameters(torch_rng(seed, "records", "acgan")):
        net = ClassGenerator(classes, MLP(codes, events, hidden, context=classes), masks)
        critic = ClassifyingCritic(MLP(events, 1 + classes, hidden))
    return SemiSupervisedACGAN(
        Pushforward(net, Normal((codes,))), critic, regularisers=(R1(r1, every=4),)
    )


class Recogniser(Method):
    """The same critic without an adversary: ``-E log P(c | x)``."""

    turns = ("critic",)

    def __init__(self, critic: ClassifyingCritic) -> None:
        super().__init__()
        self.critic = critic

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"critic": self.critic}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:  # noqa: ARG002 - no chance
        """Return the surprise of the classes, in nats a labelled row."""
        if player != "critic" or batch.c is None:
            raise ValueError(f"'player' must be 'critic', with classes, got {player!r}")
        surprise = cross_entropy(self.critic.classify(batch.x), batch.c.reshape(-1).long())
        return Terms(surprise, {"class": surprise})


def recogniser(events: int, classes: int, hidden: Sequence[int], seed: int) -> Recogniser:
    """Return the classifier alone, with the critic's own initial weights."""
    game = acgan(events, 0, classes, hidden, 1, seed, 1.0)
    with initial_parameters(torch_rng(seed, "records", "recogniser")):
        game.critic = ClassifyingCritic(MLP(events, 1 + classes, hidden))
    return Recogniser(game.critic)


def arrays_of(state: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Return weights as arrays."""
    return {name: t.detach().cpu().numpy().astype(np.float32) for name, t in state.items()}


def load(method: Method, weights: Weights) -> Method:
    """Return ``method`` with ``weights``, in evaluation mode."""
    method.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in weights.items()})
    return method.eval()


def write_model(
    path: Path, arrays: Mapping[str, NDArray[np.generic]], record: Mapping[str, Any]
) -> str:
    """Write named arrays and a JSON record as one safetensors file; return its content hash."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
    for name, t in tensors.items():
        if not t.numel():  # numpy's empty arrays have the stride 0, with which torch shows no bytes
            tensors[name] = torch.empty(t.shape, dtype=t.dtype)
    return save_tensors(path, tensors, record)


def read_model(path: Path) -> tuple[dict[str, NDArray[np.generic]], Mapping[str, Any], str]:
    """Return the arrays, the record and the hash of a file of :func:`write_model`.

    Raises
    ------
    InputError
        The file is missing, damaged, or holds no such model.
    """
    stored = load_tensors(path)
    return {n: t.numpy() for n, t in stored.tensors.items()}, stored.metadata, stored.content
