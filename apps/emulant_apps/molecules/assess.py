"""What speaks against a molecule: a chain of named checks, the cheap ones first.

    known?  alerts  properties and rules  rings never seen  nearest drug and library molecule

A check is *hard*, so that it rejects, or *soft*, so that it is noted. Molecules are judged in
seeded chunks over the cores, and each SMILES once; the order of the answers is that of the
questions. A chunk takes one step after the other, all its molecules together, because a step that
is repeated finds its own code and tables in the processor's cache.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant.parallel import chunked_map
from emulant_apps.molecules.chemistry.alerts import SETS, Alert, AlertSet, alert_sets
from emulant_apps.molecules.chemistry.entries import problem_of
from emulant_apps.molecules.chemistry.parse import canonical_of, flat, parse_all, readable
from emulant_apps.molecules.chemistry.properties import RULES, Properties, properties_of
from emulant_apps.molecules.chemistry.screen import Look
from emulant_apps.molecules.chemistry.similarity import (
    UNUSUAL,
    Library,
    bits_of,
    packed_bits,
    ring_systems,
    scaffolds,
)
from emulant_apps.molecules.corpus import Drug, drugs, known_rings, training_set
from emulant_apps.molecules.tanimoto import Index

if TYPE_CHECKING:
    from rdkit import Chem  # the type alone: only the rooms of chemistry touch RDKit

__all__ = ["CHECKS", "DEFAULT_SETS", "Assessment", "Chain", "Seen", "assess", "funnel"]

DEFAULT_SETS = ("pains", "mcf", "brenk")
"""Sets asked by default: the others cost more time than the rest of the chain."""
CHECKS = (
    "valid", "duplicate", "corpus", "drug", "library",
    *SETS, "custom", *RULES, "qed", "sa", "rings",
)  # fmt: skip
"""Names of the checks, in the order in which a rejection is counted."""
CHUNK = 256
REMEMBERED = 100_000
"""Answers that a process keeps, lest a string be judged twice."""


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
    nearest: bool = False
    """Whether the nearest training molecule is named, too."""

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
    nearest_corpus: str = ""
    """SMILES of the nearest training molecule, where that was asked."""
    corpus_tanimoto: float = 0.0
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


class Seen:
    """Molecules met before, eight bytes of each: two of a million share them with odds of 3e-8."""

    def __init__(self, digests: NDArray[np.uint64] | None = None) -> None:
        self._digests = set() if digests is None else set(digests.tolist())

    def meets(self, smiles: str) -> bool:
        """Return whether a molecule was met before; from now on it was."""
        digest = int.from_bytes(hashlib.blake2b(smiles.encode(), digest_size=8).digest(), "little")
        if digest in self._digests:
            return True
        self._digests.add(digest)
        return False

    @property
    def digests(self) -> NDArray[np.uint64]:
        """What is remembered, in order, (n,)."""
        return np.sort(np.fromiter(self._digests, np.uint64, len(self._digests)))


def assess(
    strings: Sequence[str],
    chain: Chain,
    workers: int | None = 1,
    progress: Callable[[int, int], None] | None = None,
    seen: Seen | None = None,
) -> list[Assessment]:
    """Return what the chain says of each of ``strings``, in order.

    ``seen`` are the molecules met before, to which these are added.

    >>> first, second = assess(["OCC", "CCO"], Chain(sets=("mcf",)))
    >>> first.smiles, first.rejected, second.rejected
    ('CCO', '', 'duplicate')
    """
    once = tuple(dict.fromkeys(strings))
    work = _Assess(once, chain)
    chunks = chunked_map(work, len(once), CHUNK, 0, workers, progress)
    found = dict(zip(once, (x for chunk in chunks for x in chunk), strict=True))
    answers: list[Assessment] = []
    seen = Seen() if seen is None else seen
    for text in strings:
        answer = found[text]
        if answer.smiles and seen.meets(answer.smiles):
            failed = tuple(name for name in CHECKS if name in (*answer.failed, "duplicate"))
            answer = _with(answer, failed, chain)
        answers.append(answer)
    return _with_neighbours(answers, workers) if chain.nearest else answers


def _with_neighbours(answers: Sequence[Assessment], workers: int | None) -> list[Assessment]:
    """Return the answers with the nearest training molecule of those that are kept."""
    kept = list(dict.fromkeys(answer.smiles for answer in answers if answer.kept))
    if not kept:
        return list(answers)
    index, alike = corpus_index(workers).nearest(packed_bits(kept))
    names = training_set()
    near = {
        smiles: (names[k], value)
        for smiles, k, value in zip(kept, index.tolist(), alike.tolist(), strict=True)
    }
    return [
        replace(
            answer, nearest_corpus=near[answer.smiles][0], corpus_tanimoto=near[answer.smiles][1]
        )
        if answer.kept and answer.smiles in near
        else answer
        for answer in answers
    ]


@functools.lru_cache(maxsize=1)
def corpus_index(workers: int | None = 1) -> Index:
    """Return the fingerprints of the training molecules, made anew: half a minute of one core."""
    parts = chunked_map(_corpus_bits, len(training_set()), 10_000, 0, workers)
    return Index(np.concatenate(parts))


def _corpus_bits(start: int, size: int, seed: int) -> NDArray[np.uint8]:
    del seed
    return packed_bits(training_set()[start : start + size])


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
        texts, memory = self.strings[start : start + size], _memory(self.chain)
        unknown = [text for text in texts if text not in memory]
        if len(memory) + len(unknown) > REMEMBERED:
            memory.clear()
            unknown = list(texts)
        answers = _judged(unknown, self.chain, _tools(self.chain))
        memory.update(zip(unknown, answers, strict=True))
        return [memory[text] for text in texts]


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


@functools.cache
def _corpus() -> frozenset[str]:
    return frozenset(training_set())


@functools.lru_cache(maxsize=4)
def _tools(chain: Chain) -> _Tools:
    known = drugs()
    asked = bool(chain.sets) or chain.custom is not None
    return _Tools(
        alert_sets(chain.sets, chain.custom) if asked else None,
        _corpus(),
        {drug.flat: drug for drug in reversed(known)},
        _drug_library(),
        frozenset(flat(smiles) for smiles in chain.library),
        Library(chain.library),
        known_rings(),
    )


@functools.cache
def _drug_library() -> Library:
    return Library([drug.smiles for drug in drugs()])


@functools.lru_cache(maxsize=4)
def _memory(chain: Chain) -> dict[str, Assessment]:
    """Return what was said under a chain before, by the text; filled by the chunks."""
    del chain
    return {}


@dataclass(slots=True)
class _Case:
    """A molecule on its way through the chain."""

    text: str
    molecule: Chem.Mol
    smiles: str
    failed: set[str]
    drug: Drug | None
    alerts: tuple[Alert, ...] = ()


def _judged(texts: Sequence[str], chain: Chain, tools: _Tools) -> list[Assessment]:
    """Return what the chain says of strings, all different."""
    done: dict[str, Assessment] = {}
    molecules = parse_all(texts)
    cases: list[_Case] = []
    for text, molecule in zip(texts, molecules, strict=True):
        if molecule is None or not molecule.GetNumAtoms():
            done[text] = _none(text, problem_of(text), chain)
            continue
        case = _known(text, molecule, tools)
        if readable(molecule, case.smiles):
            cases.append(case)
        else:
            done[text] = _none(text, "has aromatic rings that no SMILES describes", chain)
    cases = _left(cases, chain, done)  # the cheap checks may have been enough
    looks = [Look.at(case.molecule) for case in cases]
    if tools.alerts is not None:
        for case, look in zip(cases, looks, strict=True):
            found = tools.alerts.of(case.molecule, look)
            case.alerts = tuple(alert for alert in found if alert.severity >= chain.severity)
            case.failed |= {alert.family for alert in case.alerts}
    seen = {case.text: look for case, look in zip(cases, looks, strict=True)}
    cases = _left(cases, chain, done)
    known = [properties_of(case.molecule, chain.natural, seen[case.text]) for case in cases]
    rings = [ring_systems(case.molecule, UNUSUAL.isdisjoint(case.smiles)) for case in cases]
    cores = scaffolds([case.molecule for case in cases])
    bits = [np.packbits(bits_of(case.molecule)) for case in cases]
    drug, near = tools.drug_library.nearest_of(bits), tools.own_library.nearest_of(bits)
    for k, case in enumerate(cases):
        odd = tuple(sorted(rings[k] - tools.rings))
        case.failed |= _properties_failed(known[k], chain) | ({"rings"} if odd else set())
        best = drugs()[drug[k].index]
        done[case.text] = Assessment(
            given=case.text,
            smiles=case.smiles,
            failed=_ordered(case.failed),
            rejected=_first(case.failed, chain),
            alerts=case.alerts,
            properties=known[k],
            scaffold=cores[k] or "",
            odd_rings=odd,
            drug=case.drug,
            nearest_drug=f"{best.name} ({best.year})",
            drug_tanimoto=drug[k].tanimoto,
            nearest_library=tools.own_library.smiles[near[k].index] if near else "",
            library_tanimoto=near[k].tanimoto if near else 0.0,
        )
    return [done[text] for text in texts]


def _none(text: str, problem: str, chain: Chain) -> Assessment:
    """Return what is said of a text that is no molecule."""
    rejected = "valid" if "valid" in chain.hard else ""
    return Assessment(text, "", ("valid",), rejected, problem=problem)


def _known(text: str, molecule: Chem.Mol, tools: _Tools) -> _Case:
    """Return a molecule with what is known of it by its name alone."""
    smiles = canonical_of(molecule)
    plain = flat(smiles)
    drug = tools.drugs.get(plain)
    failed = {"corpus"} if plain in tools.corpus else set()
    failed |= {"drug"} if drug is not None else set()
    failed |= {"library"} if plain in tools.own else set()
    return _Case(text, molecule, smiles, failed, drug)


def _left(cases: Sequence[_Case], chain: Chain, done: dict[str, Assessment]) -> list[_Case]:
    """Return the cases that nothing rejects yet; the others are done."""
    kept = []
    for case in cases:
        rejected = _first(case.failed, chain)
        if rejected:
            done[case.text] = Assessment(
                case.text, case.smiles, _ordered(case.failed), rejected, case.alerts,
                drug=case.drug,
            )  # fmt: skip
        else:
            kept.append(case)
    return kept


def _properties_failed(known: Properties, chain: Chain) -> set[str]:
    failed = {name for name, keeps in RULES.items() if not keeps(known)}
    failed |= {"qed"} if known.qed < chain.least_qed else set()
    return failed | ({"sa"} if known.sa > chain.most_sa else set())


def _ordered(failed: set[str]) -> tuple[str, ...]:
    return tuple(name for name in CHECKS if name in failed)


def _first(failed: set[str], chain: Chain) -> str:
    return next((name for name in CHECKS if name in failed and name in chain.hard), "")


def _with(answer: Assessment, failed: tuple[str, ...], chain: Chain) -> Assessment:
    return replace(answer, failed=failed, rejected=_first(set(failed), chain))
