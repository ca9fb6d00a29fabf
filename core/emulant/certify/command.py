"""The command ``emulant certify SAMPLES TRUTH``: any generator's files, judged."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from emulant.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulant.certify.case import Case
    from emulant.certify.statistic import Statistic
    from emulant.store import Provenance

__all__ = ["CertifyConfig", "run"]

NAMED_BY = "the default of emulant certify"


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
    """Your own statistics, file.py:name or module:name: a Statistic, a sequence of them, a function
    of no argument that returns them, or a function from samples to a vector. Default: means,
    variances, shares, correlations or power spectra, by the samples' shape."""
    tolerance: float = 0.1
    """Of the default statistics: means in scatters of one true sample, variances and powers as
    a fraction, shares at a quarter of it, correlations at half of it."""
    array: str | None = None
    """Name of the array of samples in files that hold several."""
    groups: str | None = None
    """Name of the array or column that says which samples belong to one independent unit (box,
    chain, patient). Default: the array 'groups' if there is one, else each sample is its own."""
    correct: bool = False
    """Also fit density-ratio weights on half of truth, judge them on the other half, and write
    the samples that survive rejection to corrected.npz."""
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


def run(config: CertifyConfig) -> int:
    """Run ``emulant certify`` and return its exit status."""
    from emulant.certify import STANDARD, Case, certify
    from emulant.certify.inputs import as_numbers, read_samples
    from emulant.certify.pictures import pictures_of
    from emulant.certify.summaries import statistics_of
    from emulant.store import current, hash_file, new_directory, plain

    paths = [config.samples, config.truth] + ([config.training] if config.training else [])
    files = [read_samples(p, config.array, _groups(config, p)) for p in paths]
    arrays, names = as_numbers(files)
    for path, array in zip(paths, arrays, strict=True):
        _require_finite(path, array)
    _require_different(config, arrays)
    statistics = (
        statistics_of(arrays[1], config.tolerance, NAMED_BY, names)
        if config.statistics is None
        else named_statistics(config.statistics)
    )
    origin = current("certify", config, config.seed, data=hash_file(config.samples))
    case = Case(
        config.samples.stem, arrays[0], truth=arrays[1], groups=files[0].groups,
        truth_groups=files[1].groups, log_weight=files[0].log_weight,
        training=arrays[2] if config.training else None,
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        directory = new_directory(config.out)
        stack.callback(_remove_if_empty, directory)
        notes = ["The density ratio was fitted on a random half of truth, not used here."]
        if config.correct:
            case = _correct(config, case, statistics)
        certificate = certify(
            [case], statistics, config.seed, alpha=config.alpha, level=config.level,
            workers=config.workers, comparisons=() if config.quick else STANDARD,
            title=f"{config.samples.name} against {config.truth.name}",
            notes=notes if config.correct else (), provenance=plain(origin),
        )  # fmt: skip
        certificate.write(directory, pictures_of(arrays[0], arrays[1], names))
        if config.correct:
            _write_survivors(config, case, directory, origin)
    sys.stdout.write(certificate.table())
    sys.stdout.write(f"page: {directory / 'index.html'}\n")
    return certificate.status


def _remove_if_empty(directory: Path) -> None:
    """Leave no empty directory behind a refusal."""
    if not any(directory.iterdir()):
        directory.rmdir()


def _groups(config: CertifyConfig, path: Path) -> str | None:
    """Return --groups, which a training set needs only as the column that is no number."""
    from emulant.certify.inputs import TABLES

    return config.groups if path != config.training or path.suffix.lower() in TABLES else None


def named_statistics(name: str) -> tuple[Statistic, ...]:
    """Return the statistics that ``file.py:name`` or ``module:name`` stands for.

    Raises
    ------
    InputError
        There is no such thing, or it is no statistic.
    """
    from emulant.certify.statistic import Statistic

    found = _attribute(name)
    if callable(found) and not isinstance(found, Statistic):
        if inspect.signature(found).parameters:
            return (_black_box(name.rpartition(":")[2], found),)
        found = found()
    if isinstance(found, Statistic):
        return (found,)
    if isinstance(found, Iterable):
        listed = tuple(found)
        if listed and all(isinstance(s, Statistic) for s in listed):
            return listed
    raise InputError(f"--statistics {name}: must give emulant.certify.Statistic, got {found!r:.80}")


def _black_box(name: str, function: Callable[[NDArray[Any]], Any]) -> Statistic:
    """Return a user's function as a statistic; as many bins as it has ``labels``, else one."""
    import numpy as np

    from emulant.certify.statistic import Statistic

    labels = tuple(getattr(function, "labels", ()))
    return Statistic.from_function(
        name, lambda x: np.atleast_1d(function(x)), labels=labels,
        tolerance=getattr(function, "tolerance", None),
    )  # fmt: skip


def _attribute(name: str) -> Any:
    """Import what ``file.py:name`` or ``module:name`` names; a user's own code runs here."""
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise InputError(f"--statistics {name}: give file.py:name or module:name")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            if spec is None or spec.loader is None:
                raise InputError(f"--statistics {name}: {place} cannot be imported")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
    except InputError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"--statistics {name}: {place} cannot be imported ({reason})") from error
    if not hasattr(module, attribute):
        raise InputError(f"--statistics {name}: {place} has no '{attribute}'")
    return getattr(module, attribute)


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


def _write_survivors(
    config: CertifyConfig, case: Case, directory: Path, origin: Provenance
) -> None:
    """Write the samples that survive rejection by their weights."""
    from emulant.certify.correction import rejection
    from emulant.rng import numpy_rng
    from emulant.store import save_arrays

    assert case.log_weight is not None
    kept = rejection(case.log_weight, numpy_rng(config.seed, "rejection"))
    survivors = {"samples": case.samples[kept], "index": kept}
    save_arrays(directory / "corrected.npz", survivors, origin)
