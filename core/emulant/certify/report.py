"""A certificate as a page: the verdict first, then the evidence, then how it was judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulant.certify.figures import effect_figures
from emulant.certify.page import Badge, Figure, Page, Section, Table
from emulant.certify.verdict import SEVERITY, worst
from emulant.certify.words import count, number, plain_verdict, signed, worth_words

if TYPE_CHECKING:
    from emulant.certify.certificate import (
        Bin,
        CaseReport,
        Certificate,
        Distance,
        StatisticReport,
    )

__all__ = ["certificate_page", "certificate_sections", "verdict_section"]

HOW_TO_READ = (
    "Each row is the bias (samples minus truth) in units of the tolerance, with its {level} % "
    "interval. The green band is the tolerance. The grey band is what a perfect emulator with as "
    "many samples would show. Blue crosses are truth against itself, where truth was given. "
    "A square is a fail, a diamond underpowered, a disc a pass."
)

HOW_JUDGED = (
    "Fail: the bias exceeds its tolerance, and the probability of saying so of any of the "
    "{family} judged numbers by chance is at most {alpha} (Holm). Pass: the interval lies inside "
    "the tolerance. Underpowered: neither; the samples are too few, and the number needed is given."
    "\n\n"
    "Worth: the number of independent true samples whose own standard error equals the bias. An "
    "emulator that is worth 1,000 samples is no better a source of averages than 1,000 true ones, "
    "however many it draws. Intervals come from {replicates} bootstrap replicates over independent "
    "units, seed {seed}."
)


def certificate_page(certificate: Certificate, figures: Sequence[Figure] = ()) -> Page:
    """Return the page of a certificate; ``figures`` are the application's own pictures."""
    return Page(
        certificate.title, certificate_sections(certificate, figures), certificate.provenance
    )


def certificate_sections(
    certificate: Certificate, figures: Sequence[Figure] = ()
) -> tuple[Section, ...]:
    """Return the sections of a certificate's page."""
    sections = [
        verdict_section(certificate),
        Section(
            "Bias, statistic by statistic",
            lead=HOW_TO_READ.format(level=number(100 * certificate.level)),
            figures=effect_figures(certificate),
            tables=(_values(certificate),),
        ),
    ]
    if figures:
        sections.append(Section("Pictures", figures=figures))
    if any(case.distances for case in certificate.cases):
        sections.append(_whole(certificate))
    if any(case.reweighting != "none" for case in certificate.cases):
        sections.append(_reweighted(certificate))
    sections.append(_how(certificate))
    return tuple(sections)


def verdict_section(
    certificate: Certificate, figures: Sequence[Figure] = (), next_command: str = ""
) -> Section:
    """Return the verdict with the least worth as headline and the worst bins as a table."""
    judged = [(c, s, b) for c, s, b in certificate.rows() if b.tolerance is not None]
    headline = ""
    if judged:
        case, statistic, item = min(judged, key=lambda row: row[2].worth_low)
        headline = f"Worth {worth_words(item)} true samples in {_where(case, statistic, item)}"
    tables = [_worst(certificate)]
    if certificate.checks:
        tables.append(_checks(certificate))
    lead = "\n\n".join([plain_verdict(certificate), *certificate.notes])
    return Section(
        "Verdict",
        question="May these samples stand in for true ones, and how far?",
        verdict=certificate.verdict,
        verdict_word=certificate.headline.lower(),
        headline=headline and f"{headline}, the least of all",
        lead=lead,
        figures=figures,
        tables=tables,
        next_command=next_command,
    )


def _where(case: CaseReport, statistic: StatisticReport, item: Bin) -> str:
    return ", ".join(part for part in (statistic.name, item.label, case.label) if part)


def _label(case: CaseReport) -> str:
    return f"{case.label} (extrapolated)" if case.extrapolated else case.label


def _badge(item: Bin | Distance) -> Badge:
    if item.verdict == "underpowered" and item.needed is not None:
        return Badge("underpowered", f"underpowered: needs {count(item.needed)}")
    return Badge(item.verdict)


def _compact(
    head: Sequence[str], rows: Sequence[Sequence[str | Badge]], caption: str, folded: bool
) -> Table:
    """Return a table without its empty columns."""
    kept = [k for k in range(len(head)) if any(row[k] != "" for row in rows)]
    return Table(
        tuple(head[k] for k in kept), [tuple(row[k] for k in kept) for row in rows], caption, folded
    )


def _worst(certificate: Certificate) -> Table:
    """Return the worst bin of each statistic over all cases."""
    rows = []
    for name in dict.fromkeys(s.name for c in certificate.cases for s in c.statistics):
        entries = [
            (case, s, s.worst_bin)
            for case in certificate.cases
            for s in case.statistics
            if s.name == name
        ]
        case, statistic, item = max(
            entries, key=lambda row: (SEVERITY[row[2].verdict], abs(row[2].effect or 0.0))
        )
        least = min((row[2] for row in entries), key=lambda b: b.worth_low)
        rows.append(
            (
                name,
                _badge(item),
                ", ".join(part for part in (item.label, _label(case)) if part),
                f"{signed(item.bias)} ± {number(item.bias_error, 2)} {statistic.unit}".rstrip(),
                "" if item.effect is None else signed(item.effect),
                worth_words(least),
                statistic.tolerance,
            )
        )
    head = (
        "statistic",
        "verdict",
        "worst at",
        "bias",
        "bias / tolerance",
        "least worth",
        "tolerance",
    )
    return Table(head, rows, "The worst bin of each statistic")


