r"""The adversarial autoencoder of fingerprints (druGAN), and the file of its weights.

Notation: x (B, 166) MACCS keys, z (B, Z) code, prior N(0, I). The encoder says a normal law of z,
the decoder the probability of each key; the game is
:class:`emulant.methods.adversarial_autoencoder.AdversarialAutoencoder`. Codes around a molecule
are those of the VAE of strings: z_s = sqrt(1 - s^2) z + s e, with e ~ N(0, I) and the *spread* s.

- Kadurin et al., druGAN, 2017, https://doi.org/10.1021/acs.molpharmaceut.7b00346
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.latents import Normal
from emulant.likelihoods import Bernoulli, Decoder
from emulant.methods.adversarial_autoencoder import AdversarialAutoencoder
from emulant.methods.game import evaluating
from emulant.nets.initial import initial_parameters
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import torch_rng
from emulant.store.provenance import Provenance
from emulant.store.tensors import save_tensors
from emulant.store.weights import sizes_of
from emulant.threads import one_thread
from emulant_apps.molecules.chemistry.similarity import KEYS
from emulant_apps.molecules.model import read_weights

__all__ = ["FORM", "SHIPPED", "KeyEmulator", "KeySizes", "build_keys", "save_keys"]

FORM = "molecules adversarial autoencoder of fingerprints"
FILE, SHIPPED = "weights.safetensors", "fingerprints.safetensors"


@dataclass(frozen=True, slots=True)
class KeySizes:
    """Everything that decides the shapes of the networks."""

    latent: int = 20
    width: int = 160


def build_keys(sizes: KeySizes, seed: int = 0, weight: float = 1.0) -> AdversarialAutoencoder:
    """Return the autoencoder of ``sizes`` with the initial parameters of ``seed``."""
    hidden = (sizes.width, sizes.width)
    with initial_parameters(torch_rng(seed, "molecules", "keys")):
        return AdversarialAutoencoder(
            MLP(KEYS, 2 * sizes.latent, hidden),
            Decoder(MLP(sizes.latent, KEYS, hidden), Bernoulli((KEYS,))),
            MLPCritic(sizes.latent, (128, 128)),
            Normal((sizes.latent,)),
            sizes.latent,
            weight=weight,
            stochastic=True,
        )


def save_keys(
    directory: Path, aae: AdversarialAutoencoder, sizes: KeySizes, provenance: Provenance
) -> str:
    """Write the weights, without the critic, in half precision; return their hash."""
    tensors = {f"aae.{k}": v.half() for k, v in aae.autoencoder.state_dict().items()}
    record = {"kind": FORM, "sizes": asdict(sizes), "provenance": provenance.to_json()}
    return save_tensors(directory / FILE, tensors, record)


class KeyEmulator:
    """A trained autoencoder of fingerprints, which draws them.

    >>> KeyEmulator.pretrained().draw(1000, seed=0).shape               # doctest: +SKIP
    (1000, 166)
    """

    def __init__(self, aae: AdversarialAutoencoder, sizes: KeySizes, content: str) -> None:
        self.aae, self.sizes, self.content = aae.eval(), sizes, content

    @classmethod
    def pretrained(cls) -> KeyEmulator:
        """Return the emulator of the shipped weights."""
        with resources.as_file(resources.files("emulant_apps.molecules") / "pretrained") as path:
            return cls.load(path, SHIPPED)

    @classmethod
    def load(cls, directory: Path, file: str = FILE) -> KeyEmulator:
        """Return the emulator whose weights are in ``directory``.

        Raises
        ------
        InputError
            There are no such weights, or they are damaged or of another kind.
        """
        stored = read_weights(directory, file)
        kind = str(stored.metadata["kind"])
        if kind != FORM:
            raise InputError(
                f"{directory / file}: holds a {kind.removeprefix('molecules ')}, which draws no "
                "fingerprints; make one with 'emulant molecules train --preset fingerprints'"
            )
        sizes = sizes_of(KeySizes, stored, directory / file)
        aae = build_keys(sizes)
        tensors = {k.removeprefix("aae."): v.float() for k, v in stored.tensors.items()}
        aae.autoencoder.load_state_dict(tensors)
        return cls(aae, sizes, stored.content)

    def draw(
        self, count: int, seed: int, like: NDArray[np.uint8] | None = None, spread: float = 1.0
    ) -> NDArray[np.uint8]:
        """Return ``count`` fingerprints, shape (count, 166).

        Parameters
        ----------
        like
            Keys (166,) around whose code they are drawn; None: from the prior.
        spread
            Share of noise in a code, 0 to 1.
        """
        rng = torch_rng(seed, "molecules keys")
        with evaluating(self.aae), one_thread():
            z = self.aae.prior.draw(count, rng)
            if like is not None:
                x = torch.from_numpy(like.astype(np.float32)).expand(count, -1)
                z = (1 - spread**2) ** 0.5 * self.aae.encode(x, rng) + spread * z
            decoder = self.aae.autoencoder["decoder"]
            assert isinstance(decoder, Decoder)
            bits: NDArray[np.uint8] = decoder.draw(z, rng).numpy().astype(np.uint8)
        return bits
