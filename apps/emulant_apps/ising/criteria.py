r"""What a certificate of Ising states measures, and how much error it allows.

Each sample becomes one row of features; every statistic is a function of means of some of its
columns (per spin, J = k_B = 1):

.. math::
    u, \quad c = \frac{N}{T^2}(\overline{u^2} - \bar u^2), \quad \overline{|m|}, \quad
    \chi = \frac{N}{T}(\overline{m^2} - \overline{|m|}^2), \quad
    U_4 = 1 - \frac{\overline{m^4}}{3\,\overline{m^2}^2},

the two-point function G(r), the structure factor S(k) at the lowest k along an axis, the
second-moment correlation length ξ, and two histograms.

**Histograms.** The energy of a sample is replaced by its *randomised probability integral
transform* under the truth, v = F(E-) + U P(E) with U uniform, which is uniform for true samples
although E is discrete. The histogram is the fraction of samples in each tenth of v, 0.1 in
truth at every temperature and size. |m| likewise. F is exact where it is known (Beale, L <= 32;
transfer matrix, L <= 8), else that of the reference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emulant.certify import FunctionOfMeans, Statistic, Tolerance, weighted_mean
from emulant_apps.ising import exact
from emulant_apps.ising.hamiltonian import Floats, Ints, Spins, bond_sums, spin_sums
from emulant_apps.ising.observables import correlations, structure_factors, summarise

__all__ = ["LEVELS", "TENTHS", "Law", "Level", "Rows", "distances", "exact_answers", "statistics"]

TENTHS = 10
MODES = 3
LARGEST_BEALE = 32
"""Side up to which the exact density of states takes a second."""
LARGEST_TRANSFER = 8
"""Side up to which the exact P(M) takes a tenth of a second."""

SCALARS = ("u", "u²", "|m|", "m²", "m⁴")

Name = Literal["raw", "finished", "quick"]


@dataclass(frozen=True, slots=True)
class Level:
    """Tolerances asked of one kind of states; None: reported, not judged."""

    by: str
    energy: float
    """Of u, J per spin."""
    magnetisation: float
    """Of ⟨|m|⟩, per spin."""
    heat_capacity: float | None = None
    """Of c, as a fraction of the truth."""
    susceptibility: float | None = None
    """Of χ, as a fraction of the truth."""
    ln_z: float | None = None
    """Of ln Z of the whole lattice, nats."""
    lost_size: float | None = None
    """Of 1 - ESS / n."""


def _by(row: str) -> str:
    return f"the targets of docs/ising.md ({row})"


LEVELS: Mapping[Name, Level] = {
    "raw": Level(_by("raw"), 0.003, 0.006, 0.06, 0.12, 0.01, 0.15),
    "finished": Level(_by("as shipped"), 0.0015, 0.004, 0.04, 0.04),
    "quick": Level(_by("ten-minute emulator"), 0.01, 0.02),
}


@dataclass(frozen=True, eq=False)
class Law:
    """A distribution over integers: sorted ``values`` and their ``probabilities``, both (V,)."""

    values: Ints
    probabilities: Floats

    @classmethod
    def of(cls, sample: Ints) -> Law:
        """Return the law of a sample (n,)."""
        values, counts = np.unique(sample, return_counts=True)
        return cls(values, counts / len(sample))

    def tenths(self, sample: Ints, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the tenth, 0 to 9, of each of ``sample`` (n,), by the randomised transform."""
        above = np.concatenate([[0.0], np.cumsum(self.probabilities)])
        left = np.searchsorted(self.values, sample, side="left")
        right = np.searchsorted(self.values, sample, side="right")
        v = above[left] + rng.uniform(size=len(sample)) * (above[right] - above[left])
        tenth: NDArray[np.intp] = np.minimum((TENTHS * v).astype(np.intp), TENTHS - 1)
        return tenth


def exact_laws(lattice: int, temperature: float, field: float) -> dict[str, Law]:
    """Return the exact laws of E and |M| that are at hand."""
    laws = {}
    if field == 0 and lattice <= LARGEST_BEALE:
        found = exact.energy_histogram(lattice, temperature)
        laws["energy"] = Law(found.energies, found.probabilities)
    if field == 0 and lattice <= LARGEST_TRANSFER:
        law = exact.magnetisation_law(lattice, temperature)
        half = law.magnetisations >= 0
        p = np.where(law.magnetisations > 0, 2.0, 1.0) * law.probabilities
        laws["magnetisation"] = Law(law.magnetisations[half], p[half])
    return laws


