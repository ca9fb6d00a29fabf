"""A coverage-guided fuzzer over every reader of files: one clear error, or an answer.

    pip install -e ".[bench]"
    python benchmarks/reliability_fuzz.py --inputs 1000000 --docs docs/reliability.md

Each reader gets small good files and what the fuzzer (atheris, libFuzzer's engine for Python)
makes of them. It may return, or raise the suite's own InputError; anything else, more than
--seconds on one input, or more than --memory, is a finding and is kept in --out.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from emulant.errors import InputError
from emulant.store import save_arrays, save_tensors
from emulant.tables import markdown
from pages import insert


@dataclass(frozen=True, kw_only=True)
class Config:
    """How much to try, and where the table goes."""

    inputs: int = 1_000_000
    """Inputs over all readers."""
    seconds: int = 10
    """That one input may take."""
    memory: int = 4096
    """MiB that a reader may use."""
    readers: tuple[str, ...] = ()
    """Names of the readers; all by default."""
    out: Path = Path("runs/fuzz")
    """Directory that keeps the corpus and the findings."""
    docs: Path | None = None
    """Markdown file with a place for the table."""
    child: bool = False
    """Set by the program itself: fuzz one reader and end with the process."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A function of a path, and good files to start from."""

    name: str
    function: str
    """``"module:function"``, called with the path."""
    suffix: str
    seeds: Callable[[Path], list[bytes]]
    """Given an empty directory, returns contents of good files."""


def _written(directory: Path, suffix: str) -> list[bytes]:
    path = directory / f"good{suffix}"
    arrays = {"x": np.arange(6.0).reshape(2, 3)}
    if suffix != ".npy":
        arrays["temperatures"] = np.array([2.0, 3.0])
    save_arrays(path, arrays)
    return [path.read_bytes()]


def _spins(directory: Path) -> list[bytes]:
    path = directory / "good.npz"
    spins = np.ones((1, 2, 4, 4), dtype=np.int8)
    save_arrays(path, {"spins": spins, "temperatures": np.array([2.0])})
    return [path.read_bytes()]


def _tensors(directory: Path) -> list[bytes]:
    import torch

    path = directory / "good.safetensors"
    save_tensors(path, {"w": torch.zeros(2, 2)}, {"kind": "seed"})
    return [path.read_bytes()]


def _text(*texts: str) -> Callable[[Path], list[bytes]]:
    return lambda _directory: [text.encode() for text in texts]


def _parquet(_directory: Path) -> list[bytes]:
    import pandas as pd

    opened = io.BytesIO()
    pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}).to_parquet(opened)
    return [opened.getvalue()]


def _fits(_directory: Path) -> list[bytes]:
    from astropy.io import fits

    opened = io.BytesIO()
    image = fits.PrimaryHDU(np.linspace(-0.01, 0.02, 256, dtype=np.float32).reshape(16, 16))
    image.header["CDELT1"], image.header["CDELT2"] = -0.078, 0.078
    image.writeto(opened)
    return [opened.getvalue()]


def _maps(directory: Path) -> list[bytes]:
    path = directory / "good.npz"
    save_arrays(path, {"kappa": np.zeros((2, 16, 16), np.float32), "fov_deg": np.array(5.0)})
    return [path.read_bytes()]


def _sd(_directory: Path) -> list[bytes]:
    from rdkit import Chem

    molecule = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    return [
        f"{Chem.MolToMolBlock(molecule)}$$$$\n".encode(),
        Chem.MolToV3KMolBlock(molecule).encode(),
    ]


