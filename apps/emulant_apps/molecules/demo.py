"""The app's part of ``emulant demo``: new molecules of the shipped weights, and their funnel."""

from __future__ import annotations

from emulant.certify.page import Figure, Section, Table
from emulant.certify.words import plain_verdict
from emulant_apps.molecules.assess import Chain, assess, funnel
from emulant_apps.molecules.chemistry.drawing import grid_svg
from emulant_apps.molecules.corpus import test_set, training_set
from emulant_apps.molecules.metrics import describe, measure
from emulant_apps.molecules.tables import Candidate, rank

__all__ = ["demo"]

COUNT, TRUTH, BEAM = 1000, 1500, 4


def demo(seed: int) -> Section:
    """Return the section: strings drawn, what is left of them, a grid, and the certificate."""
    from emulant_apps.molecules.sample import Emulator, Mode  # here: torch is slow to import
    from emulant_apps.molecules.validate import certificate

    drawn = Emulator.pretrained().sample(COUNT, seed, Mode(beam=BEAM))
    known = frozenset(training_set())
    described, truth = describe(drawn.strings, None), describe(test_set()[:TRUTH], None)
    found = certificate(described, truth, known, seed)
    metrics = measure(described, truth, known, fcd=False)
    judged = assess(drawn.strings, Chain(), None)
    counts = funnel(judged)
    best = rank([Candidate(item) for item in judged])[:12]
    smiles = [candidate.found.smiles for candidate in best]
    names = [f"nearest drug: {c.found.nearest_drug} {c.found.drug_tanimoto:.2f}" for c in best]
    svg = grid_svg(smiles, names, 4)
    picture = Figure(
        svg[svg.index("<svg") :],
        "The twelve with the fewest objections, most drug-like first.",
        "Structures of twelve new molecules",
        wide=True,
        width=880.0,
    )
    left, rows = counts.total, [["strings drawn", f"{counts.total:,}"]]
    for name, number in counts.rejected.items():
        left -= number
        rows.append([f"rejected: {name}", f"{number:,}"])
    rows.append(["kept", f"{left:,}"])
    return Section(
        "Molecules: new ones, and what speaks against them",
        "Are these molecules new, drug-like, and of the kind that the network was taught?",
        found.verdict,
        f"{metrics.valid:.1%} of the raw strings are molecules, {metrics.novelty or 0:.1%} new",
        f"{COUNT:,} strings drawn from the language prior of the network that came with the "
        f"package, by a beam search of width {BEAM}; nothing was repaired. Every molecule is "
        "compared with approved drugs, the training set and published alerts.\n\n"
        f"{plain_verdict(found)}",
        (picture,),
        (Table(("what", "number"), rows, "The funnel of the default filters."),),
        'emulant molecules analogues "CC(=O)Oc1ccccc1C(=O)O" --diversity 1.5 --out analogues',
    )
