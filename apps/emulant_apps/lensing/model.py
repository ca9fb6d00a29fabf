"""Generators by their kind, and the directory that holds a trained one.

``weights.safetensors`` holds the network, its kind and sizes, the filter that gives its maps the
C_ℓ of theory, the cosmologies it was trained at, and its provenance. No pickle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from emulant.conditions import ContinuousEmbedding
from emulant.errors import InputError
from emulant.nets.conv import ConvGenerator
from emulant.nets.initial import initial_parameters
from emulant.rng import torch_rng
from emulant.store import Provenance, load_tensors, save_tensors
from emulant_apps.lensing.config import DEGREES, PIXELS
from emulant_apps.lensing.field.grid import Floats
from emulant_apps.lensing.transport import MEAN, SCALE, Transport

__all__ = ["Filter", "FromNoise", "Model", "Sizes", "build", "load_model", "save_model"]

Kind = Literal["transport", "noise"]
WEIGHTS = "weights.safetensors"
RECORD = "emulant_apps.lensing generator"


@dataclass(frozen=True)
class Sizes:
    """Everything that decides the shapes of a generator's parameters."""

    kind: Kind = "transport"
    """transport: from lognormal fields. noise: from white noise, the baselines."""
    width: int = 32
    blocks: int = 3
    embedded: int = 16
    norm: Literal["none", "batch"] = "none"


@dataclass(frozen=True)
class Filter:
    """ln T²(ℓ; Ω_m, S₈) = a + b u + c v in bins of ln ℓ; u, v the standardised cosmology."""

    ell: Floats
    """Bin centres (K,), rad⁻¹."""
    coefficients: Floats
    """(K, 3)."""

    def gain(self, ell: Floats, omega_m: float, s8: float) -> Floats:
        """Return T at each ``ell``, constant beyond the bins."""
        u, v = (omega_m - MEAN[0]) / SCALE[0], (s8 - MEAN[1]) / SCALE[1]
        log_t2 = self.coefficients @ np.array([1.0, u, v])
        log_l = np.log(np.maximum(ell, 1.0))
        found: Floats = np.exp(0.5 * np.interp(log_l, np.log(self.ell), log_t2))
        return found

    @classmethod
    def none(cls) -> Filter:
        """Return the filter that changes nothing."""
        return cls(np.array([100.0]), np.zeros((1, 3)))


class FromNoise(nn.Module):
    """A convolutional generator from white noise, the baselines' ; its tail is not clipped."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.network = ConvGenerator(
            (PIXELS, PIXELS),
            1,
            (64, 48, 32, 32),
            (16, 4, 4, 4),
            ContinuousEmbedding(MEAN, SCALE, sizes.embedded),
            sizes.embedded,
            periodic=False,
            norm=sizes.norm,
        )

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return n maps (n, 1, 64, 64); c is (n, 2), or (n, 3, side, side) as for Transport."""
        if c is None:
            raise ValueError("'c' must hold the cosmology, got None")
        y = self.network.draw(n, rng, c[:, 1:, 0, 0] if c.ndim == 4 else c)
        return torch.sinh(y)


def build(sizes: Sizes, seed: int = 0) -> nn.Module:
    """Return a new generator with parameters derived from ``seed``."""
    with initial_parameters(torch_rng(seed, "lensing", "generator")):
        if sizes.kind == "noise":
            return FromNoise(sizes)
        return Transport(sizes.width, sizes.blocks, sizes.embedded)


@dataclass(frozen=True)
class Model:
    """A trained generator, and what must be known about it."""

    network: nn.Module
    sizes: Sizes
    filter: Filter
    skewness: float
    """Skewness of the lognormal fields it starts from."""
    cosmologies: tuple[tuple[float, float], ...]
    """(Ω_m, σ₈) it was trained at."""
    provenance: Provenance | None
    content: str
    """Hash of the weights."""

    @property
    def pixel_degrees(self) -> float:
        """Side of a trained pixel, degrees."""
        return DEGREES / PIXELS

    def knows(self, omega_m: float, sigma8: float) -> bool:
        """Return whether a cosmology lies inside the range of the trained ones."""
        s8 = sigma8 * (omega_m / 0.3) ** 0.5
        ms = [m for m, _ in self.cosmologies]
        ss = [s * (m / 0.3) ** 0.5 for m, s in self.cosmologies]
        slack = 1e-6
        return (
            min(ms) - slack <= omega_m <= max(ms) + slack
            and min(ss) - slack <= s8 <= max(ss) + slack
        )


def save_model(
    directory: Path,
    sizes: Sizes,
    state: Mapping[str, Tensor],
    shape: Filter,
    skewness: float,
    cosmologies: Sequence[tuple[float, float]],
    provenance: Provenance,
) -> str:
    """Write the weights into ``directory``; return their hash."""
    record = {
        "kind": RECORD,
        "sizes": asdict(sizes),
        "skewness": skewness,
        "cosmologies": [list(pair) for pair in cosmologies],
        "provenance": provenance.to_json(),
    }
    tensors = {f"network.{name}": value for name, value in state.items()}
    tensors["filter.ell"] = torch.from_numpy(shape.ell)
    tensors["filter.coefficients"] = torch.from_numpy(shape.coefficients)
    return save_tensors(directory / WEIGHTS, tensors, record)


def load_model(directory: Path) -> Model:
    """Return the model whose weights are in ``directory``, ready to draw.

    Raises
    ------
    InputError
        If there are no such weights, or they are damaged or of another kind.
    """
    file = directory / WEIGHTS
    if not file.exists():
        raise InputError(f"{file}: no weights there; has the training finished?")
    stored = load_tensors(file)
    record: Mapping[str, Any] = stored.metadata
    if record.get("kind") != RECORD:
        raise InputError(f"{file}: these are not the weights of a lensing emulator")
    sizes = Sizes(**record["sizes"])
    network = build(sizes)
    prefix = "network."
    network.load_state_dict(
        {k.removeprefix(prefix): v for k, v in stored.tensors.items() if k.startswith(prefix)}
    )
    network.eval()
    shape = Filter(
        stored.tensors["filter.ell"].numpy().astype(np.float64),
        stored.tensors["filter.coefficients"].numpy().astype(np.float64),
    )
    return Model(
        network,
        sizes,
        shape,
        float(record["skewness"]),
        tuple((float(m), float(s)) for m, s in record["cosmologies"]),
        Provenance.from_json(record["provenance"]),
        stored.content,
    )
