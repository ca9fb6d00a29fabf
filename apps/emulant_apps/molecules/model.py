"""The prototype VAE: its networks wired into the engine's methods, and the file of its weights.

The VAE is :class:`emulant.methods.vae.VAE`; its prior is replaced, once it is trained, by a flow
over standardised codes that knows of properties (:mod:`~.prior`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.errors import InputError
from emulant.methods.game import evaluating
from emulant.methods.vae import VAE
from emulant.nets.initial import initial_parameters
from emulant.rng import torch_rng
from emulant.store.provenance import Provenance
from emulant.store.tensors import Stored, save_tensors
from emulant.store.weights import load_weights, sizes_of
from emulant_apps.molecules.networks import (
    InitialStateDecoder,
    ParallelEncoder,
    PositionDecoder,
    PositionEncoder,
    Sizes,
    StringDecoder,
)
from emulant_apps.molecules.prior import Codes, prior_of

__all__ = [
    "FILE",
    "Model",
    "build",
    "codes_of",
    "load_model",
    "read_weights",
    "save_model",
    "told",
]

FILE, FORM = "weights.safetensors", "molecules prototype VAE"
DOUBT = 0.4
"""Share of noise that the decoder is told a latent has. The prior's codes lie beside those of
molecules as noisy ones do; the more of it, the more strings are molecules, and the less they say of
the latent. Chosen so that two thirds of training molecules are still given back."""


def build(
    sizes: Sizes, seed: int = 0, beta: float = 1.0, schedule: Callable[[int], float] | None = None
) -> VAE:
    """Return the prototype VAE of ``sizes`` with the initial parameters of ``seed``."""
    with initial_parameters(torch_rng(seed, "molecules", "vae")):
        if sizes.kind == "positions":
            encoder, decoder = PositionEncoder(sizes), PositionDecoder(sizes)
            return VAE(encoder, decoder, sizes.latent, beta, schedule=schedule)
        return VAE(
            ParallelEncoder(sizes), InitialStateDecoder(sizes), sizes.latent, beta,
            schedule=schedule,
        )  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A trained VAE of strings with its prior, and what must be known about it."""

    vae: VAE
    codes: Codes | None
    """The flow over the codes, where there is one."""
    sizes: Sizes
    provenance: Provenance | None
    content: str
    """Hash of the weights."""

    @property
    def decoder(self) -> StringDecoder:
        """Return p(x | z)."""
        return cast(StringDecoder, self.vae.decoder)

    @property
    def doubt(self) -> float:
        """Share of noise that the decoder is told of a drawn latent, where it was taught of any."""
        return DOUBT if self.sizes.kind == "positions" else 0.0


def told(z: Tensor, doubt: float) -> Tensor | None:
    """Return the context in which latents (B, Z) are read as they are, and called noisy.

    With e = z (1 - sqrt(1 - s^2)) / s the noisy latent of :mod:`~.networks` is z itself.
    """
    if not doubt:
        return None
    e = z * ((1 - math.sqrt(1 - doubt**2)) / doubt)
    return torch.cat([torch.full_like(z[:, :1], doubt), e], 1)


def codes_of(vae: VAE, rows: NDArray[np.uint8]) -> Tensor:
    """Return the means of q(z | x) of encoded strings, (n, Z)."""
    with evaluating(vae):
        starts = range(0, len(rows), 1000)
        return torch.cat(
            [vae.encode(torch.from_numpy(rows[k : k + 1000]).long()).mean for k in starts]
        )


def save_model(
    directory: Path, vae: VAE, codes: Codes | None, sizes: Sizes, provenance: Provenance
) -> str:
    """Write the weights, in half precision, into ``directory``; return their hash."""
    tensors = {f"vae.{k}": v for k, v in vae.autoencoder.state_dict().items()}
    if codes is not None:
        tensors |= {f"flow.{k}": v for k, v in codes.flow.field.state_dict().items()}
        tensors |= {"codes.mean": codes.mean, "codes.scatter": codes.scatter}
    record = {"kind": FORM, "sizes": asdict(sizes), "provenance": provenance.to_json()}
    return save_tensors(directory / FILE, {k: v.half() for k, v in tensors.items()}, record)


def read_weights(directory: str | Path, name: str = FILE) -> Stored:
    """Return the tensors of a model of molecules, whose kind its record says."""
    return load_weights(directory, "molecules", "molecules ", name)


def load_model(directory: str | Path) -> Model:
    """Return the model whose weights are in ``directory``, ready to draw, in single precision.

    Raises
    ------
    InputError
        There are no such weights, or they are damaged or of another kind.
    """
    stored = read_weights(directory)
    record: Mapping[str, Any] = stored.metadata
    if record["kind"] != FORM:
        raise InputError(
            f"{Path(directory) / FILE}: holds a {record['kind'].removeprefix('molecules ')}, which "
            "has no codes; name a model that 'emulant molecules train --preset quick' made"
        )
    sizes = sizes_of(Sizes, stored, Path(directory) / FILE)

    def under(prefix: str) -> dict[str, Tensor]:
        named = stored.tensors.items()
        return {k.removeprefix(prefix): v.float() for k, v in named if k.startswith(prefix)}

    vae = build(sizes)
    vae.autoencoder.load_state_dict(under("vae."))
    codes = None
    if "codes.mean" in stored.tensors:
        flow = prior_of(sizes.latent, under("flow."))
        known = under("codes.")
        codes = Codes(flow.eval(), known["mean"], known["scatter"])
    provenance = Provenance.from_json(record["provenance"])
    return Model(vae.eval(), codes, sizes, provenance, stored.content)
