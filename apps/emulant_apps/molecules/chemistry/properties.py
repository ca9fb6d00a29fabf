r"""Properties of a molecule, drug-likeness, ease of synthesis, and the rules made of them.

Units: mass g/mol, polar surface Å², logP and molar refractivity by Wildman and Crippen.

- QED: Bickerton et al., Quantifying the chemical beauty of drugs, 2012,
  https://doi.org/10.1038/nchem.1243: ``exp(Σ w_i ln d_i(x_i) / Σ w_i)`` over eight properties
- SA: Ertl and Schuffenhauer, 2009, https://doi.org/10.1186/1758-2946-1-8: 1 easy ... 10 hard
- NP: Ertl, Roggo and Schuffenhauer, 2008, https://doi.org/10.1021/ci700286x: -5 ... 5
- Lipinski 1997; Veber 2002, https://doi.org/10.1021/jm020017n; Ghose 1999,
  https://doi.org/10.1021/cc9800071; lead-like: Teague 1999; rule of three: Congreve 2003
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from rdkit import Chem, RDConfig
from rdkit.Chem import QED, rdMolDescriptors

from emulant_apps.molecules.chemistry.screen import Look, Screen

__all__ = ["RULES", "Properties", "naturalness", "properties_of", "qed", "synthesis"]


@dataclass(frozen=True, slots=True)
class Properties:
    """The numbers of one molecule."""

    mass: float
    """Average molecular weight, g/mol."""
    logp: float
    """Octanol-water partition coefficient, decimal logarithm."""
    refractivity: float
    """Molar refractivity, cm³/mol."""
    tpsa: float
    """Topological polar surface area, Å²."""
    donors: int
    """Hydrogen-bond donors."""
    acceptors: int
    """Hydrogen-bond acceptors, RDKit's count."""
    rotatable: int
    """Rotatable bonds, amides not counted."""
    heavy: int
    """Heavy atoms."""
    atoms: int
    """Atoms, hydrogens included."""
    rings: int
    largest_ring: int
    """Atoms of the largest ring of the smallest set of rings; 0 without one."""
    fsp3: float
    """Share of the carbons that are sp³."""
    stereocentres: int
    """Assigned and unassigned tetrahedral centres."""
    qed: float
    """Drug-likeness, 0 to 1."""
    sa: float
    """Ease of synthesis, 1 easy to 10 hard."""
    np: float | None = None
    """Likeness to natural products; None where it was not asked for."""


RULES: Mapping[str, Callable[[Properties], bool]] = MappingProxyType(
    {
        "lipinski": lambda p: (
            (p.mass > 500) + (p.logp > 5) + (p.donors > 5) + (p.acceptors > 10) <= 1
        ),
        "veber": lambda p: p.rotatable <= 10 and p.tpsa <= 140,
        "ghose": lambda p: (
            160 <= p.mass <= 480
            and -0.4 <= p.logp <= 5.6
            and 40 <= p.refractivity <= 130
            and 20 <= p.atoms <= 70
        ),
        "lead-like": lambda p: 200 <= p.mass <= 350 and p.logp <= 3.5 and p.rotatable <= 7,
        "rule-of-three": lambda p: (
            p.mass <= 300 and p.logp <= 3 and max(p.donors, p.acceptors, p.rotatable) <= 3
        ),
    }
)
"""Rules by name: whether a molecule keeps them (Lipinski's forgives one)."""


def properties_of(
    molecule: Chem.Mol, natural: bool = False, seen: Look | None = None
) -> Properties:
    """Return the properties of a molecule.

    ``natural``: with its likeness to natural products; ``seen`` spares looking at it again.

    >>> from rdkit.Chem import MolFromSmiles
    >>> p = properties_of(MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O"))
    >>> round(p.mass, 2), p.donors, p.rings, round(p.qed, 3)
    (180.16, 1, 1, 0.55)
    """
    logp, refractivity = rdMolDescriptors.CalcCrippenDescriptors(molecule)
    mass = rdMolDescriptors._CalcMolWt(molecule)
    tpsa = rdMolDescriptors.CalcTPSA(molecule)
    donors = rdMolDescriptors.CalcNumHBD(molecule)
    info = molecule.GetRingInfo()
    strict = rdMolDescriptors.CalcNumRotatableBonds(
        molecule, rdMolDescriptors.NumRotatableBondsOptions.Strict
    )
    return Properties(
        mass=mass,
        logp=logp,
        refractivity=refractivity,
        tpsa=tpsa,
        donors=donors,
        acceptors=rdMolDescriptors.CalcNumHBA(molecule),
        rotatable=strict,
        heavy=molecule.GetNumHeavyAtoms(),
        atoms=molecule.GetNumAtoms(onlyExplicit=False),
        rings=info.NumRings(),
        largest_ring=max(map(len, info.AtomRings()), default=0),
        fsp3=rdMolDescriptors.CalcFractionCSP3(molecule),
        stereocentres=rdMolDescriptors.CalcNumAtomStereoCenters(molecule),
        qed=_qed(molecule, seen, mass, logp, tpsa, donors, strict),
        sa=synthesis(molecule),
        np=naturalness(molecule) if natural else None,
    )


