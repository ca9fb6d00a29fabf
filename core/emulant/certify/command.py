"""The command ``emulant certify SAMPLES TRUTH``: any generator's files, judged."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from emulant.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulant.certify.case import Case
    from emulant.certify.statistic import Statistic

__all__ = ["CertifyConfig", "run"]

NAMED_BY = "the default of emulant certify"

ANOTHER_UNIT = 50.0
"""Samples so many times larger or smaller than truth are asked for their unit."""


@dataclass(frozen=True, kw_only=True)
class CertifyConfig:
    """Judge samples against truth: bias, worth, likeness, memorisation; one page and a verdict."""

    samples: Positional[Path]
    """Samples of any generator: .npy, .npz, .h5, .csv or .parquet; the first axis is the sample."""
    truth: Positional[Path]
    """True samples of the same kind, held out of training."""
    out: Path
    """Directory to write: certificate.json and index.html; new or empty."""
    training: Path | None = None
    """What the generator was trained on; copies of it are then looked for."""
    statistics: str | None = None
    """Those of an application, such as ising; or your own, file.py:name or module:name: a
    Statistic, a sequence of them, a function of no argument that returns them, or a function from
    samples to a vector. Default: means, variances, shares, correlations or power spectra, by the
    samples' shape."""
    tolerance: float = 0.1
    """Of the default statistics: means in scatters of one true sample, variances and powers as
    a fraction, shares at a quarter of it, correlations at half of it."""
    array: str | None = None
    """Name of the array of samples in files that hold several."""
    groups: str | None = None
    """Name of the array or column that says which samples belong to one independent unit (box,
    chain, patient). Default: the array 'groups' if there is one, else each sample is its own."""
    by: str | None = None
    """Name of the array or column that says under which condition (temperature, cosmology, class)
    each sample was made: every condition is a case of its own. An array with one entry, all
    different, for each step of the samples' first axis makes that the axis of conditions."""
    correct: bool = False
    """Also fit density-ratio weights on half of truth, and show on the other half what they
    correct."""
    resample: Path | None = None
    """File to write the samples to that survive rejection by their weights, those of --correct or
    else the samples' own log_weight: .npz, .h5 or .npy, and .csv or .parquet for tables."""
    quick: bool = False
    """Only the statistics: no distances, coverage or memorisation."""
    alpha: float = 0.05
    """Bound on the chance of any false fault."""
    level: float = 0.95
    """Of the intervals."""
    seed: int = 0
    """Seed of the bootstrap, the permutations and the folds."""
    workers: int | None = None
    """Threads; the certificate does not depend on it. Default: one a core."""

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 10:
            raise InputError(f"--tolerance: must be between 0 and 10, got {self.tolerance:g}")
        if not 0 < self.alpha < 1:
            raise InputError(f"--alpha: must be between 0 and 1, got {self.alpha:g}")
        if not 0.5 < self.level < 1:
            raise InputError(f"--level: must be between 0.5 and 1, got {self.level:g}")
        if self.seed < 0:
            raise InputError(f"--seed: must be at least 0, got {self.seed}")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"--workers: must be at least 1, got {self.workers}")
        if self.by is not None and self.by == self.groups:
            raise InputError(f"--by and --groups: both name '{self.by}'")
        endings = {".npz", ".h5", ".hdf5", ".npy", ".csv", ".parquet"}
        if self.resample is not None and self.resample.suffix.lower() not in endings:
            raise InputError(
                f"--resample {self.resample}: unknown extension; use .npz, .h5, .npy, .csv or "
                ".parquet"
            )