def _checks(certificate: Certificate) -> Table:
    head = ("check", "verdict", "found", "expected", "standard error", "tolerance", "note")
    rows = [
        (
            c.name, Badge(c.verdict), number(c.value, 6), number(c.expected, 6), number(c.error, 2),
            number(c.tolerance, 3), c.note,
        )
        for c in certificate.checks
    ]  # fmt: skip
    return Table(head, rows, "Further checks")


def _values(certificate: Certificate) -> Table:
    """Every number of every bin."""
    head = (
        "case", "statistic", "bin", "samples", "truth", "bias", "interval", "truth against itself",
        "tolerance", "bias / tolerance", "worth", "adjusted p", "verdict",
    )  # fmt: skip
    rows = [
        (
            _label(case),
            f"{s.name} [{s.unit}]" if s.unit else s.name,
            b.label,
            f"{number(b.estimate, 6)} ± {number(b.error, 2)}",
            f"{number(b.reference, 6)} ± {number(b.reference_error, 2)}"
            if b.reference_error
            else f"{number(b.reference, 6)} exact",
            signed(b.bias, 3),
            f"{signed(b.low, 3)} to {signed(b.high, 3)}",
            f"{signed(b.control.low)} to {signed(b.control.high)}",
            "" if b.tolerance is None else number(b.tolerance, 3),
            "" if b.effect is None else signed(b.effect, 3),
            worth_words(b),
            "" if b.p_adjusted is None else number(b.p_adjusted, 2),
            _badge(b),
        )
        for case, s, b in certificate.rows()
    ]
    return _compact(head, rows, f"All {len(rows)} numbers", folded=len(rows) > 12)


def _whole(certificate: Certificate) -> Section:
    """Return samples and truth as a whole: distances, coverage, memorisation."""
    rows = [
        (
            _label(case),
            d.name,
            _badge(d),
            number(d.value, 4),
            number(d.expected, 4),
            f"{signed(d.excess)} ± {number(d.error, 2)}",
            "" if d.tolerance is None else number(d.tolerance, 3),
            "" if d.p_adjusted is None else number(d.p_adjusted, 2),
            "" if d.p_equal is None else number(d.p_equal, 2),
            f"{d.samples:,} / {d.truth:,}",
            d.note,
        )
        for case in certificate.cases
        for d in case.distances
    ]
    head = (
        "case", "comparison", "verdict", "value", "truth against truth", "worse by", "tolerance",
        "adjusted p", "p of equality", "samples / truth used", "note",
    )  # fmt: skip
    overlaps = [
        f"{_label(c)}: {number(100 * c.overlap, 2)} % of the held-out truth is also in the "
        f"training set of {c.training_samples:,}."
        for c in certificate.cases
        if c.overlap
    ]
    lead = (
        "The same quantity is computed for samples against truth and for truth against truth; "
        "worse by is their difference. The p of equality asks whether samples and truth could be "
        "told apart at all, which is true of any emulator once there are enough of them; it is "
        "no verdict."
    )
    return Section(
        "Samples and truth as a whole",
        question="Could a stranger tell them apart, is any kind missing, was anything copied?",
        verdict=worst([d.verdict for c in certificate.cases for d in c.distances]),
        lead="\n\n".join([lead, *overlaps]),
        tables=(_compact(head, rows, f"All {len(rows)} comparisons", folded=len(rows) > 30),),
    )


def _reweighted(certificate: Certificate) -> Section:
    """Raw samples beside importance-weighted ones."""
    lines = [
        f"{_label(c)}: effective sample size {number(100 * (c.ess or 0.0), 3)} % of {c.samples:,}"
        + (", below 10 %: refused" if c.reweighting == "refused" else "")
        for c in certificate.cases
        if c.reweighting != "none"
    ]
    rows = [
        (
            _label(case), s.name, b.label, number(b.reference, 6), signed(b.bias, 3),
            signed(b.reweighted.bias, 3),
            f"{signed(b.reweighted.low)} to {signed(b.reweighted.high)}",
            count(b.worth), count(b.reweighted.worth), Badge(b.reweighted.verdict),
        )
        for case, s, b in certificate.rows()
        if b.reweighted is not None
    ]  # fmt: skip
    head = (
        "case", "statistic", "bin", "truth", "raw bias", "reweighted bias", "interval", "raw worth",
        "reweighted worth", "reweighted verdict",
    )  # fmt: skip
    lead = (
        "The generator's own density gives each sample a weight that corrects it towards truth. "
        "The verdict above is on the raw samples.\n\n" + "\n\n".join(lines)
    )
    tables = (_compact(head, rows, f"All {len(rows)} numbers", len(rows) > 12),) if rows else ()
    return Section("With importance weights", lead=lead, tables=tables)


def _how(certificate: Certificate) -> Section:
    """How it was judged, and on how much."""
    family = sum(b.tolerance is not None for _, _, b in certificate.rows())
    family += sum(d.tolerance is not None for c in certificate.cases for d in c.distances)
    rows = [
        (
            _label(c), f"{c.samples:,}", f"{c.units:,}",
            f"{c.truth_samples:,}" if c.truth_samples else "exact", f"{c.truth_units:,}",
        )
        for c in certificate.cases
    ]  # fmt: skip
    head = ("case", "samples", "independent units", "true samples", "true units")
    lead = HOW_JUDGED.format(
        family=family, alpha=number(certificate.alpha), replicates=certificate.replicates,
        seed=certificate.seed,
    )  # fmt: skip
    described = [
        (s.name, s.description)
        for s in (certificate.cases[0].statistics if certificate.cases else ())
        if s.description
    ]
    tables = [Table(head, rows, "How many samples", folded=len(rows) > 4)]
    if described:
        tables.insert(0, Table(("statistic", "what it is"), described, "What was measured"))
    return Section("How this was judged", lead=lead, tables=tables)