def qed(molecule: Chem.Mol) -> float:
    """Return the drug-likeness of a molecule, RDKit's value several times sooner."""
    return _qed(
        molecule,
        None,
        rdMolDescriptors._CalcMolWt(molecule),
        rdMolDescriptors.CalcCrippenDescriptors(molecule)[0],
        rdMolDescriptors.CalcTPSA(molecule),
        rdMolDescriptors.CalcNumHBD(molecule),
        rdMolDescriptors.CalcNumRotatableBonds(
            molecule, rdMolDescriptors.NumRotatableBondsOptions.Strict
        ),
    )


def _qed(
    molecule: Chem.Mol,
    seen: Look | None,
    mass: float,
    logp: float,
    tpsa: float,
    donors: int,
    rotatable: int,
) -> float:
    look = Look.at(molecule) if seen is None else seen
    acceptors, alerts = _acceptors_and_alerts(molecule, look)
    aromatic = _aromatic(molecule)
    known: Any = QED.QEDproperties  # a named tuple, which RDKit leaves untyped
    desirable: Any = QED.qed
    numbers = known(mass, logp, acceptors, donors, tpsa, rotatable, aromatic, alerts)
    score: float = desirable(molecule, qedProperties=numbers)
    return score


@functools.cache
def _screen() -> Screen:
    return Screen([*QED.Acceptors, *QED.StructuralAlerts])


def _acceptors_and_alerts(molecule: Chem.Mol, seen: Look) -> tuple[int, int]:
    """Return how many acceptors there are, by QED's count, and how many of its alerts match."""
    acceptors, alerts, first = 0, 0, len(QED.Acceptors)
    for k in _screen().candidates(seen).tolist():
        if k < first:
            acceptors += len(molecule.GetSubstructMatches(QED.Acceptors[k]))
        else:
            alerts += molecule.HasSubstructMatch(QED.StructuralAlerts[k - first])
    return acceptors, alerts


def _aromatic(molecule: Chem.Mol) -> int:
    """Return the independent rings left without the atoms of aliphatic rings.

    The smallest set of rings of what is left has as many as there are bonds that close a path.
    """
    info = molecule.GetRingInfo()
    if not info.NumRings():
        return 0
    gone = {atoms[0] for atoms in molecule.GetSubstructMatches(QED.AliphaticRings)}
    if not gone:
        parts = len(Chem.GetMolFrags(molecule))
        return molecule.GetNumBonds() - molecule.GetNumAtoms() + parts
    rings = info.AtomRings()
    around = [(ring[k - 1], ring[k]) for ring in rings for k in range(len(ring))]
    bonds = {(min(pair), max(pair)) for pair in around if not gone & {*pair}}
    root = list(range(molecule.GetNumAtoms()))

    def find(atom: int) -> int:
        while root[atom] != atom:
            atom = root[atom]
        return atom

    closures = 0
    for bond in bonds:
        first, second = map(find, bond)
        closures += first == second
        root[first] = second
    return closures


def synthesis(molecule: Chem.Mol) -> float:
    """Return Ertl and Schuffenhauer's score, 1 easy to 10 hard to make.

    RDKit's own function, with its table of fragments, but for a slow count of stereocentres.
    """
    scorer = _contributed("SA_Score/sascorer.py")
    if scorer._fscores is None:
        scorer.readFragmentScores()
    known = scorer.mfpgen.GetSparseCountFingerprint(molecule).GetNonzeroElements()
    common = sum(scorer._fscores.get(k, -4) * n for k, n in known.items()) / sum(known.values())
    atoms = molecule.GetNumAtoms()
    large = any(len(ring) > 8 for ring in molecule.GetRingInfo().AtomRings())
    complexity = (
        atoms**1.005
        - atoms
        + math.log10(rdMolDescriptors.CalcNumAtomStereoCenters(molecule) + 1)
        + math.log10(rdMolDescriptors.CalcNumSpiroAtoms(molecule) + 1)
        + math.log10(rdMolDescriptors.CalcNumBridgeheadAtoms(molecule) + 1)
        + (math.log10(2) if large else 0.0)
    )
    symmetry = 0.5 * math.log(atoms / len(known)) if atoms > len(known) else 0.0
    score = 11.0 - (common - complexity + symmetry + 5.0) / 6.5 * 9.0
    score = 8.0 + math.log(score - 8.0) if score > 8.0 else score
    return min(10.0, max(1.0, score))


def naturalness(molecule: Chem.Mol) -> float:
    """Return the likeness to natural products, -5 to 5."""
    room = _contributed("NP_Score/npscorer.py")
    score: float = room.scoreMol(molecule, _natural_model())
    return score


@functools.cache
def _natural_model() -> Any:
    import contextlib
    import io

    with contextlib.redirect_stderr(io.StringIO()):  # it announces itself
        return _contributed("NP_Score/npscorer.py").readNPModel()


@functools.cache
def _contributed(name: str) -> ModuleType:
    """Return a module of RDKit's Contrib folder, which is no package."""
    file = Path(RDConfig.RDContribDir) / name
    spec = importlib.util.spec_from_file_location(f"rdkit_contrib_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
