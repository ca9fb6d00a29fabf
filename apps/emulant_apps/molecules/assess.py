"""What speaks against a molecule: a chain of named checks, the cheap ones first.

    known?  alerts  properties and rules  rings never seen  nearest drug and library molecule

A check is *hard*, so that it rejects, or *soft*, so that it is noted. Molecules are judged one by
one, in seeded chunks over the cores, and each SMILES once; the order of the answers is that of the
questions.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulant.errors import InputError
from emulant.parallel import chunked_map
from emulant_apps.molecules.chemistry.alerts import SETS, Alert, AlertSet, alert_sets
from emulant_apps.molecules.chemistry.entries import problem_of
from emulant_apps.molecules.chemistry.parse import canonical_of, flat, parse
from emulant_apps.molecules.chemistry.properties import RULES, Properties, properties_of
from emulant_apps.molecules.chemistry.screen import Look
from emulant_apps.molecules.chemistry.similarity import Library, ring_systems, scaffold
from emulant_apps.molecules.corpus import Drug, drugs, known_rings, training_set

__all__ = ["CHECKS", "DEFAULT_SETS", "Assessment", "Chain", "assess", "funnel"]

DEFAULT_SETS = ("pains", "mcf", "brenk")
"""Sets asked by default: the others cost more time than the rest of the chain."""
CHECKS = (
    "valid", "duplicate", "corpus", "drug", "library",
    *SETS, "custom", *RULES, "qed", "sa", "rings",
)  # fmt: skip
"""Names of the checks, in the order in which a rejection is counted."""
CHUNK = 256


@dataclass(frozen=True)
class Chain:
    """Which checks there are, and which of them reject."""

    sets: tuple[str, ...] = DEFAULT_SETS
    """Sets of alerts."""
    hard: tuple[str, ...] = ("valid", "duplicate", "pains", "mcf")
    """Checks that reject; the rest are noted."""
    custom: Path | None = None
    """File of SMARTS of one's own."""
    severity: int = 1
    """Alerts below it are not counted."""
    least_qed: float = 0.0
    most_sa: float = 10.0
    natural: bool = False
    """Whether the likeness to natural products is computed."""
    library: tuple[str, ...] = ()
    """SMILES of one's own, of which the nearest is named."""

    def __post_init__(self) -> None:
        for name in self.hard:
            if name not in CHECKS:
                raise InputError(f"no check is called '{name}'; known are {', '.join(CHECKS)}")
        for name in self.sets:
            if name not in SETS:
                raise InputError(f"no set is called '{name}'; known are {', '.join(SETS)}")


@dataclass(frozen=True, slots=True)
class Assessment:
    """One molecule and what is said of it."""

    given: str
    """The text that was given."""
    smiles: str
    """Canonical SMILES; empty where the text is no molecule."""
    failed: tuple[str, ...] = ()
    """Names of the checks that it fails, hard and soft."""
    rejected: str = ""
    """The first hard check that it fails; empty where it is kept."""
    alerts: tuple[Alert, ...] = ()
    properties: Properties | None = None
    scaffold: str = ""
    odd_rings: tuple[str, ...] = ()
    """Ring systems that neither the corpus nor a drug has."""
    drug: Drug | None = None
    """The approved drug that it is, stereochemistry aside."""
    nearest_drug: str = ""
    """Name and year of the nearest approved drug."""
    drug_tanimoto: float = 0.0
    nearest_library: str = ""
    library_tanimoto: float = 0.0
    problem: str = ""
    """Why it is no molecule."""

    @property
    def kept(self) -> bool:
        """Whether no hard check rejects it."""
        return not self.rejected


@dataclass(frozen=True)
class Funnel:
    """How many molecules are left after each hard check, and how many fail each soft one."""

    total: int
    rejected: dict[str, int] = field(default_factory=dict)
    """By the first hard check that each fails."""
    noted: dict[str, int] = field(default_factory=dict)
    """By every check, hard or soft; one molecule may count several times."""

    @property
    def kept(self) -> int:
        """Molecules that no hard check rejects."""
        return self.total - sum(self.rejected.values())


def assess(
    strings: Sequence[str],
    chain: Chain,
    workers: int | None = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Assessment]:
    """Return what the chain says of each of ``strings``, in order.

    >>> first, second = assess(["OCC", "CCO"], Chain(sets=("mcf",)))
    >>> first.smiles, first.rejected, second.rejected
    ('CCO', '', 'duplicate')
    """
    once = tuple(dict.fromkeys(strings))
    work = _Assess(once, chain)
    chunks = chunked_map(work, len(once), CHUNK, 0, workers, progress)
    found = dict(zip(once, (x for chunk in chunks for x in chunk), strict=True))
    answers: list[Assessment] = []
    seen: set[str] = set()
    for text in strings:
        answer = found[text]
        if answer.smiles and answer.smiles in seen:
            failed = tuple(name for name in CHECKS if name in (*answer.failed, "duplicate"))
            answer = _with(answer, failed, chain)
        seen.add(answer.smiles)
        answers.append(answer)
    return answers


