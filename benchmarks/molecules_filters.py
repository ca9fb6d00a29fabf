"""Molecules a second on one core through the chain of checks, screened and naive.

    python benchmarks/molecules_filters.py [--count 2000] [--docs docs/molecules.md]

Times are of the processor, not of the clock; molecules are the first of MOSES's test set. *naive*
is RDKit's own FilterCatalog, QED and so on, one call after the other, as one would write it.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rdkit import Chem
from rdkit.Chem import QED, Crippen, Descriptors, FilterCatalog
from rdkit.Chem.Scaffolds import MurckoScaffold

from emulant_apps.molecules import corpus
from emulant_apps.molecules.assess import DEFAULT_SETS, Chain, assess
from emulant_apps.molecules.chemistry.properties import synthesis
from molecules_page import write_block


def rate(work: Callable[[Sequence[str]], object], strings: Sequence[str]) -> float:
    """Return strings a second of processor time."""
    work(strings[:20])  # what is built once is not timed
    started = time.process_time()
    work(strings[20:])
    return (len(strings) - 20) / (time.process_time() - started)


def naive(sets: Sequence[str]) -> Callable[[Sequence[str]], object]:
    """Return the same answers asked of RDKit directly, for sets of its own catalogue."""
    parameters = FilterCatalog.FilterCatalogParams()
    for name in sets:
        parameters.AddCatalog(getattr(parameters.FilterCatalogs, name.upper()))
    catalogue = FilterCatalog.FilterCatalog(parameters)
    moses = [Chem.MolFromSmarts(smarts) for _, smarts in corpus.filters_of_moses()]

    def judge(strings: Sequence[str]) -> None:
        for text in strings:
            molecule = Chem.MolFromSmiles(text)
            Chem.MolToSmiles(molecule)
            list(catalogue.GetMatches(molecule))
            full = Chem.AddHs(molecule)
            [full.HasSubstructMatch(query) for query in moses]
            QED.qed(molecule)
            synthesis(molecule)
            for number in (Crippen.MolLogP, Descriptors.MolWt, Descriptors.TPSA):
                number(molecule)
            Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(molecule))

    return judge


def table(count: int) -> list[str]:
    """Return the rows of the table."""
    strings = corpus.test_set()[:count]
    catalogued = [name for name in DEFAULT_SETS if name != "mcf"]
    rows = [
        ("default chain (PAINS, MCF, BRENK; properties, rules, rings, nearest drug)", Chain()),
        ("default chain and NIH, NIBR", Chain(sets=(*DEFAULT_SETS, "nih", "nibr"))),
        (
            "default chain and NIH, NIBR, ChEMBL",
            Chain(sets=(*DEFAULT_SETS, "nih", "nibr", "chembl")),
        ),
        ("properties, rules, rings, nearest drug; no alerts", Chain(sets=())),
    ]
    lines = ["| what | molecules/s/core |", "|---|---|"]
    for name, chain in rows:
        lines.append(f"| {name} | {rate(lambda s, c=chain: assess(s, c), strings):,.0f} |")
    direct = rate(naive(catalogued), strings)
    lines.append(
        "| naive: RDKit's catalogue of PAINS and BRENK, MCF, properties; no rules, rings, "
        f"neighbours | {direct:,.0f} |"
    )
    return lines


def main() -> None:
    """Print the table, and write it into a page where one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--docs", type=Path)
    asked = parser.parse_args()
    command = f"`python benchmarks/molecules_filters.py --count {asked.count}`"
    text = "\n".join([command, "", *table(asked.count)])
    write_block(asked.docs, "filters", text)


if __name__ == "__main__":
    main()
