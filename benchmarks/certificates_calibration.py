"""Can the judge be trusted? False alarms, p-values, intervals, worth, power said, correction.

    python benchmarks/certificates_calibration.py --docs docs/certificates.md

Every certificate here is of a known truth. ``--certificates`` of them go to each row of false
alarms; about half an hour of one core with the default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy.stats import beta, kstest

from certificates_worlds import WORLDS, World, judged, kept, strict
from emulant.certify import STANDARD, Case, Certificate, Statistic, Tolerance, certify
from emulant.certify.classifier import ratio_log_weights
from emulant.certify.evidence import Pair
from emulant.rng import derive, numpy_rng
from emulant.tables import markdown
from pages import insert


@dataclass(frozen=True, kw_only=True)
class Config:
    """How much to compute, and where the tables go."""

    certificates: int = 200
    """Of each row of false alarms; an eighth of it where all comparisons are judged."""
    size: int = 512
    """Samples, and as many of truth, of a certificate of false alarms."""
    trials: int = 2000
    """Cases of each row of intervals and worth."""
    worlds: tuple[int, ...] = tuple(range(len(WORLDS)))
    """Numbers of the worlds of false alarms, so that several processes can share a --work."""
    seed: int = 0
    docs: Path | None = None
    """Markdown file with places for the tables."""
    only: tuple[str, ...] = ()
    """Names of the tables to make; all by default."""
    work: Path | None = None
    """Directory that keeps what is done, so that an interrupted run goes on where it stopped."""


def share(successes: int, trials: int) -> str:
    """Return a percentage with its exact 95 % interval (Clopper and Pearson)."""
    low = beta.ppf(0.025, successes, trials - successes + 1) if successes else 0.0
    high = beta.ppf(0.975, successes + 1, trials - successes) if successes < trials else 1.0
    return f"{100 * successes / trials:.1f} % ({100 * low:.1f}-{100 * high:.1f})"


def truth_against_truth(
    world: World, config: Config, k: int, point: bool, whole: bool
) -> Certificate:
    """Return one certificate of truth against truth, with no tolerance if ``point``."""
    rng = numpy_rng(config.seed, "false alarms", world.name, f"{point}", f"{whole}", k)
    x, y, t = (world.draw(rng, config.size) for _ in range(3))
    statistics, comparisons = world.statistics(y), judged(STANDARD) if whole else ()
    if point:
        statistics, comparisons = strict(statistics), strict(comparisons)
    case = Case(
        "truth", x.samples, truth=y.samples, groups=x.groups, truth_groups=y.groups,
        training=t.samples,
    )  # fmt: skip
    seed = derive(config.seed, k)
    return certify([case], statistics, seed, replicates=400, comparisons=comparisons)


def verdicts_of_truth(
    world: World, config: Config, count: int, point: bool, whole: bool
) -> list[tuple[str, int, float]]:
    """Return verdict, how many numbers were judged, and one p-value, of each certificate."""
    made = []
    for k in range(count):
        certificate = truth_against_truth(world, config, k, point, whole)
        found = [b.p_value for _, _, b in certificate.rows() if b.p_value is not None]
        numbers = len(found) + len(certificate.cases[0].distances)
        # one p-value of each certificate: these are independent
        made.append((certificate.verdict, numbers, found[k % len(found)]))
    return made


def false_alarms(config: Config) -> str:
    """Return the table of false alarms and of p-values under the null."""
    rows, total = [], 0
    for world in (WORLDS[k] for k in config.worlds):
        for point, whole in ((True, False), (True, True), (False, False)):
            count = config.certificates // (8 if whole else 1)
            key = {"false alarms": world.name, "point": point, "whole": whole, "count": count}
            made = kept(
                config.work, key | {"size": config.size, "seed": config.seed},
                partial(verdicts_of_truth, world, config, count, point, whole),
            )  # fmt: skip
            verdicts, numbers, p = [v for v, _, _ in made], made[-1][1], [x for _, _, x in made]
            total += count
            rows.append(
                (
                    world.name,
                    "all" if whole else "statistics",
                    str(numbers),
                    "none" if point else "as shipped",
                    str(count),
                    share(verdicts.count("fail"), count),
                    share(verdicts.count("pass"), count),
                    f"{kstest(p, 'uniform').pvalue:.2f}" if point and not whole else "-",
                )
            )
            print(rows[-1], flush=True)
    head = (
        "truth", "judged", "numbers", "tolerance", "certificates", "says fail", "says pass",
        "p-values uniform (KS p)",
    )  # fmt: skip
    return (
        f"{total:,} certificates of truth against truth, about {config.size} samples a side; "
        "tolerance none makes any difference a fault, which is where false alarms are most "
        f"frequent:\n\n{markdown(head, rows)}"
    )


def _mean(tolerance: float) -> Statistic:
    return Statistic("mean", lambda x: x.reshape(len(x), -1)[:, :1], tolerance=Tolerance(tolerance))


def intervals(config: Config) -> str:
    """Return the coverage of 95 % intervals, with and without groups."""
    rng = numpy_rng(config.seed, "intervals")
    variance = Statistic.from_function("variance", lambda x: np.atleast_1d(x.var()))
    median = Statistic.from_function("median", lambda x: np.atleast_1d(np.median(x)))

    def chains(shift: float, units: int, length: int) -> tuple[Any, Any]:
        made = rng.normal(size=(units, 1)) + 0.5 * rng.normal(size=(units, length)) + shift
        return made.ravel(), np.repeat(np.arange(units), length)

    def plain(n: int, draw: Callable[[int], Any]) -> Callable[[str], Case]:
        return lambda label: Case(label, draw(n) + 0.3, truth=draw(n))

    def grouped(units: int, told: bool) -> Callable[[str], Case]:
        def make(label: str) -> Case:
            (x, g), (y, h) = chains(0.3, units, 20), chains(0.0, units, 20)
            groups = {"groups": g, "truth_groups": h} if told else {}
            return Case(label, x, truth=y, **groups)

        return make

    def skewed(n: int) -> Any:
        return rng.lognormal(size=n)

    def rare() -> Any:
        return 1.0 * (rng.random(1000) < 0.02)

    settings: list[tuple[str, Callable[[str], Case], Statistic, float, int]] = [
        ("mean of 12 normal numbers", plain(12, rng.standard_normal), _mean(1), 0.3, 1),
        ("mean of 200 normal numbers", plain(200, rng.standard_normal), _mean(1), 0.3, 1),
        ("mean of 200 lognormal numbers", plain(200, skewed), _mean(1), 0.3, 1),
        (
            "share of 2 % of 1,000",
            lambda label: Case(label, rare(), truth=rare()),
            _mean(1), 0.0, 1,
        ),
        ("variance of 200 (black box)", plain(200, rng.standard_normal), variance, 0.0, 4),
        ("median of 200 (black box)", plain(200, rng.standard_normal), median, 0.3, 4),
        ("30 chains of 20, groups given", grouped(30, True), _mean(1), 0.3, 1),
        ("8 chains of 20, groups given", grouped(8, True), _mean(1), 0.3, 1),
        ("30 chains of 20, groups NOT given", grouped(30, False), _mean(1), 0.3, 1),
    ]  # fmt: skip
    rows = []
    for name, make, statistic, bias, dearer in settings:
        trials = config.trials // dearer
        cases = [make(str(k)) for k in range(trials)]
        found = certify(cases, [statistic], config.seed, replicates=400)
        inside = sum(b.low <= bias <= b.high for _, _, b in found.rows())
        rows.append((name, share(inside, trials)))
        print(rows[-1], flush=True)
    return markdown(("estimate of", "95 % intervals that hold the true bias"), rows)


def worths(config: Config) -> str:
    """Return how often the interval of n* holds the planted one."""
    rng = numpy_rng(config.seed, "worth")
    rows = []
    for planted in (10.0, 100.0, 1000.0, 10_000.0):
        for n in (1000, 10_000):
            shift = planted**-0.5
            trials = config.trials // 4
            cases = [
                Case(str(k), rng.normal(shift, 1, n), truth=rng.normal(0, 1, n))
                for k in range(trials)
            ]
            found = [
                b for _, _, b in certify(cases, [_mean(1)], config.seed, replicates=400).rows()
            ]
            inside = sum(b.worth_low <= planted <= b.worth_high for b in found)
            bounded = sum(np.isfinite(b.worth_high) for b in found)
            rows.append(
                (
                    f"{planted:,.0f}", f"{n:,}", share(inside, trials),
                    f"{np.median([b.worth_low for b in found]):,.0f}",
                    f"{100 * bounded / trials:.0f} %",
                )
            )  # fmt: skip
    head = (
        "planted n*", "samples, and of truth", "intervals that hold it", "median lower end",
        "with an upper end",
    )  # fmt: skip
    return markdown(head, rows)


def underpowered(config: Config) -> str:
    """Return the verdicts when n cannot resolve the tolerance, and when it can."""
    rows = []
    for bias in (0.0, 0.05, 0.1, 0.2):
        for n in (50, 200, 1000, 4000, 20_000):
            rng = numpy_rng(config.seed, "underpowered", n, f"{bias}")
            trials = config.trials // 4
            cases = [
                Case(str(k), rng.normal(bias, 1, n), truth=rng.normal(0, 1, n))
                for k in range(trials)
            ]
            words = [
                b.verdict
                for case in cases
                for _, _, b in certify([case], [_mean(0.1)], config.seed, replicates=200).rows()
            ]
            shares = (
                f"{100 * words.count(w) / trials:.1f} %" for w in ("pass", "underpowered", "fail")
            )
            rows.append((f"{bias:g} σ", f"{n:,}", *shares))
    head = ("true bias", "samples, and of truth", "pass", "underpowered", "fail")
    return "Tolerance 0.1 σ, one number:\n\n" + markdown(head, rows)


def _corrections(shift: float, known: bool, seed: int) -> list[tuple[float, float, bool, float]]:
    """Return raw bias, corrected bias, whether its interval holds 0, and ESS/n, trial by trial."""
    n, made = 4000, []
    for k in range(100 if known else 25):
        rng = numpy_rng(seed, "correction", f"{shift}", k)
        x, y, z = (rng.normal(size=(n, 2)) for _ in range(3))
        y[:, 0] += shift
        z[:, 0] += shift
        weight = shift * x[:, 0]
        if not known:
            own = np.arange(n)
            fitted = ratio_log_weights(Pair.of((x, z), (own, own), (x, z)), rng)
            assert fitted is not None
            weight = fitted
        case = Case("a", x, truth=y, log_weight=weight)
        found = certify([case], [_mean(0.1)], k, replicates=200).cases[0]
        item = found.statistics[0].bins[0]
        assert item.reweighted is not None
        assert found.ess is not None
        holds = item.reweighted.low <= 0 <= item.reweighted.high
        made.append((item.bias, item.reweighted.bias, holds, found.ess))
    return made


def _of_few(world: World, n: int, strictly: bool, trials: int, seed: int) -> list[str]:
    """Return the verdicts on n true samples against 400 others."""
    words: list[str] = []
    for k in range(trials):
        rng = numpy_rng(seed, "few units", world.name, n, k)
        x, y = world.draw(rng, n), world.draw(rng, 400)
        statistics = world.statistics(y)
        statistics = strict(statistics) if strictly else statistics
        case = Case("a", x.samples, truth=y.samples)
        words.append(certify([case], statistics, k, replicates=200).verdict)
    return words


def few_units(config: Config) -> str:
    """Return the verdicts on handfuls of true samples."""
    rows, trials = [], config.certificates // 2
    for world in WORLDS[1:]:
        for n in (2, 4, 8, 16, 32, 64):
            row = [world.name, str(n)]
            for strictly in (True, False):
                key = {"few": world.name, "n": n, "strict": strictly, "trials": trials}
                make = partial(_of_few, world, n, strictly, trials, config.seed)
                words = kept(config.work, key | {"seed": config.seed}, make)
                row += [share(words.count("fail"), trials), share(words.count("pass"), trials)]
            rows.append(tuple(row))
            print(rows[-1], flush=True)
    head = (
        "truth", "samples", "fail, no tolerance", "pass, no tolerance", "fail, as shipped",
        "pass, as shipped",
    )  # fmt: skip
    return (
        "True samples in handfuls, against 400 true ones, all statistics of the world: nothing can "
        f"be shown, and nothing should be said but underpowered.\n\n{markdown(head, rows)}"
    )


def correction(config: Config) -> str:
    """Return raw and corrected biases where the ratio is known, and where it is estimated."""
    rows = []
    for shift in (0.2, 0.5, 1.0):
        for known in (True, False):
            key = {"correction": shift, "known": known, "seed": config.seed}
            made = kept(config.work, key, partial(_corrections, shift, known, config.seed))
            raw, bias, held, ess = (np.array(column) for column in zip(*made, strict=True))
            rows.append(
                (
                    f"{shift:g} σ", "known" if known else "estimated from 4,000 + 4,000",
                    f"{np.mean(raw):+.3f}",
                    f"{np.mean(bias):+.4f} ± {np.std(bias) / len(bias) ** 0.5:.4f}",
                    share(int(held.sum()), len(bias)), f"{np.mean(ess):.3f}",
                    f"{np.exp(-(shift**2)):.3f}",
                )
            )  # fmt: skip
            print(rows[-1], flush=True)
    head = (
        "planted shift", "density ratio", "raw bias", "corrected bias", "intervals that hold 0",
        "ESS/n", "theory",
    )  # fmt: skip
    return markdown(head, rows)


TABLES = {
    "false-alarms": ("False alarms", false_alarms),
    "intervals": ("Intervals", intervals),
    "worth": ("Worth", worths),
    "underpowered": ("Too few samples", underpowered),
    "few-units": ("Handfuls", few_units),
    "correction": ("Correction", correction),
}


def main(config: Config) -> None:
    """Make the tables."""
    for name, (title, make) in TABLES.items():
        if not config.only or name in config.only:
            command = f"certificates_calibration.py --only {name}"
            insert(config.docs, f"certificates:{name}", title, command, make(config))


if __name__ == "__main__":
    main(tyro.cli(Config))
