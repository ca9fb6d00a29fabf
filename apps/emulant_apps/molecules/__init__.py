"""Which new molecules resemble the ones I know, and what speaks against each of them?

A variational autoencoder of SMILES strings draws new molecules, from its learned prior or
around a prototype; a char-RNN grows them from scaffolds, links fragments and climbs a score; a
chain of named filters says of each what a chemist would object to; and a certificate says how far
the draws are molecules of the kind that they were learnt from.

Convention: SMILES are RDKit's canonical strings; masses in g/mol, polar surfaces in Å²,
likelihoods in nats per string.

>>> from emulant_apps import molecules
>>> molecules.tokens("CC(=O)NCCl")
('C', 'C', '(', '=', 'O', ')', 'N', 'C', 'Cl')
"""  # noqa: D400 - the first line of an application's package is its question

from __future__ import annotations

from emulant.lazy import lazy

_HOMES = {
    "Chain": "assess",
    "CharEmulator": "char_sample",
    "Emulator": "sample",
    "Mode": "sample",
    "Vocabulary": "vocabulary",
    "assess": "assess",
    "certificate": "validate",
    "corpus": "corpus",
    "describe": "metrics",
    "funnel": "assess",
    "measure": "metrics",
    "read_molecules": "data",
    "tokens": "vocabulary",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy(__name__, _HOMES)