def funnel(found: Sequence[Assessment]) -> Funnel:
    """Return the counts of a list of assessments."""
    rejected = Counter(item.rejected for item in found if item.rejected)
    noted = Counter(name for item in found for name in item.failed)
    return Funnel(
        len(found),
        {name: rejected[name] for name in CHECKS if name in rejected},
        {name: noted[name] for name in CHECKS if name in noted},
    )


@dataclass(frozen=True)
class _Assess:
    """The work of one chunk; picklable: each process builds its own matchers."""

    strings: tuple[str, ...]
    chain: Chain

    def __call__(self, start: int, size: int, seed: int) -> list[Assessment]:
        del seed
        return [_judged(text, self.chain) for text in self.strings[start : start + size]]


@dataclass(frozen=True)
class _Tools:
    """What a process builds once."""

    alerts: AlertSet | None
    corpus: frozenset[str]
    drugs: dict[str, Drug]
    drug_library: Library
    own: frozenset[str]
    own_library: Library
    rings: frozenset[str]


@functools.lru_cache(maxsize=2)
def _tools(chain: Chain) -> _Tools:
    known = drugs()
    asked = bool(chain.sets) or chain.custom is not None
    return _Tools(
        alert_sets(chain.sets, chain.custom) if asked else None,
        frozenset(training_set()),
        {drug.flat: drug for drug in reversed(known)},
        _drug_library(),
        frozenset(flat(smiles) for smiles in chain.library),
        Library(chain.library),
        known_rings(),
    )


@functools.cache
def _drug_library() -> Library:
    return Library([drug.smiles for drug in drugs()])


@functools.lru_cache(maxsize=100_000)
def _judged(text: str, chain: Chain) -> Assessment:
    """Return what the chain says of one string, from memory where it was asked before."""
    return _one(text, chain, _tools(chain))


def _one(text: str, chain: Chain, tools: _Tools) -> Assessment:
    molecule = parse(text)
    if molecule is None or not molecule.GetNumAtoms():
        problem = problem_of(text)
        rejected = "valid" if "valid" in chain.hard else ""
        return Assessment(text, "", ("valid",), rejected, problem=problem)
    smiles = canonical_of(molecule)
    plain = flat(smiles)
    failed = set()
    drug = tools.drugs.get(plain)
    if plain in tools.corpus:
        failed.add("corpus")
    if drug is not None:
        failed.add("drug")
    if plain in tools.own:
        failed.add("library")
    rejected = _first(failed, chain)
    if rejected:  # the cheap checks were enough
        return Assessment(text, smiles, _ordered(failed), rejected, drug=drug)
    look = Look.at(molecule)
    alerts = () if tools.alerts is None else tools.alerts.of(molecule, look)
    alerts = tuple(alert for alert in alerts if alert.severity >= chain.severity)
    failed |= {alert.family for alert in alerts}
    rejected = _first(failed, chain)
    if rejected:
        return Assessment(text, smiles, _ordered(failed), rejected, alerts, drug=drug)
    known = properties_of(molecule, chain.natural, look)
    failed |= {name for name, keeps in RULES.items() if not keeps(known)}
    failed |= {"qed"} if known.qed < chain.least_qed else set()
    failed |= {"sa"} if known.sa > chain.most_sa else set()
    odd = tuple(sorted(ring_systems(molecule) - tools.rings))
    failed |= {"rings"} if odd else set()
    near, own = tools.drug_library.nearest(molecule), tools.own_library.nearest(molecule)
    assert near is not None
    best = drugs()[near.index]
    return Assessment(
        given=text,
        smiles=smiles,
        failed=_ordered(failed),
        rejected=_first(failed, chain),
        alerts=alerts,
        properties=known,
        scaffold=scaffold(molecule) or "",
        odd_rings=odd,
        drug=drug,
        nearest_drug=f"{best.name} ({best.year})",
        drug_tanimoto=near.tanimoto,
        nearest_library="" if own is None else tools.own_library.smiles[own.index],
        library_tanimoto=0.0 if own is None else own.tanimoto,
    )


def _ordered(failed: set[str]) -> tuple[str, ...]:
    return tuple(name for name in CHECKS if name in failed)


def _first(failed: set[str], chain: Chain) -> str:
    return next((name for name in CHECKS if name in failed and name in chain.hard), "")


def _with(answer: Assessment, failed: tuple[str, ...], chain: Chain) -> Assessment:
    from dataclasses import replace

    return replace(answer, failed=failed, rejected=_first(set(failed), chain))
