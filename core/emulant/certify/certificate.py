"""The certificate: frozen records of every number that a reader sees, and their JSON.

A certificate holds cases (a temperature, a cosmology, a subgroup), each case statistics, each
statistic bins, and beside them free-form checks. ``certificate.json`` is these records, field by
field, under the schema id ``emulant-certificate/1``; infinities are the strings ``"inf"`` and
``"-inf"``, numbers are rounded to twelve digits, and equal input gives equal bytes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from emulant import errors
from emulant.certify.codec import plain, revive
from emulant.certify.judge import verdict_of_number
from emulant.certify.verdict import SEVERITY, Verdict, worst
from emulant.errors import InputError
from emulant.store.atomic import atomic_path

if TYPE_CHECKING:
    from emulant.certify.page import Figure

__all__ = [
    "SCHEMA",
    "Bin",
    "CaseReport",
    "Certificate",
    "Check",
    "Control",
    "Distance",
    "Reweighted",
    "StatisticReport",
    "Verdict",
]

SCHEMA = "emulant-certificate/1"


@dataclass(frozen=True, slots=True)
class Control:
    """What truth shows against itself: the floor that no emulator can pass."""

    kind: Literal["truth against truth", "truth against exact", "spread of exact samples"]
    difference: float
    """Between two halves of truth, between truth and the exact answer, or 0."""
    low: float
    high: float
    """Interval of the difference."""
    floor: float
    """Half width of the interval of b for a perfect emulator with as many samples."""


@dataclass(frozen=True, slots=True)
class Reweighted:
    """The same bin from importance-weighted samples; it does not count in the status."""

    estimate: float
    error: float
    bias: float
    low: float
    high: float
    effect: float | None
    worth: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Bin:
    """One number of one statistic: what it is, what it should be, and what follows."""

    label: str
    estimate: float
    error: float
    """Standard error of the estimate over independent units."""
    reference: float
    reference_error: float
    """0 for an exact answer."""
    bias: float
    bias_error: float
    dof: float
    low: float
    high: float
    """Interval of the bias at the certificate's level."""
    tolerance: float | None
    effect: float | None
    """bias / tolerance."""
    effect_low: float | None
    effect_high: float | None
    scatter: float
    """σ, of one independent true unit."""
    worth: float
    """n* = (σ/bias)²: independent true samples whose standard error equals the bias."""
    worth_low: float
    worth_high: float
    p_value: float | None
    """Of |true bias| ≤ tolerance."""
    p_adjusted: float | None
    """The same after Holm over the whole certificate."""
    needed: float | None
    """Independent units that would resolve the tolerance."""
    verdict: Verdict
    control: Control
    reweighted: Reweighted | None = None


@dataclass(frozen=True, slots=True)
class StatisticReport:
    """One statistic in one case."""

    name: str
    unit: str
    description: str
    tolerance: str
    """In words: how large, of what kind, set by whom."""
    bins: tuple[Bin, ...]

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict of the bins."""
        return worst([b.verdict for b in self.bins])

    @property
    def worst_bin(self) -> Bin:
        """The bin to look at first: gravest verdict, then largest effect."""
        return max(
            self.bins,
            key=lambda b: (SEVERITY[b.verdict], abs(b.effect or 0.0), abs(b.bias) / b.bias_error),
        )


@dataclass(frozen=True, slots=True)
class Distance:
    """One comparison of samples with truth as a whole (:mod:`emulant.certify.evidence`)."""

    name: str
    value: float
    expected: float
    """The same for truth against truth."""
    excess: float
    """How much worse than expected; larger is worse."""
    error: float
    """Standard error of the excess."""
    upper: float
    """Upper end of the interval of the excess."""
    tolerance: float | None
    """Of the excess; None: reported and not judged."""
    tolerance_words: str
    p_equal: float | None
    """Permutation p-value of equality, which is no verdict."""
    null_low: float | None
    null_high: float | None
    """Central 95 % of the value when samples and truth are exchanged."""
    p_value: float | None
    """Of excess ≤ tolerance."""
    p_adjusted: float | None
    needed: float | None
    samples: int
    truth: int
    """Rows used."""
    note: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class CaseReport:
    """One case: its numbers of samples, and its statistics."""

    label: str
    context: Mapping[str, Any]
    extrapolated: bool
    samples: int
    units: int
    truth_samples: int
    """0 when only exact answers were given."""
    truth_units: int
    reweighting: Literal["none", "used", "refused"]
    ess: float | None
    """Effective sample size of the importance weights, as a fraction of the samples."""
    statistics: tuple[StatisticReport, ...]
    distances: tuple[Distance, ...] = ()
    training_samples: int = 0
    overlap: float | None = None
    """Share of truth that is found in the training set."""

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict of the statistics and the distances."""
        return worst([*(s.verdict for s in self.statistics), *(d.verdict for d in self.distances)])


