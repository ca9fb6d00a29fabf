r"""The prototype experiment: whether analogues of an old drug find drugs approved later.

    python benchmarks/molecules_prototypes.py [--half development|judging] [--count 500]
        [--model DIR] [--diversity 1] [--seed 0] [--docs docs/molecules.md]

Protocol, after Harel and Radinsky (2018). A *prototype* is a drug first approved before 2000, a
*follower* of it a drug approved in a later year whose Tanimoto similarity to it (Morgan, radius 2,
1024 bits) is at least 0.4 and below 1; stereochemistry is dropped. Both must be such that the
network can say them (tokens, length); how many cannot is printed. No drug is in the training
corpus. Prototypes are split by their ChEMBL identifier into a development half, on which the
diversities were chosen, and a judging half, which nothing was chosen on.

Each method gives ``count`` strings, or molecules, for each prototype:

    analogues       codes around the prototype's, with a diversity D, greedy; a row for each D
    random          strings of the flow prior
    BRICS           the prototype with one of its two sides of a BRICS bond exchanged for a piece of
                    a training molecule that had the same kind of bond
    neighbours      the nearest molecules of the training corpus

*found* counts the followers met exactly; *gain* is the greatest similarity of a new molecule to a
follower minus the prototype's own, mean over the followers of a prototype. The prototype itself
counts for nobody. Intervals: 95 %, bootstrap over prototypes.
"""

import argparse
import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import BRICS

from emulant.rng import derive, numpy_rng
from emulant_apps.molecules import corpus
from emulant_apps.molecules.chemistry.parse import canonical, flat, parse, quiet
from emulant_apps.molecules.chemistry.similarity import packed_bits
from emulant_apps.molecules.corpus import Drug
from emulant_apps.molecules.decoding import CHUNK
from emulant_apps.molecules.sample import Emulator, Mode
from pages import write_block

LEAST, YEAR = 0.4, 2000
PIECES = 4000
"""Training molecules that BRICS pieces are taken from."""
Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Prototype:
    """An old drug and what came after it."""

    drug: Drug
    followers: tuple[Drug, ...]
    alike: NDArray[np.float64]
    """Tanimoto similarity of each follower to it."""


def tanimoto(first: Bits, second: Bits) -> NDArray[np.float64]:
    """Return the similarities of packed fingerprints, shape (n, m)."""
    both = np.bitwise_count(first[:, None] & second).sum(-1, dtype=np.int64)
    ones = [np.bitwise_count(x).sum(-1, dtype=np.int64) for x in (first, second)]
    return both / np.maximum(1, ones[0][:, None] + ones[1] - both)


def half_of(drug: Drug) -> str:
    """Return the half a prototype belongs to, by a rule that knows nothing but its identifier."""
    odd = hashlib.blake2b(drug.chembl.encode(), digest_size=1).digest()[0] % 2
    return "judging" if odd else "development"


def prototypes(emulator: Emulator) -> tuple[list[Prototype], list[str]]:
    """Return all prototypes with followers, and lines that say who was left out."""
    dated = {d.flat: d for d in sorted(corpus.drugs(), key=lambda d: -(d.year or 0)) if d.year}
    known = sorted(dated.values(), key=lambda d: d.chembl)  # of one structure the first approval
    met = {d.flat for d in known} & set(corpus.training_set())
    sayable = emulator.model.sizes.vocabulary.encode([d.flat for d in known])
    tokens = sum("outside" in why for _, why in sayable.unknown)
    lines = [
        f"{len(known):,} drugs with a year; {len(met)} in the training corpus; the network cannot "
        f"say {len(sayable.unknown):,}: {len(sayable.unknown) - tokens:,} too long, {tokens:,} "
        "with other tokens."
    ]
    drugs = [known[k] for k in sayable.kept.tolist() if known[k].flat not in met]
    alike = tanimoto(packed_bits([d.flat for d in drugs]), packed_bits([d.flat for d in drugs]))
    found = []
    for k, drug in enumerate(drugs):
        later = [
            j
            for j, other in enumerate(drugs)
            if (drug.year or YEAR) < YEAR
            and (other.year or 0) > (drug.year or 0)
            and LEAST <= alike[k, j] < 1
        ]
        if later:
            found.append(Prototype(drug, tuple(drugs[j] for j in later), alike[k, later]))
    return found, lines


class Pieces:
    """Pieces of training molecules by the kind of BRICS bond that they were cut at."""

    def __init__(self, seed: int) -> None:
        order = numpy_rng(seed, "molecules pieces").permutation(len(corpus.training_set()))
        self.of: dict[tuple[str, str], list[str]] = defaultdict(list)
        for k in order[:PIECES].tolist():
            for piece, own, other in cuts(corpus.training_set()[k]):
                self.of[own, other].append(piece)

    def mutants(self, smiles: str, count: int, rng: np.random.Generator) -> list[str]:
        """Return ``count`` molecules that keep one side of a bond; none where there is no bond."""
        sides = [cut for cut in cuts(smiles) if self.of[cut[2], cut[1]]]
        made: list[str] = []
        for _ in range(count if sides else 0):
            kept, own, other = sides[int(rng.integers(len(sides)))]
            pool = self.of[other, own]
            joined = join(kept, pool[int(rng.integers(len(pool)))])
            if joined is not None:
                made.append(joined)
        return made


