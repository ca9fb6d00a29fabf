"""What the metrics of MOSES ask of one molecule, computed once.

- Polykovskiy et al., Molecular Sets (MOSES), 2020, https://doi.org/10.3389/fphar.2020.565644
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from emulant_apps.molecules.chemistry.alerts import AlertSet, Pattern, published
from emulant_apps.molecules.chemistry.parse import canonical_of, parse
from emulant_apps.molecules.chemistry.properties import properties_of
from emulant_apps.molecules.chemistry.screen import Look
from emulant_apps.molecules.chemistry.similarity import bits_of, fragments, scaffold

__all__ = ["NUMBERS", "Features", "features_of"]

NUMBERS = ("logP", "SA", "QED", "weight", "TPSA", "rings", "rotatable", "Fsp3", "heavy atoms")
"""Properties of a molecule, in the order of :attr:`Features.numbers`."""
ALLOWED = frozenset({"C", "N", "S", "O", "F", "Cl", "Br", "H"})
THIO = (
    "[c&!H0]1:c2-[#16]-c3:c(-[#7;!H0,$([#7]-[C&H3]),$([#7]-[#6&!H0&!H1]-[#6&!H0])]"
    "-c:2:[c&!H0]:[c&!H0]:[c&!H0]:1):[c;!H0,$(c~[#7&!H0]-[#6&X4]),$(c~[#6]:[#6])]"
    ":[c;!H0,$(c~[#6]:[#6])]:[c;!H0,$(c-[#7&!H0&!H1]),$(c-[#8]-[#6&X4])]:[c&!H0]:3"
)
"""PAINS het_thio_666_A as MOSES has it: RDKit has corrected its own, which forgives more."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """One molecule as the metrics see it."""

    smiles: str
    numbers: tuple[float, ...]
    """See :data:`NUMBERS`; weight in g/mol, TPSA in Å²."""
    bits: NDArray[np.uint8]
    """Morgan fingerprint, 1024 bits packed into 128 bytes."""
    fragments: tuple[str, ...]
    """BRICS fragments."""
    scaffold: str | None
    """Murcko scaffold, None below two rings."""
    unit: str
    """Murcko scaffold of any size: the independent unit of error bars."""
    clean: bool
    """Whether MOSES's filters pass: MCF, PAINS, no charge, no odd atom, no ring of 8 or more."""


def features_of(smiles: Sequence[str]) -> list[Features | None]:
    """Return the features of each SMILES; None where it is no molecule."""
    return [_one(text) for text in smiles]


def _one(text: str) -> Features | None:
    molecule = parse(text)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    look = Look.at(molecule)
    known = properties_of(molecule, seen=look)
    framework = scaffold(molecule)
    large = scaffold(molecule, rings=2)
    return Features(
        canonical_of(molecule),
        (
            known.logp,
            known.sa,
            known.qed,
            known.mass,
            known.tpsa,
            float(known.rings),
            float(known.rotatable),
            known.fsp3,
            float(known.heavy),
        ),
        np.packbits(bits_of(molecule)),
        tuple(fragments(molecule)),
        large or None,
        framework or "",
        _clean(molecule, look),
    )


@functools.cache
def _filters() -> AlertSet:
    thio = Pattern("pains", "het_thio_666_A(13) of MOSES", 3, Chem.MolFromSmarts(THIO))
    return AlertSet([*published("mcf"), *published("pains"), thio])


def _clean(molecule: Chem.Mol, look: Look) -> bool:
    if any(len(ring) >= 8 for ring in molecule.GetRingInfo().AtomRings()):
        return False
    atoms = list(molecule.GetAtoms())
    if any(a.GetFormalCharge() or a.GetSymbol() not in ALLOWED for a in atoms):
        return False
    return not _filters().of(molecule, look)
