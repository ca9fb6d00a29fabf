"""Every room once, at a size of seconds: the conformance tests walk here."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from emulant.store import write_text
from emulant_apps.molecules.config import (
    AnaloguesConfig,
    FilterConfig,
    FinetuneConfig,
    RetrieveConfig,
    SampleConfig,
    TrainConfig,
    ValidateConfig,
)
from emulant_apps.molecules.corpus import test_set, training_set
from emulant_apps.molecules.filter import run as judge
from emulant_apps.molecules.finetune import run as finetune
from emulant_apps.molecules.generate import run_analogues, run_sample
from emulant_apps.molecules.retrieve import run as retrieve
from emulant_apps.molecules.train import run as train
from emulant_apps.molecules.validate import run as validate

__all__ = ["walk"]


def walk(directory: Path, seed: int) -> None:
    """Train two steps, sample, draw analogues, filter, validate; leave the files."""
    own, strings, truth = (directory / f"{name}.smi" for name in ("own", "strings", "truth"))
    write_text(own, "\n".join(training_set()[::2000]) + "\n")
    write_text(strings, "\n".join([*test_set()[:120], "C1CC"]) + "\n")
    write_text(truth, "\n".join(test_set()[200:500]) + "\n")
    weights = directory / "weights"
    with tempfile.TemporaryDirectory() as scratch:  # the log and the checkpoint hold times
        run = Path(scratch) / "run"
        train(TrainConfig(out=run, data=own, steps=2, rare=1, seed=seed, device="cpu"))
        weights.mkdir()
        shutil.copy(run / "weights.safetensors", weights)
        said = Path(scratch) / "rnn"
        train(
            TrainConfig(
                out=said, data=own, preset="char-rnn-quick", steps=2, rare=1, seed=seed,
                device="cpu",
            )
        )  # fmt: skip
        run_sample(
            SampleConfig(out=directory / "said.csv", count=30, raw=True, model=said, seed=seed)
        )
        keys = Path(scratch) / "keys"
        train(TrainConfig(out=keys, data=own, preset="fingerprints", steps=2, seed=seed))
        retrieve(
            RetrieveConfig(
                out=directory / "retrieved.csv", library=own, count=20, model=keys, seed=seed
            )
        )
    run_sample(
        SampleConfig(out=directory / "raw.csv", count=60, raw=True, model=weights, seed=seed)
    )
    aspirin = "CC(=O)Oc1ccccc1C(=O)O"
    run_analogues(
        AnaloguesConfig(
            prototypes=aspirin, out=directory / "near", count=40, model=weights, seed=seed
        )
    )
    finetune(
        FinetuneConfig(
            data=own, out=directory / "tuned", model=weights, steps=2, seed=seed, device="cpu"
        )
    )
    judge(FilterConfig(molecules=str(strings), out=directory / "judged"))
    validate(ValidateConfig(strings=strings, truth=truth, out=directory / "report", seed=seed))