def run(config: CertifyConfig) -> int:
    """Run ``emulant certify`` and return its exit status."""
    from emulant.certify import STANDARD, certify
    from emulant.certify.cases import cases_of
    from emulant.certify.inputs import as_numbers, read_samples
    from emulant.certify.named import named_statistics
    from emulant.certify.pictures import pictures_of
    from emulant.certify.summaries import statistics_of
    from emulant.certify.survivors import require_weights, write_survivors
    from emulant.store import current, hash_file, new_directory, new_file, plain

    paths = [config.samples, config.truth] + ([config.training] if config.training else [])
    files = [
        read_samples(
            p, config.array, _beside(config, config.groups, p), _beside(config, config.by, p)
        )
        for p in paths
    ]
    arrays, names = as_numbers(files, texts=config.statistics is not None)
    for path, array in zip(paths, arrays, strict=True):
        _require_finite(path, array)
    _require_different(config, arrays)
    statistics = (
        statistics_of(arrays[1], config.tolerance, NAMED_BY, names)
        if config.statistics is None
        else named_statistics(config.statistics, arrays[1], names)
    )
    cases = cases_of(files, arrays, config.by)
    origin = current("certify", config, config.seed, data=hash_file(config.samples))
    others = {
        name: hash_file(path)
        for name, path in (("truth", config.truth), ("training", config.training))
        if path is not None
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(_naming_files(config))
        if config.resample is not None:
            new_file(config.resample)
        directory = new_directory(config.out)
        stack.callback(_remove_if_empty, directory)
        notes = _scales(config, arrays, names)
        if config.correct:
            cases = [_correct(config, case, statistics) for case in cases]
            notes.append("The density ratio was fitted on a random half of truth, not used here.")
        if config.resample is not None:
            require_weights(config.resample, files[0], cases)
        certificate = certify(
            cases, statistics, config.seed, alpha=config.alpha, level=config.level,
            workers=config.workers, comparisons=() if config.quick else STANDARD,
            title=f"{config.samples.name} against {config.truth.name}",
            notes=notes, provenance=plain(origin) | others,
        )  # fmt: skip
        certificate.write(directory, pictures_of(cases, names))
        if config.resample is not None:
            write_survivors(config.resample, files[0], cases, config.by, config.seed, origin)
    sys.stdout.write(certificate.table())
    sys.stdout.writelines(f"{note}\n" for note in notes)
    sys.stdout.write(f"page: {directory / 'index.html'}\n")
    if config.resample is not None:
        sys.stdout.write(f"samples that survive rejection: {config.resample}\n")
    return certificate.status


@contextlib.contextmanager
def _naming_files(config: CertifyConfig) -> Iterator[None]:
    """Name the files in whatever is refused about their samples."""
    try:
        yield
    except InputError as error:
        if str(error).startswith("case "):
            files = f"{config.samples} against {config.truth}"
            raise InputError(f"{files}: {error}") from error
        raise


def _remove_if_empty(directory: Path) -> None:
    """Leave no empty directory behind a refusal."""
    if not any(directory.iterdir()):
        directory.rmdir()


def _beside(config: CertifyConfig, name: str | None, path: Path) -> str | None:
    """Return --groups or --by for a file; a training set may lack it, but for a table's columns."""
    from emulant.certify.inputs import has
    from emulant.certify.tables import TABLES

    if path != config.training or path.suffix.lower() in TABLES or name is None:
        return name
    return name if has(path, name) else None


def _scales(config: CertifyConfig, arrays: list[NDArray[Any]], names: tuple[str, ...]) -> list[str]:
    """Return a note on every column, or the array, whose size speaks of another unit."""
    import numpy as np

    if arrays[0].dtype.kind == "U":
        return []
    sides = [a.reshape(len(a), -1) for a in arrays[:2]]
    if not names:
        sides = [a.reshape(-1, 1) for a in sides]
    typical = [np.abs(a).mean(axis=0, dtype=np.float64) for a in sides]
    notes = []
    for k, (own, true) in enumerate(zip(*typical, strict=True)):
        if min(own, true) > 0 and max(own / true, true / own) >= ANOTHER_UNIT:
            what = f"'{names[k]}'" if names else "The values"
            notes.append(
                f"{what} of {config.samples.name}: typically {own:.3g}, of {config.truth.name} "
                f"{true:.3g}. Are both in the same unit?"
            )
    return notes


def _require_finite(path: Path, array: NDArray[Any]) -> None:
    import numpy as np

    flat = array.reshape(len(array), -1)
    if array.dtype.kind == "f" and not np.isfinite(flat).all():
        bad = ~np.isfinite(flat).all(axis=1)
        raise InputError(
            f"{path}: NaN, infinity or an empty cell in {int(bad.sum())} of {len(bad)} samples, "
            f"first in sample {int(np.argmax(bad))}"
        )


def _require_different(config: CertifyConfig, arrays: list[NDArray[Any]]) -> None:
    """Refuse samples that are the truth or the training set itself."""
    import numpy as np

    if np.array_equal(arrays[0], arrays[1]):
        raise InputError(f"{config.samples} and {config.truth} hold the same samples")


def _correct(config: CertifyConfig, case: Case, statistics: tuple[Statistic, ...]) -> Case:
    """Return the case with density-ratio weights in place of any that it had."""
    from emulant.certify.correction import corrected
    from emulant.certify.whole import space_of
    from emulant.rng import numpy_rng

    assert case.truth is not None
    features = (space_of(case, case.samples, statistics), space_of(case, case.truth, statistics))
    return corrected(case, features, numpy_rng(config.seed, "correct"))