@dataclass(frozen=True, eq=False)
class Rows:
    """The columns of features and where each statistic finds its own.

    Made once for each lattice; :meth:`of` then turns samples into rows (n, K).
    """

    lattice: int
    at: Mapping[str, slice] = field(default_factory=dict)

    @classmethod
    def layout(cls, lattice: int) -> Rows:
        """Return the layout of the columns."""
        sizes = dict.fromkeys(SCALARS, 1) | {
            "G": len(distances(lattice)),
            "S": min(MODES, lattice // 2 + 1),
            "energy": TENTHS,
            "magnetisation": TENTHS,
        }
        ends = np.cumsum(list(sizes.values())).tolist()
        starts = [0, *ends[:-1]]
        return cls(lattice, dict(zip(sizes, map(slice, starts, ends), strict=True)))

    def of(
        self, spins: Spins, laws: Mapping[str, Law], rng: np.random.Generator, external: float
    ) -> Floats:
        """Return the rows of ``spins`` (n, L, L); ``external`` is the field h."""
        found = summarise(spins, external)
        order = np.abs(found.magnetisation)
        scalars = (found.energy, found.energy**2, order, order**2, order**4)
        parts = [column[:, None] for column in scalars]
        parts.append(correlations(spins)[:, list(distances(self.lattice))])
        parts.append(structure_factors(spins)[:, : self.at["S"].stop - self.at["S"].start])
        for name, values in integers(spins).items():
            tenth = laws[name].tenths(values, rng)
            parts.append((tenth[:, None] == np.arange(TENTHS)).astype(np.float64))
        return np.concatenate(parts, axis=1)


def integers(spins: Spins) -> dict[str, Ints]:
    """Return E at h = 0 and |M| of each sample, (n,) each."""
    return {"energy": -bond_sums(spins), "magnetisation": np.abs(spin_sums(spins))}


def distances(lattice: int) -> tuple[int, ...]:
    """Return the distances r, in sites, at which G(r) is shown: 2, 4, 8 ... up to L/2.

    >>> distances(32)
    (2, 4, 8, 16)
    """
    doubling = [2**k for k in range(1, 8) if 2**k < lattice // 2]
    return (*doubling, lattice // 2)


def exact_answers(
    lattice: int, temperature: float, laws: Mapping[str, Law], external: float
) -> dict[str, Any]:
    """Return the exact answers, by statistic, that are at hand; ``laws`` are the exact ones."""
    answers: dict[str, Any] = {}
    if external:
        return answers
    sites, thermodynamics = lattice**2, exact.kaufman(lattice, temperature)
    answers |= {"u": thermodynamics.energy, "c": thermodynamics.heat_capacity}
    if "energy" in laws:
        answers["energy tenths"] = np.full(TENTHS, 1 / TENTHS)
    if "magnetisation" in laws:
        law = exact.magnetisation_law(lattice, temperature)
        answers |= {
            "|m|": law.moment(1),
            "χ": sites / temperature * (law.moment(2) - law.moment(1) ** 2),
            "U4": law.binder,
            "|m| tenths": np.full(TENTHS, 1 / TENTHS),
        }
    return answers


def statistics(rows: Rows, level: Level) -> tuple[Statistic, ...]:
    """Return every statistic on rows of features, with the tolerances of ``level``."""

    def columns(*names: str) -> Any:
        chosen = np.concatenate([np.arange(rows.at[n].start, rows.at[n].stop) for n in names])
        return lambda x: x[:, chosen]

    def absolute(value: float) -> Tolerance:
        return Tolerance(value, "absolute", level.by)

    def relative(value: float | None) -> Tolerance | None:
        return None if value is None else Tolerance(value, "relative", level.by)

    def labels(sign: str, values: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(f"{sign} = {value}" for value in values)

    tenths = tuple(f"{k + 1}." for k in range(TENTHS))
    modes = tuple(range(rows.at["S"].stop - rows.at["S"].start))
    variance = FunctionOfMeans(lambda m: m[..., 1:] - m[..., :1] ** 2)
    quarter = 1 / (2 * math.sin(math.pi / rows.lattice))
    return (
        Statistic(
            "u",
            columns("u"),
            unit="J",
            tolerance=absolute(level.energy),
            description="Energy per spin.",
        ),
        Statistic(
            "c",
            columns("u", "u²"),
            variance,
            unit="k_B",
            tolerance=relative(level.heat_capacity),
            description="Specific heat per spin.",
            scale=lambda case: float(case["N"] / case["T"] ** 2),
        ),
        Statistic(
            "|m|",
            columns("|m|"),
            tolerance=absolute(level.magnetisation),
            description="Absolute magnetisation per spin.",
        ),
        Statistic(
            "χ",
            columns("|m|", "m²"),
            variance,
            tolerance=relative(level.susceptibility),
            description="Susceptibility of |m| per spin.",
            scale=lambda case: float(case["N"] / case["T"]),
        ),
        Statistic(
            "U4",
            columns("m²", "m⁴"),
            FunctionOfMeans(lambda m: 1 - m[..., 1:] / (3 * m[..., :1] ** 2)),
            description="Binder cumulant.",
        ),
        Statistic(
            "G(r)",
            columns("G"),
            weighted_mean,
            labels("r", distances(rows.lattice)),
            description="Two-point function along the axes, ⟨m⟩² not subtracted.",
        ),
        Statistic(
            "S(k)",
            columns("S"),
            weighted_mean,
            labels("k L/2π", modes),
            description="Structure factor along the axes.",
        ),
        Statistic(
            "ξ",
            lambda x: x[:, rows.at["S"]][:, :2],
            FunctionOfMeans(lambda m: quarter * _root(m[..., :1] / m[..., 1:] - 1)),
            unit="sites",
            description="Second-moment correlation length; below T_c it measures order.",
        ),
        Statistic(
            "energy tenths",
            columns("energy"),
            weighted_mean,
            tenths,
            description="Histogram of the energy over tenths of the true distribution.",
        ),
        Statistic(
            "|m| tenths",
            columns("magnetisation"),
            weighted_mean,
            tenths,
            description="Histogram of |m| over tenths of the true distribution.",
        ),
    )


def _root(x: Floats) -> Floats:
    """Return √x, continued as -√-x, for a mean that noise has made negative."""
    return np.asarray(np.sign(x) * np.sqrt(np.abs(x)))
