"""The exact answers, gathered: what a sample of the Ising model can be held against.

==========================  =======================================================
:func:`kaufman`             ln Z, f, u, c of the L x L lattice, any even L
:func:`density_of_states`   the number of states of each energy, exact integers, L <= 64
:func:`energy_histogram`    hence P(E) at any temperature
:func:`magnetisation_law`   P(M), hence ⟨|m|⟩, ⟨m²⟩, ⟨m⁴⟩ and U4, L <= 12
:func:`enumerate_states`    every state and its probability, with a field too, L <= 4
:func:`infinite_lattice`    Onsager's u and c, Yang's |m|
==========================  =======================================================
"""

from emulant_apps.ising.density_of_states import (
    EnergyHistogram,
    density_of_states,
    energy_histogram,
)
from emulant_apps.ising.enumeration import Enumeration, all_states, enumerate_states, state_index
from emulant_apps.ising.hamiltonian import T_C
from emulant_apps.ising.kaufman import (
    InfiniteLattice,
    Thermodynamics,
    infinite_lattice,
    kaufman,
)
from emulant_apps.ising.magnetisation_law import MagnetisationLaw, magnetisation_law

__all__ = [
    "T_C",
    "EnergyHistogram",
    "Enumeration",
    "InfiniteLattice",
    "MagnetisationLaw",
    "Thermodynamics",
    "all_states",
    "density_of_states",
    "energy_histogram",
    "enumerate_states",
    "infinite_lattice",
    "kaufman",
    "magnetisation_law",
    "state_index",
]
