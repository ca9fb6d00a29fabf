"""Certify strings of any generator: molecules like the true ones, and new.

Checks of every string that was drawn, valid or not: is it a molecule, different from those before,
not in the training set. Statistics of the valid ones against held-out true molecules: properties
and their scatter, with Murcko scaffolds as the independent units. With a model, its codes are
checked as well (:mod:`~.codes`). Beside the certificate stand MOSES's metrics.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from emulant.certify import Case, Certificate, Check, FunctionOfMeans, Statistic, Tolerance, certify
from emulant.errors import InputError
from emulant.progress import Progress
from emulant.store import current, hash_parts, new_directory, plain, write_json
from emulant_apps.molecules import corpus
from emulant_apps.molecules.chemistry.features import NUMBERS
from emulant_apps.molecules.codes import CodeReport, checks_of, report_codes
from emulant_apps.molecules.config import ValidateConfig
from emulant_apps.molecules.data import read_smiles, read_strings
from emulant_apps.molecules.metrics import Described, Metrics, describe, measure

__all__ = ["certificate", "metrics_table", "run"]

ALPHA = 0.025
"""Bound on any false *fail* among the properties, and again among the checks."""
BY = "this application: what a user would notice"
HELD_OUT = 500
"""Held-out molecules whose codes are judged."""
LEAST = 50
"""Valid molecules below which nothing is judged."""


def run(config: ValidateConfig) -> int:
    """Run ``emulant molecules validate``."""
    strings = read_strings(config.strings)
    truth = corpus.test_set() if config.truth is None else read_smiles(config.truth, workers=1)
    known = (
        corpus.training_set()
        if config.training is None
        else read_smiles(config.training, workers=config.workers)
    )
    directory = new_directory(config.out)
    with Progress("features", 2) as progress:
        drawn = describe(strings, config.workers)
        progress.advance()
        true = describe(truth[: max(2000, 3 * len(strings))], config.workers)
        progress.advance()
    training = frozenset(known)
    found = certificate(drawn, true, training, config.seed)
    codes = None
    if config.model is not None or config.pretrained:
        from emulant_apps.molecules.sample import Emulator

        emulator = Emulator.pretrained() if config.model is None else Emulator.load(config.model)
        codes = report_codes(emulator, truth[:HELD_OUT], config.seed)
        found = found.with_checks(*checks_of(codes))
    made = current("molecules validate", config, config.seed, data=hash_parts(config.strings))
    found = replace(found, provenance=plain(made))
    measured = measure(drawn, true, training, config.fcd)
    found.write(directory)
    record = {"metrics": measured, "codes": codes, "truth": len(true.features), "provenance": made}
    write_json(directory / "metrics.json", record)
    sys.stdout.write(metrics_table(measured, codes))
    sys.stdout.write(found.table())
    return found.status


def certificate(
    drawn: Described, truth: Described, training: frozenset[str], seed: int
) -> Certificate:
    """Return the certificate of strings against held-out molecules.

    Raises
    ------
    InputError
        There are too few molecules among the strings to judge.
    """
    if len(drawn.features) < LEAST:
        raise InputError(
            f"only {len(drawn.features)} of {len(drawn.strings)} strings are molecules; "
            f"at least {LEAST} are needed to judge them"
        )
    overlap = {f.smiles for f in truth.features} & training
    if len(overlap) > 0.05 * len(truth.features):
        raise InputError(
            f"{len(overlap):,} of the true molecules are in the training set; "
            "give molecules that were held out of it"
        )
    pair = Case(
        "molecules",
        drawn.numbers,
        truth.numbers,
        groups=_units(drawn),
        truth_groups=_units(truth),
    )
    return certify(
        [pair],
        _statistics(),
        seed,
        alpha=ALPHA,
        checks=_asked(drawn, truth, training),
        title="Molecules drawn as SMILES",
        notes=(
            f"{len(drawn.strings):,} strings, {len(drawn.features):,} molecules; truth: "
            f"{len(truth.features):,} held-out molecules. Units: Murcko scaffolds.",
        ),
    )


def _asked(drawn: Described, truth: Described, training: frozenset[str]) -> list[Check]:
    """Return the checks of shares; those of strings come before those of molecules."""
    smiles = [f.smiles for f in drawn.features]
    new = np.array([text not in training for text in smiles])
    different = np.zeros(len(smiles), dtype=np.bool_)
    different[np.unique(np.array(smiles), return_index=True)[1]] = True
    clean = np.array([f.clean for f in drawn.features])
    expected = float(np.mean([f.clean for f in truth.features]))
    rows = (
        ("molecules among the strings", drawn.valid, 1.0, 0.05, "RDKit reads them"),
        ("different among the molecules", different, 1.0, 0.02, "none before is the same"),
        ("new among the molecules", new, 1.0, 0.30, "not in the training set"),
        ("pass MOSES's filters", clean, expected, 0.03, "expected: as of the true molecules"),
    )
    return [
        Check.judged(
            name,
            value=float(flags.mean()),
            expected=target,
            error=_share_error(flags),
            tolerance=allowed,
            family=len(rows),
            alpha=ALPHA,
            note=f"{words}; tolerance by {BY}",
        )
        for name, flags, target, allowed, words in rows
    ]


def _share_error(flags: NDArray[np.bool_]) -> float:
    """Return the standard error of a share, with Agresti and Coull's four added counts."""
    n = len(flags) + 4
    p = (flags.sum() + 2) / n
    return float(np.sqrt(p * (1 - p) / n))