def cuts(smiles: str) -> list[tuple[str, str, str]]:
    """Return both pieces of every BRICS bond: the piece, with a dummy, its kind, the other's."""
    molecule = Chem.MolFromSmiles(smiles)
    found = []
    for (a, b), (kind_a, kind_b) in BRICS.FindBRICSBonds(molecule):
        bond = molecule.GetBondBetweenAtoms(a, b).GetIdx()
        apart = Chem.FragmentOnBonds(molecule, [bond], dummyLabels=[(1, 1)])
        places: list[tuple[int, ...]] = []
        parts = Chem.GetMolFrags(
            apart, asMols=True, sanitizeFrags=False, fragsMolAtomMapping=places
        )
        if len(parts) == 2:
            for part, atoms in zip(parts, places, strict=True):
                own, other = (kind_a, kind_b) if a in atoms else (kind_b, kind_a)
                found.append((Chem.MolToSmiles(part), own, other))
    return found


def join(first: str, second: str) -> str | None:
    """Return the molecule of two pieces, joined where their dummies are."""
    text = f"{first}.{second}".replace("[1*]", "[*:1]")
    with quiet():
        try:
            return canonical(Chem.MolToSmiles(Chem.molzip(Chem.MolFromSmiles(text))))
        except (ValueError, RuntimeError):  # two pieces that make no molecule
            return None


def nearest(prototype: Prototype, count: int, bits: Bits) -> list[str]:
    """Return the training molecules nearest to a prototype."""
    alike = tanimoto(packed_bits([prototype.drug.flat]), bits)[0]
    return [corpus.training_set()[k] for k in np.argsort(-alike, kind="stable")[:count].tolist()]


def score(prototype: Prototype, strings: Sequence[str]) -> tuple[int, float]:
    """Return how many followers were met, and the mean gain of similarity."""
    molecules = {flat(text) for text in map(canonical, strings) if text} - {prototype.drug.flat}
    if not molecules:
        return 0, -float(prototype.alike.mean())
    alike = tanimoto(
        packed_bits([d.flat for d in prototype.followers]), packed_bits(sorted(molecules))
    )
    met = sum(drug.flat in molecules for drug in prototype.followers)
    return met, float((alike.max(axis=1) - prototype.alike).mean())


def interval(values: NDArray[np.float64], seed: int) -> str:
    """Return the mean of a column over prototypes with its interval."""
    rng = numpy_rng(seed, "molecules prototypes bootstrap")
    rows = rng.integers(len(values), size=(2000, len(values)))
    low, high = np.quantile(values[rows].mean(axis=1), [0.025, 0.975])
    return f"{values.mean():.3f} ({low:.3f} ... {high:.3f})"


def table(emulator: Emulator, asked: argparse.Namespace) -> list[str]:
    """Return what was compared, and the rows of the methods."""
    everyone, lines = prototypes(emulator)
    chosen = [p for p in everyone if half_of(p.drug) == asked.half]
    followers = sum(len(p.followers) for p in chosen)
    lines.append(
        f"{len(everyone):,} prototypes; the {asked.half} half: {len(chosen):,} prototypes with "
        f"{followers:,} followers; {asked.count:,} strings or molecules each."
    )
    bits = packed_bits(corpus.training_set())
    pieces = Pieces(asked.seed)
    wide = -(-asked.count // CHUNK) * CHUNK

    def around(diversity: float) -> Callable[[int, Prototype], list[str]]:
        def draw(k: int, prototype: Prototype) -> list[str]:
            seed = derive(asked.seed, "analogues", k)
            found = emulator.analogues([prototype.drug.flat], asked.count, seed, diversity, Mode())
            return list(found.strings)

        return draw

    flow = Mode(prior="flow")
    methods: dict[str, Callable[[int, Prototype], list[str]]] = {
        f"analogues, D = {diversity:g}": around(diversity) for diversity in asked.diversity
    }
    methods |= {
        "random": lambda k, _: list(
            emulator.sample(asked.count, asked.seed, flow, start=k * wide).strings
        ),
        "BRICS": lambda k, p: pieces.mutants(
            p.drug.flat, asked.count, numpy_rng(asked.seed, "molecules mutants", k)
        ),
        "neighbours": lambda _, p: nearest(p, asked.count, bits),
    }
    lines += [
        "",
        "| method | molecules | found | found a prototype | gain | analogues' gain more |",
    ]
    lines.append("|---" * 6 + "|")
    first, head = np.zeros(0), len(lines)
    for name, method in methods.items():
        drawn = [method(k, p) for k, p in enumerate(chosen)]
        scores = np.array([score(p, s) for p, s in zip(chosen, drawn, strict=True)])
        first = first if len(first) else scores[:, 1]
        usable = sum(parse(text) is not None for strings in drawn for text in strings)
        size = np.mean([len(strings) for strings in drawn])
        cells = [
            name,
            f"{usable / max(1, sum(map(len, drawn))):.3f} of {size:,.0f}",
            f"{scores[:, 0].sum():.0f}",
            interval(scores[:, 0], asked.seed),
            interval(scores[:, 1], asked.seed),
            "-" if len(lines) == head else interval(first - scores[:, 1], asked.seed),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print the table of a half, and write it into a page where one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=("development", "judging"), default="development")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--diversity", type=float, nargs="+", default=[1.0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", type=Path)
    asked = parser.parse_args()
    if asked.half == "judging" and len(asked.diversity) > 1:
        parser.error("the judging half judges one diversity, chosen on the development half")
    emulator = Emulator.pretrained() if asked.model is None else Emulator.load(asked.model)
    wide = " ".join(f"{d:g}" for d in asked.diversity)
    command = (
        f"`python benchmarks/molecules_prototypes.py --half {asked.half} --count {asked.count} "
        f"--diversity {wide} --seed {asked.seed}`"
    )
    write_block(asked.docs, "prototypes", "\n".join([command, "", *table(emulator, asked)]))


if __name__ == "__main__":
    main()
