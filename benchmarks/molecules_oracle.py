"""Freeze what MOSES's own package says of three sets of strings: the oracle of our metrics.

    pip download --no-deps molsets==0.3.1
    python benchmarks/molecules_oracle.py molsets-0.3.1-py3-none-any.whl
        [--out tests/apps/molecules/moses_metrics.json]

The package cannot be installed beside a current pandas and RDKit, so that it is read from its
wheel, unpacked into a temporary directory, with three stand-ins for what is gone: ``rdkit.six``,
``rdkit.six.moves`` and ``DataFrame.append``. Needs fcd_torch, as the package does. A test holds
our numbers to the file that this writes.
"""

import argparse
import json
import sys
import tempfile
import types
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
from rdkit import Chem

from emulant_apps.molecules import corpus

INVALID = ("C1CC", "c1cccc1", "CN(C)(C)(C)C", "C(C", "xyz", "CC)O", "N=N=N=N=N(C)(C)C", "[Zz]")
KEYS = {
    "valid": "valid", "unique@1000": "unique_1k", "Novelty": "novelty", "FCD/Test": "fcd",
    "SNN/Test": "snn", "Frag/Test": "frag", "Scaf/Test": "scaf", "IntDiv": "int_div",
    "IntDiv2": "int_div_2", "Filters": "filters",
    "logP": "logP", "SA": "SA", "QED": "QED", "weight": "weight",
}  # fmt: skip


def stand_in() -> None:
    """Give back what pandas and RDKit dropped since MOSES was written."""
    six, moves = types.ModuleType("rdkit.six"), types.ModuleType("rdkit.six.moves")
    six.iteritems = lambda mapping: iter(mapping.items())  # type: ignore[attr-defined]  # a stand-in
    moves.xrange = range  # type: ignore[attr-defined]  # a stand-in
    sys.modules |= {"rdkit.six": six, "rdkit.six.moves": moves}
    frame: Any = pd.DataFrame
    frame.append = lambda self, other, sort=False: pd.concat([self, other], sort=sort)


def flawed() -> list[str]:
    """Return strings with every fault: invalid, repeated, written otherwise, odd, charged."""
    drugs = [drug.smiles for drug in corpus.drugs()[::12]]
    plain = corpus.test_set()[:700]
    otherwise = [Chem.MolFromSmiles(text) for text in plain[:100]]
    odd = [Chem.MolToSmiles(m, rootedAtAtom=m.GetNumAtoms() - 1) for m in otherwise]
    rings = ["C1CCCCCCC1", "C1CCCCCCCCC1", "CCCCCC", "C", "OB(O)c1ccccc1"]
    return [*plain, *INVALID * 5, *drugs, *odd, *rings, *corpus.training_set()[:100]]


def main() -> None:
    """Write the oracle's numbers, and the sets that they are of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="of molsets 0.3.1")
    parser.add_argument("--out", type=Path, default=Path("tests/apps/molecules/moses_metrics.json"))
    asked = parser.parse_args()
    test = corpus.test_set()
    truth, training = list(test[2000:4000]), [*test[:500], *corpus.training_set()[:1000]]
    sets = {"held out": list(test[:2000]), "flawed": flawed(), "drugs alone": []}
    sets["drugs alone"] = [drug.smiles for drug in corpus.drugs() if len(drug.smiles) < 60][:1100]
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(asked.wheel) as archive:
            wanted = [n for n in archive.namelist() if "/dataset/data/" not in n]
            archive.extractall(scratch, wanted)
        stand_in()
        sys.path.insert(0, scratch)
        from moses.metrics import compute_intermediate_statistics
        from moses.metrics.metrics import get_all_metrics

        known = compute_intermediate_statistics(truth)
        few = compute_intermediate_statistics(truth[:10])
        for name, strings in sets.items():
            told = get_all_metrics(
                strings, k=[1000], n_jobs=1, test=truth, ptest=known,
                test_scaffolds=truth[:10], ptest_scaffolds=few, train=training,
            )  # fmt: skip
            found[name] = {ours: float(told[theirs]) for theirs, ours in KEYS.items()}
    record = {
        "made by": "python benchmarks/molecules_oracle.py molsets-0.3.1-py3-none-any.whl",
        "truth": "test_set()[2000:4000]",
        "training": "[*test_set()[:500], *training_set()[:1000]]",
        "strings": {"held out": "test_set()[:2000]"}
        | {name: strings for name, strings in sets.items() if name != "held out"},
        "metrics": found,
    }
    asked.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
