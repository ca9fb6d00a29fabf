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

from certificates_worlds import insert
from emulant.errors import InputError
from emulant.store import save_arrays, save_tensors
from emulant.tables import markdown


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


CSV = "a,b\n1.5,x\n2,y\n"
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