def _statistics() -> list[Statistic]:
    count = len(NUMBERS)
    return [
        Statistic(
            "mean of a property",
            lambda x: x[:, :count],
            labels=NUMBERS,
            tolerance=Tolerance(0.1, "scatter", by=BY),
            description="in units of the scatter of one true molecule",
        ),
        Statistic(
            "scatter of a property",
            lambda x: np.concatenate([x[:, :count], x[:, :count] ** 2], axis=1),
            FunctionOfMeans(_scatter),
            labels=NUMBERS,
            tolerance=Tolerance(0.1, "relative", by=BY),
            description="standard deviation",
        ),
    ]


def _scatter(means: NDArray[np.float64]) -> NDArray[np.float64]:
    count = means.shape[-1] // 2
    variance = means[..., count:] - means[..., :count] ** 2
    root: NDArray[np.float64] = np.sqrt(np.maximum(variance, 0.0))
    return root


def _units(described: Described) -> NDArray[np.int64] | None:
    """Return the unit of each molecule: its scaffold; where it has no ring, itself.

    Molecules of one scaffold alone have no error bars by it; then each is a unit, and *different*
    says the rest.
    """
    numbers: dict[str, int] = {}
    units = []
    for k, feature in enumerate(described.features):
        key = feature.unit or f"alone {k}"
        units.append(numbers.setdefault(key, len(numbers)))
    return np.array(units, dtype=np.int64) if len(numbers) > 1 else None


def metrics_table(found: Metrics, codes: CodeReport | None = None) -> str:
    """Return MOSES's row as lines of text, with n beside every number that needs it."""
    rows: list[tuple[str, float | None, str]] = [
        ("valid", found.valid, f"of {found.n:,} strings"),
        ("unique@1k", found.unique_1k, ""),
        ("unique@10k", found.unique_10k, ""),
        ("novelty", found.novelty, "against the training set given"),
        ("FCD/Test", found.fcd, f"n = {found.fcd_n:,}" if found.fcd_n else "needs 10,000 a side"),
        ("SNN/Test", found.snn, ""),
        ("Frag/Test", found.frag, ""),
        ("Scaf/Test", found.scaf, ""),
        ("IntDiv", found.int_div, ""),
        ("IntDiv2", found.int_div_2, ""),
        ("Filters", found.filters, ""),
    ]
    rows += [(f"W({k})", v, "") for k, v in (found.wasserstein or {}).items()]
    if codes is not None:
        rows += [
            ("KL, nats", codes.kl, f"{codes.n:,} held-out molecules"),
            ("active units", codes.active, "share of the latent"),
            ("reconstruction", codes.exact, "exact, greedy, from the mean code"),
            ("same latent, Tc", codes.same, "two decodings at temperature one"),
            ("two latents, Tc", codes.other, ""),
        ]
    lines = [
        f"{name:<16} {'-' if value is None else f'{value:.4f}':>9}  {note}".rstrip()
        for name, value, note in rows
    ]
    return "\n".join(lines) + "\n\n"
