"""Molecules a second on one core through the chain of checks, screened and naive.

    python benchmarks/molecules_filters.py [--count 2000] [--docs docs/molecules.md]

Times are of the processor, not of the clock, in rounds that take every row in turn, since other
work on the machine slows a processor too; molecules are the first of MOSES's test set. *naive* is
RDKit's own FilterCatalog, QED and so on, one call after the other, as one would write it.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rdkit import Chem
from rdkit.Chem import QED, Crippen, Descriptors, FilterCatalog
from rdkit.Chem.Scaffolds import MurckoScaffold

from emulant_apps.molecules import corpus
from emulant_apps.molecules.assess import DEFAULT_SETS, Chain, assess
from emulant_apps.molecules.chemistry.properties import synthesis
from emulant_apps.molecules.decoding import CHUNK, Mode, Prior
from emulant_apps.molecules.sample import Emulator
from pages import write_block

Work = Callable[[Sequence[str]], int]
"""What is timed: it is given strings, and returns how many molecules it dealt with."""
ROUNDS = 5
PRIORS: tuple[Prior, ...] = ("language", "flow")


def seconds(work: Work, strings: Sequence[str]) -> float:
    """Return the processor's seconds for a molecule."""
    started = time.process_time()
    count = work(strings)
    return (time.process_time() - started) / count


def naive(sets: Sequence[str]) -> Work:
    """Return the same answers asked of RDKit directly, for sets of its own catalogue."""
    parameters = FilterCatalog.FilterCatalogParams()
    for name in sets:
        parameters.AddCatalog(getattr(parameters.FilterCatalogs, name.upper()))
    catalogue = FilterCatalog.FilterCatalog(parameters)
    moses = [Chem.MolFromSmarts(smarts) for _, smarts in corpus.filters_of_moses()]

    def judge(strings: Sequence[str]) -> int:
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
        return len(strings)

    return judge


def judging(chain: Chain) -> Work:
    """Return the judging of strings by a chain."""
    return lambda strings: len(assess(strings, chain))


def generating(emulator: Emulator, mode: Mode) -> Work:
    """Return the drawing and judging of at least as many new molecules as there are strings."""
    drawn = 0

    def work(strings: Sequence[str]) -> int:
        nonlocal drawn
        kept = 0
        while kept < len(strings):
            found = assess(emulator.sample(CHUNK, 0, mode, start=drawn).strings, Chain())
            drawn += CHUNK
            kept += sum(bool(x.smiles) and not {"duplicate", "corpus"} & {*x.failed} for x in found)
        return kept

    return work


def table(count: int) -> list[str]:
    """Return the rows of the table."""
    strings = corpus.test_set()[: count + 20]
    catalogued = [name for name in DEFAULT_SETS if name != "mcf"]
    chains = {
        "default chain (PAINS, MCF, BRENK; properties, rules, rings, nearest drug)": Chain(),
        "default chain and NIH, NIBR": Chain(sets=(*DEFAULT_SETS, "nih", "nibr")),
        "default chain and NIH, NIBR, ChEMBL": Chain(sets=(*DEFAULT_SETS, "nih", "nibr", "chembl")),
        "properties, rules, rings, nearest drug; no alerts": Chain(sets=()),
    }
    works = {name: judging(chain) for name, chain in chains.items()}
    works[
        "naive: RDKit's catalogue of PAINS and BRENK, MCF, properties; no rules, rings, neighbours"
    ] = naive(catalogued)
    for prior in PRIORS:
        works[
            f"drawn greedily from the {prior} prior of the shipped weights and judged by the "
            "default chain: molecules that are valid, different, new"
        ] = generating(Emulator.pretrained(), Mode(prior=prior))
    for work in works.values():
        work(strings[:20])  # what is built once is not timed
    size = count // ROUNDS
    rounds = [strings[20 + k * size : 20 + (k + 1) * size] for k in range(ROUNDS)]
    times = [{name: seconds(work, part) for name, work in works.items()} for part in rounds]
    lines = ["| what | molecules/s/core: median | fastest round |", "|---|---|---|"]
    for name in works:
        spent = [row[name] for row in times]
        lines.append(f"| {name} | {1 / statistics.median(spent):,.0f} | {1 / min(spent):,.0f} |")
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
