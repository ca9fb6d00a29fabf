"""``emulant molecules grow`` and ``link``: a char-RNN goes on from a scaffold, which is kept.

*Growing*: the scaffold is written so that its attachment point comes last
(:mod:`~.chemistry.scaffolds`), and the network says the rest; the first token must be an atom, so
that there is one new bond. The rest is cut off and put at the point; with several points one is
grown after the other, each seeing what was grown before.

*Linking*: the network goes on from the first fragment without knowing of the second. Wherever what
it said so far could end, at an atom of the open chain, the second fragment's string could follow;
one such place t is drawn with the weight

    p(second fragment, end | first fragment, linker up to t) ,

and the rest of what was said is thrown away. The two fragments change places in every other string.

- Gupta et al., Generative Recurrent Networks for De Novo Drug Design (fragment growing), 2018,
  https://doi.org/10.1002/minf.201700111
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from emulant.errors import PASS, InputError
from emulant.parallel import chunked_map
from emulant.rng import derive, numpy_rng, torch_rng
from emulant.store import current
from emulant_apps.molecules.candidates import deliver, prepare_out
from emulant_apps.molecules.char_rnn import CharModel
from emulant_apps.molecules.char_sample import CharEmulator, token_scores
from emulant_apps.molecules.chemistry.parse import canonical, parse
from emulant_apps.molecules.chemistry.scaffolds import (
    Scaffold,
    keeps,
    openings,
    part_after,
    read_scaffold,
    tail,
    zipped,
)
from emulant_apps.molecules.config import DrawnConfig, GrowConfig, LinkConfig
from emulant_apps.molecules.decoding import CHUNK, Drawn, Mode
from emulant_apps.molecules.emulators import char_emulator
from emulant_apps.molecules.generate import gathered
from emulant_apps.molecules.grammar import capacity
from emulant_apps.molecules.vocabulary import tokens

__all__ = ["Grown", "cuts", "grow", "link", "run_grow", "run_link"]

ROOM = 8
"""Tokens of the greatest length that a scaffold must leave free."""


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """What became of the strings of one chunk."""

    strings: tuple[str, ...]
    """SMILES that keep the scaffold, and the raw strings of those that are no molecules."""
    log_likelihood: NDArray[np.float64]
    """ln p of what was said after the scaffold, nats, (n,)."""
    lost: Counter[str] = field(default_factory=Counter)
    """How many strings were left out, by reason."""


def run_grow(config: GrowConfig) -> int:
    """Run ``emulant molecules grow``."""
    scaffold = read_scaffold(config.scaffold, "--scaffold")
    work = partial(grow, scaffold)
    return _run(config, config.count, [scaffold], work, "grow", f"Grown from {scaffold.smiles}")


def run_link(config: LinkConfig) -> int:
    """Run ``emulant molecules link``."""
    pair = [read_scaffold(text, "--fragments") for text in config.fragments]
    for scaffold, text in zip(pair, config.fragments, strict=True):
        if len(scaffold.points) != 1:
            raise InputError(
                f"--fragments: '{text}' has {len(scaffold.points)} attachment points; a fragment "
                "to be linked has one"
            )
    title = f"Linkers between {pair[0].smiles} and {pair[1].smiles}"
    work = partial(link, (pair[0], pair[1]), config.longest)
    return _run(config, config.count, pair, work, "link", title)


def _run(
    config: DrawnConfig,
    count: int,
    scaffolds: Sequence[Scaffold],
    work: Callable[[CharModel, Mode, int, int], Grown],
    verb: str,
    title: str,
) -> int:
    """Draw chunk by chunk with ``work(model, mode, seed, chunk)``, judge and write."""
    prepare_out(config.out)
    emulator = char_emulator(config.model)
    _require_known(emulator.model, scaffolds)
    mode = Mode(1.0 if config.temperature is None else config.temperature, config.masked)
    if not mode.temperature > 0:
        raise InputError(f"--temperature: must be above 0 to {verb}; 1 is the network's own law")
    lost: Counter[str] = Counter()

    def draw(start: int, size: int) -> Drawn:
        one = _Chunks(work, emulator.model, mode, config.seed, start // CHUNK)
        parts = chunked_map(one, size // CHUNK, 1, config.seed, config.workers)
        for part in parts:
            lost.update(part.lost)
        return Drawn(
            tuple(text for part in parts for text in part.strings),
            np.concatenate([part.log_likelihood for part in parts]),
        )

    prototype = scaffolds[0].smiles if len(scaffolds) == 1 else ""
    found, drawn = gathered(draw, count, config, verb, prototype)
    asked = len(drawn.strings) + lost.total()
    told = "".join(f"; {number:,} left out: {why}" for why, number in sorted(lost.items()))
    lead = f"{asked:,} strings drawn, {drawn.valid * len(drawn.strings):,.0f} kept the core{told}."
    made = current(f"molecules {verb}", config, config.seed, weights=emulator.model.content)
    deliver(config.out, title, lead, found, made, count)
    return PASS


@dataclass(frozen=True)
class _Chunks:
    """The work of one chunk; picklable."""

    work: Callable[[CharModel, Mode, int, int], Grown]
    model: CharModel
    mode: Mode
    seed: int
    before: int

    def __call__(self, start: int, size: int, seed: int) -> Grown:
        del size, seed
        return self.work(self.model, self.mode, self.seed, self.before + start)


def _require_known(model: CharModel, scaffolds: Sequence[Scaffold]) -> None:
    """Refuse scaffolds with tokens that the model does not know, or too long."""
    vocabulary = model.sizes.vocabulary
    for scaffold in scaffolds:
        said = {token for point in scaffold.points for token in _said(scaffold, point, 0)}
        outside = sorted(said - vocabulary.number.keys())
        if outside:
            raise InputError(
                f"'{scaffold.smiles}': tokens outside the model's vocabulary: {' '.join(outside)}"
            )
    total = sum(len(tokens(scaffold.smiles)) for scaffold in scaffolds)
    if total > vocabulary.length - ROOM:
        raise InputError(
            f"'{'.'.join(s.smiles for s in scaffolds)}': has {total} tokens, the model's strings "
            f"have {vocabulary.length}: too few are left"
        )


def _said(scaffold: Scaffold, point: int, seed: int) -> tuple[str, ...]:
    return tokens("".join(openings(scaffold.smiles, point, seed)))


def grow(scaffold: Scaffold, model: CharModel, mode: Mode, seed: int, chunk: int) -> Grown:
    """Return one chunk of molecules grown at every point of a scaffold."""
    rng = torch_rng(seed, "molecules grow", chunk)
    some = numpy_rng(seed, "molecules grow", chunk)
    emulator, first = CharEmulator(model), _atoms(model)
    bodies = [(scaffold.smiles, 0.0)] * CHUNK
    failed: list[tuple[str, float]] = []
    lost: Counter[str] = Counter()
    for point in scaffold.points:
        known: dict[str, list[str]] = {}
        begun = []
        for k, (body, score) in enumerate(bodies):
            if body not in known:
                known[body] = openings(body, point, derive(seed, "openings", chunk, k))
            opening = known[body][int(some.integers(len(known[body])))]
            begun.append((body, score, opening))
        known_tokens = model.sizes.vocabulary.number.keys()
        fits = [
            b
            for b in begun
            if len(said := tokens(b[2])) < model.sizes.length - 1 and known_tokens >= set(said)
        ]
        lost["grew beyond what the model can read"] += len(begun) - len(fits)
        drawn = emulator.go_on([opening for _, _, opening in fits], rng, mode, first)
        bodies = []
        ways = zip(fits, drawn.strings, drawn.log_likelihood.tolist(), strict=True)
        for (body, score, _), text, value in ways:
            part = part_after(text, _heavy(body), point)
            whole = None if part is None else zipped(body, part)
            if whole is not None:
                bodies.append((whole, score + value))
            elif canonical(text) is None:
                failed.append((text, score + value))
            else:
                lost["the core was changed"] += 1
    kept = [body for body in bodies if keeps(body[0], [scaffold.smiles])]
    lost["the core was changed"] += len(bodies) - len(kept)
    return _grown([*kept, *failed], lost)


def link(
    pair: tuple[Scaffold, Scaffold],
    longest: int,
    model: CharModel,
    mode: Mode,
    seed: int,
    chunk: int,
) -> Grown:
    """Return one chunk of molecules that hold both fragments and a linker between them."""
    rng = torch_rng(seed, "molecules link", chunk)
    some = numpy_rng(seed, "molecules link", chunk)
    begins = [
        openings(s.smiles, s.points[0], derive(seed, "openings", chunk, k))
        for k, s in enumerate(pair)
    ]
    ends = [tail(s.smiles) for s in pair]
    given = [begins[k % 2][int(some.integers(len(begins[k % 2])))] for k in range(CHUNK)]
    drawn = CharEmulator(model).go_on(given, rng, mode, _atoms(model))
    rows, whole = [], []
    for k, (opening, text) in enumerate(zip(given, drawn.strings, strict=True)):
        for cut in cuts(text, len(tokens(opening)), longest):
            rows.append((k, len(tokens(cut))))
            whole.append(cut + ends[1 - k % 2])
    fits = [j for j, text in enumerate(whole) if len(tokens(text)) <= model.sizes.length]
    scores = token_scores(model, [whole[j] for j in fits], 1.0)
    weights: dict[int, list[tuple[float, str, float]]] = {}
    for j, ln_p in zip(fits, scores, strict=True):
        k, spoken = rows[j]
        before = len(tokens(given[k]))
        lot = float(ln_p[spoken:].sum() + some.gumbel())  # the greatest is a draw by weight
        weights.setdefault(k, []).append((lot, whole[j], float(ln_p[before:].sum())))
    lost: Counter[str] = Counter()
    kept = []
    for k in range(CHUNK):
        legal = (
            (smiles, value)
            for _, text, value in sorted(weights.get(k, []), reverse=True)
            if (smiles := canonical(text)) and keeps(smiles, [s.smiles for s in pair])
        )
        found = next(legal, None)
        if found is None:
            lost["no place for the second fragment"] += 1
        else:
            kept.append(found)
    return _grown(kept, lost)


def cuts(text: str, opened: int, longest: int) -> list[str]:
    """Return the beginnings of a string after which another chain may follow.

    Something must have been said after the ``opened`` first tokens, of at most ``longest`` atoms;
    parentheses and rings are closed there, and no bond waits.

    >>> cuts("c1ccccc1CC(=O)N", 8, 12)
    ['c1ccccc1C', 'c1ccccc1CC', 'c1ccccc1CC(=O)', 'c1ccccc1CC(=O)N']
    """
    depth, atoms = 0, 0
    rings: set[str] = set()
    found = []
    said = tokens(text)
    for place, token in enumerate(said[opened:], opened + 1):
        depth += (token == "(") - (token == ")")
        atom = capacity(token) > 0
        atoms += atom
        digit = token.isdigit() or token.startswith("%")
        if digit:
            rings ^= {token}
        if atoms > longest:
            break
        if depth == 0 and not rings and (atom or digit or token == ")"):
            found.append("".join(said[:place]))
    return found


def _heavy(smiles: str) -> int:
    """Return the atoms of a scaffold that are neither attachment points nor hydrogens."""
    molecule = parse(smiles)
    assert molecule is not None
    return sum(atom.GetAtomicNum() > 1 for atom in molecule.GetAtoms())


def _atoms(model: CharModel) -> frozenset[str]:
    """Return the tokens that may stand after an opening: atoms, and the single bond."""
    return frozenset(w for w in model.sizes.words if capacity(w) > 0 or w == "-")


def _grown(kept: Sequence[tuple[str, float]], lost: Counter[str]) -> Grown:
    values = np.array([value for _, value in kept], dtype=np.float64)
    return Grown(tuple(text for text, _ in kept), values, +lost)