@dataclass(frozen=True, slots=True)
class Check:
    """A free-form entry of an application, such as an identity or a known integral.

    Example
    -------
    >>> Check.judged("ln Z", value=10.01, expected=10.0, error=0.001, tolerance=0.05).verdict
    'pass'
    """

    name: str
    value: float
    expected: float
    error: float
    tolerance: float
    verdict: Verdict
    note: str = ""

    @classmethod
    def judged(
        cls,
        name: str,
        *,
        value: float,
        expected: float,
        error: float,
        tolerance: float,
        family: int = 1,
        alpha: float = 0.05,
        level: float = 0.95,
        note: str = "",
    ) -> Check:
        """Return a check with the verdict of :mod:`emulant.certify.judge`.

        Its p-value is for a normal error and Bonferroni-corrected for ``family`` checks.
        """
        verdict = verdict_of_number(value - expected, error, tolerance, family, alpha, level)
        return cls(name, value, expected, error, tolerance, verdict, note)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A judgement with error bars, controls and known error rates."""

    title: str
    cases: tuple[CaseReport, ...]
    checks: tuple[Check, ...]
    seed: int
    replicates: int
    alpha: float
    """Bound on the probability of any false fault in the whole certificate."""
    level: float
    """Of the intervals."""
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Fail if anything fails, else underpowered if anything is, else pass."""
        return worst([*(c.verdict for c in self.cases), *(c.verdict for c in self.checks)])

    @property
    def extrapolated(self) -> tuple[str, ...]:
        """Labels of the cases outside the range that the emulator was trained on."""
        return tuple(c.label for c in self.cases if c.extrapolated)

    @property
    def headline(self) -> str:
        """The verdict in words; an extrapolated certificate says so."""
        word = self.verdict.upper()
        return f"{word}, EXTRAPOLATED" if self.extrapolated else word

    @property
    def status(self) -> int:
        """Exit status: 0 pass, 1 fail, 3 underpowered."""
        codes = {"fail": errors.FAIL, "underpowered": errors.UNDERPOWERED}
        return codes.get(self.verdict, errors.PASS)

    def rows(self) -> Iterator[tuple[CaseReport, StatisticReport, Bin]]:
        """Yield every bin with its case and statistic."""
        for case in self.cases:
            for statistic in case.statistics:
                for item in statistic.bins:
                    yield case, statistic, item

    def with_checks(self, *checks: Check) -> Certificate:
        """Return the certificate with further checks, which count in the status."""
        return dataclasses.replace(self, checks=(*self.checks, *checks))

    def table(self) -> str:
        """Return a short text: the verdict, then the worst bin of each case and statistic."""
        from emulant.certify.words import text_table

        return text_table(self)

    def to_html(self, figures: Sequence[Figure] = ()) -> str:
        """Return one self-contained page; ``figures`` are the application's own pictures."""
        from emulant.certify.report import certificate_page

        return certificate_page(self, figures).html()

    def write(self, directory: str | Path, figures: Sequence[Figure] = ()) -> None:
        """Write ``certificate.json`` and ``index.html`` into ``directory``, each atomically."""
        for name, text in (
            ("certificate.json", self.to_json()),
            ("index.html", self.to_html(figures)),
        ):
            with atomic_path(Path(directory) / name) as path:
                path.write_text(text, encoding="utf-8")

    def to_json(self) -> str:
        """Return the certificate as JSON with sorted keys and a final newline."""
        record = {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "headline": self.headline,
            **plain(self),
        }
        return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Certificate:
        """Return the certificate of a JSON text.

        Raises
        ------
        InputError
            It is not JSON, or not of the schema ``emulant-certificate/1``.
        """
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"not a certificate: not JSON ({error})") from error
        schema = record.get("schema") if isinstance(record, dict) else None
        if schema != SCHEMA:
            raise InputError(f"not a certificate: schema is {schema!r}, expected {SCHEMA!r}")
        try:
            certificate: Certificate = revive(cls, record)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a damaged certificate: {error!r}") from error
        return certificate