CSV = "a,b\n1.5,x\n2,y\n"
RECORDS = "age,sex,lab,death\n61,f,1.5,0\n70,m,,1\n55,f,?,0\n48,m,-9,1\n"
SERIES = "RecordID,Time,Parameter,Value\np1,00:00,HR,80\np1,01:30,HR,90\np2,00:10,HR,70\n"
SCHEMA = '[columns.lab]\nkind = "numeric"\nunit = "mmol/l"\nlow = 0.0\nmissing = [-9]\n'
FHIR = (
    '{"resourceType": "Bundle", "type": "collection", "entry": ['
    '{"resource": {"resourceType": "Patient", "id": "p1", "gender": "female", '
    '"birthDate": "1950-02-01"}}, {"resource": {"resourceType": "Observation", "status": "final", '
    '"subject": {"reference": "Patient/p1"}, "effectiveDateTime": "2018-01-01", '
    '"code": {"text": "glucose"}, "valueQuantity": {"value": 5.1, "unit": "mmol/l"}}}]}'
)
SMILES = "CC(=O)Oc1ccccc1C(=O)O aspirin\nC[C@H](N)C(=O)O\n[Na+].[Cl-]\n[2H]C\nC1CC\n"
MOLECULES, ALERTS = "emulant_apps.molecules.data", "emulant_apps.molecules.chemistry.alerts"
READERS = (
    Reader("arrays, npz", "emulant.store:load_arrays", ".npz", lambda d: _written(d, ".npz")),
    Reader("arrays, npy", "emulant.store:load_arrays", ".npy", lambda d: _written(d, ".npy")),
    Reader("arrays, h5", "emulant.store:load_arrays", ".h5", lambda d: _written(d, ".h5")),
    Reader("weights", "emulant.store:load_tensors", ".safetensors", _tensors),
    Reader("JSON", "emulant.store:read_json", ".json", _text('{"a": [1, 2.5, null, "x"]}')),
    Reader("emulant info", "emulant.store:describe", ".json", _text('{"schema": "x"}')),
    Reader("certify, csv", "emulant.certify.inputs:read_samples", ".csv", _text(CSV)),
    Reader("certify, parquet", "emulant.certify.inputs:read_samples", ".parquet", _parquet),
    Reader("ising states", "emulant_apps.ising.data:read_states", ".npz", _spins),
    Reader("lensing maps, FITS", "emulant_apps.lensing.files:read_maps", ".fits", _fits),
    Reader("lensing maps, npz", "emulant_apps.lensing.files:read_maps", ".npz", _maps),
    Reader("molecules, SMILES", f"{MOLECULES}:read_molecules", ".smi", _text(SMILES)),
    Reader("molecules, csv", f"{MOLECULES}:read_molecules", ".csv", _text("id,smiles\n1,CCO\n")),
    Reader("molecules, SD", f"{MOLECULES}:read_molecules", ".sdf", _sd),
    Reader("SMARTS", f"{ALERTS}:custom_patterns", ".txt", _text("[N+](=O)[O-] nitro\nC=O\n")),
    Reader("records, csv", "emulant_apps.records.data:read_table", ".csv", _text(RECORDS)),
    Reader("records, FHIR", "emulant_apps.records.fhir:read_fhir", ".json", _text(FHIR)),
    Reader("records, series", "emulant_apps.records.files:read_cells", ".csv", _text(SERIES)),
    Reader("records, schema", "emulant_apps.records.schema:read_schema", ".toml", _text(SCHEMA)),
)


def resolve(name: str) -> Callable[[Path], object]:
    """Return the function that ``"module:function"`` names."""
    module, attribute = name.split(":")
    function: Callable[[Path], object] = getattr(importlib.import_module(module), attribute)
    return function


def fuzz(reader: Reader, config: Config, corpus: Path, found: Path) -> None:
    """Fuzz one reader in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["emulant", "emulant_apps"]):
        function = resolve(reader.function)
    shared = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
    path = shared / f"fuzz-{os.getpid()}{reader.suffix}"

    def one(data: bytes) -> None:
        path.write_bytes(data)
        try:
            function(path)
        except InputError as error:
            if "\n" in str(error):
                raise AssertionError(f"more than one line: {error}") from error

    flags = (
        f"-runs={config.inputs}", "-max_len=8192", f"-timeout={config.seconds}",
        f"-rss_limit_mb={config.memory}", f"-artifact_prefix={found}/", "-verbosity=1",
        "-print_final_stats=1", "-seed=1", str(corpus),
    )  # fmt: skip
    atheris.Setup([sys.argv[0], *flags], one)
    atheris.Fuzz()


def sent(reader: Reader, inputs: int, config: Config) -> tuple[int, int, str]:
    """Fuzz a reader in a process of its own; return inputs tried, findings, and what it said."""
    slug = re.sub(r"\W+", "-", reader.name)
    corpus, found = config.out / slug / "corpus", config.out / slug / "findings"
    for directory in (corpus, found):
        directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for k, seed in enumerate(reader.seeds(Path(scratch))):
            (corpus / f"seed-{k}").write_bytes(seed)
    command = [
        sys.executable, __file__, "--child", "--readers", reader.name, "--inputs", str(inputs),
        "--seconds", str(config.seconds), "--memory", str(config.memory),
        "--out", str(config.out),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode("utf-8", "replace")
    tried = re.findall(r"number_of_executed_units:\s*(\d+)", said) or re.findall(r"#(\d+)", said)
    findings = len(list(found.iterdir())) + (done.returncode != 0 and not any(found.iterdir()))
    return int(tried[-1]) if tried else 0, findings, said


def main(config: Config) -> None:
    """Fuzz, print the table, and put it where it is wanted; exit 1 where anything was found."""
    chosen = [r for r in READERS if not config.readers or r.name in config.readers]
    if config.child:
        slug = re.sub(r"\W+", "-", chosen[0].name)
        fuzz(chosen[0], config, config.out / slug / "corpus", config.out / slug / "findings")
        return
    rows, bad, total = [], 0, 0
    for reader in chosen:
        inputs = -(-config.inputs // len(chosen))
        tried, findings, said = sent(reader, inputs, config)
        rows.append((reader.name, f"{tried:,}", str(findings)))
        sys.stderr.write(f"{reader.name}: {tried} inputs, {findings} findings\n")
        if findings:
            sys.stderr.write("\n".join(said.splitlines()[-40:]) + "\n")
        bad, total = bad + findings, total + tried
    rows.append(("all", f"{total:,}", str(bad)))
    head = ("reader", "inputs", "crashes, hangs, tracebacks, blow-ups")
    command = f"reliability_fuzz.py --inputs {config.inputs}"
    insert(config.docs, "fuzz", "Readers under a fuzzer", command, markdown(head, rows))
    if bad:
        raise SystemExit(1)


if __name__ == "__main__":
    main(tyro.cli(Config))
