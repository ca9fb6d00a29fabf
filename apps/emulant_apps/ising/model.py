"""Generators by their kind, and the directory that holds a trained one.

A directory of weights holds ``weights.safetensors``: the generator's parameters, its kind and
sizes, the temperatures it was trained on, and its provenance. No pickle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from emulant.errors import InputError
from emulant.nets.initial import initial_parameters
from emulant.rng import torch_rng
from emulant.store.provenance import Provenance
from emulant.store.tensors import save_tensors
from emulant.store.weights import load_weights, sizes_of
from emulant_apps.ising.adversary import SignGenerator, TanhGenerator
from emulant_apps.ising.hierarchy import HierarchicalGenerator

__all__ = ["Kind", "Model", "OneSide", "Sizes", "build", "load_model", "save_model"]

Kind = Literal["hierarchical", "signs", "tanh"]
WEIGHTS = "weights.safetensors"
RECORD = "emulant_apps.ising generator"


@dataclass(frozen=True)
class Sizes:
    """Everything that decides the shapes of a generator's parameters."""

    kind: Kind
    """hierarchical, or a convolutional generator of signs or of tanh."""
    lattices: tuple[int, ...]
    """Sides that it draws."""
    radius: int = 3
    """Reach of the windows of the hierarchical generator, in units of half the spacing."""
    width: int = 64
    """Width of its window networks."""
    seed_width: int = 64
    """Width of its seed networks."""
    embedded: int = 32
    """Length of its embedded context."""
    widths: tuple[int, ...] = (96, 64, 48, 32)
    """Feature maps of a convolutional generator, from coarse to fine."""
    noise: int = 8
    """Noise channels at each of its levels."""


def build(sizes: Sizes, seed: int = 0) -> nn.Module:
    """Return a new generator; it draws states at contexts (T, L), shape (n, 2).

    Raises
    ------
    InputError
        If no such generator draws such lattices.
    """
    bad = [L for L in sizes.lattices if L < 8 or L & (L - 1)]
    if bad:
        raise InputError(f"--lattices: this emulator draws 8, 16, 32, 64, ..., got {bad[0]}")
    with initial_parameters(torch_rng(seed, "ising", "generator")):
        if sizes.kind == "hierarchical":
            return HierarchicalGenerator(
                sizes.lattices, sizes.radius, sizes.width, sizes.seed_width, sizes.embedded
            )
        if len(sizes.lattices) != 1:
            raise InputError("--lattices: a convolutional generator draws one side; give one")
        kind = SignGenerator if sizes.kind == "signs" else TanhGenerator
        return kind(sizes.lattices[0], sizes.widths, sizes.noise)


class OneSide(nn.Module):
    """A generator seen as one of side L: its contexts are temperatures alone, (n, 1)."""

    def __init__(self, generator: nn.Module, lattice: int) -> None:
        super().__init__()
        self.network = generator
        self.lattice = lattice

    def _context(self, c: Tensor) -> Tensor:
        return torch.cat([c, torch.full_like(c, float(self.lattice))], 1)

    def draw(self, n: int, rng: torch.Generator, c: Tensor) -> Tensor:
        """Return states of ±1, shape (n, 1, L, L), at temperatures ``c``, shape (n, 1)."""
        x: Tensor = self.network.draw(n, rng, self._context(c))  # type: ignore[operator] # Draws
        return x

    def log_prob(self, x: Tensor, c: Tensor) -> Tensor:
        """Return ln q in nats, shape (n,).

        Raises
        ------
        ValueError
            If the density of this generator is not known.
        """
        if not isinstance(self.network, HierarchicalGenerator):
            raise ValueError(f"'log_prob' is not known to a {type(self.network).__name__}")
        return self.network.log_prob(x, self._context(c))


@dataclass(frozen=True)
class Model:
    """A trained generator, and what must be known about it."""

    network: nn.Module
    sizes: Sizes
    temperatures: tuple[float, ...]
    """Temperatures it was trained on, J/k_B."""
    provenance: Provenance | None
    content: str
    """Hash of the weights."""

    @property
    def lattices(self) -> tuple[int, ...]:
        """Sides that it draws."""
        return self.sizes.lattices

    @property
    def temperature_range(self) -> tuple[float, float]:
        """Lowest and highest trained temperature, J/k_B."""
        return min(self.temperatures), max(self.temperatures)

    @property
    def exact_density(self) -> bool:
        """Whether its ``log_prob`` is the exact ln q."""
        return self.sizes.kind == "hierarchical"

    def generator(self, lattice: int) -> OneSide:
        """Return the network for one side."""
        return OneSide(self.network, lattice)


def save_model(
    directory: Path,
    sizes: Sizes,
    state: Mapping[str, Tensor],
    temperatures: Sequence[float],
    provenance: Provenance,
) -> str:
    """Write the weights into ``directory``; return their hash."""
    record = {
        "kind": RECORD,
        "sizes": asdict(sizes),
        "temperatures": sorted(temperatures),
        "provenance": provenance.to_json(),
    }
    return save_tensors(directory / WEIGHTS, state, record)


def load_model(directory: str | Path) -> Model:
    """Return the model whose weights are in ``directory``, ready to draw.

    Raises
    ------
    InputError
        If there is no such directory or weights, or they are damaged or of another kind.
    """
    stored = load_weights(directory, "ising", RECORD, WEIGHTS)
    record: Mapping[str, Any] = stored.metadata
    sizes = sizes_of(Sizes, stored, Path(directory) / WEIGHTS)
    network = build(sizes)
    network.load_state_dict(dict(stored.tensors))
    network.eval()
    temperatures = tuple(float(t) for t in record["temperatures"])
    provenance = Provenance.from_json(record["provenance"])
    return Model(network, sizes, temperatures, provenance, stored.content)
