"""Numbers and verdicts in words, for the text table and the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from emulant.certify.statistic import Tolerance

if TYPE_CHECKING:
    from emulant.certify.certificate import Bin, Certificate

__all__ = [
    "count",
    "number",
    "plain_verdict",
    "signed",
    "text_table",
    "tolerance_words",
    "worth_words",
]


def number(value: float, digits: int = 4) -> str:
    """Return ``value`` with so many significant digits.

    >>> number(0.000123456), number(-1.4336584), number(12345678.0), number(0.0)
    ('0.0001235', '-1.434', '1.235e+07', '0')
    """
    return f"{value:.{digits}g}" if math.isfinite(value) else "∞"


def signed(value: float, digits: int = 2) -> str:
    """Return ``value`` with its sign.

    >>> signed(0.01234), signed(-3.0)
    ('+0.012', '-3')
    """
    return f"{value:+.{digits}g}"


def count(value: float) -> str:
    """Return a number of samples, to two digits above ten thousand.

    >>> count(1234.4), count(1234567.0), count(math.inf)
    ('1,234', '1,200,000', 'without bound')
    """
    if not math.isfinite(value):
        return "without bound"
    if value >= 1e9:
        return f"{value:.1e}"
    if value >= 1e4:
        value = float(f"{value:.2g}")
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def worth_words(item: Bin) -> str:
    """Return worth with its interval; a lower bound when the bias is not resolved."""
    if not math.isfinite(item.worth_high):
        return f"≥ {count(item.worth_low)}"
    return f"{count(item.worth)} ({count(item.worth_low)} to {count(item.worth_high)})"


def tolerance_words(tolerance: Tolerance | None, unit: str) -> str:
    """Return a tolerance in words.

    >>> tolerance_words(Tolerance(0.02, "relative", by="a survey"), "K")
    '2 % of truth, set by a survey'
    """
    if tolerance is None:
        return "none set: reported, not judged"
    if isinstance(tolerance.value, tuple):
        size = f"{number(min(tolerance.value))} to {number(max(tolerance.value))} by bin"
        kind = {"absolute": f" {unit}".rstrip(), "relative": " of truth", "scatter": " σ of truth"}
        return f"{size}{kind[tolerance.kind]}, set by {tolerance.by}"
    size = {
        "absolute": f"{number(tolerance.value)} {unit}".rstrip(),
        "relative": f"{number(100 * tolerance.value)} % of truth",
        "scatter": f"{number(tolerance.value)} σ of one true sample",
    }[tolerance.kind]
    return f"{size}, set by {tolerance.by}"


def plain_verdict(certificate: Certificate) -> str:
    """Return one sentence that says what the verdict means."""
    words = [b.verdict for _, _, b in certificate.rows()]
    words += [d.verdict for case in certificate.cases for d in case.distances]
    words += [c.verdict for c in certificate.checks]
    judged = len(words) - words.count("reported")
    if not judged:
        return "Nothing was judged: no statistic has a tolerance."
    if certificate.verdict == "fail":
        sentence = (
            f"{words.count('fail')} of {judged} numbers differ from truth by more than "
            "their tolerance."
        )
    elif certificate.verdict == "underpowered":
        sentence = (
            f"{words.count('underpowered')} of {judged} numbers cannot be told from their "
            "tolerance with so few samples; nothing was shown to be wrong."
        )
    else:
        sentence = f"All {judged} numbers lie within their tolerances, intervals included."
    if certificate.extrapolated:
        sentence += (
            " Outside the range that the emulator was trained on: "
            f"{', '.join(certificate.extrapolated)}."
        )
    return sentence


def text_table(certificate: Certificate) -> str:
    """Return the headline, and the worst bin of each case and statistic as aligned columns."""
    head = (
        "case",
        "statistic",
        "bin",
        "samples",
        "truth",
        "bias",
        "±",
        "bias/tol",
        "worth",
        "verdict",
    )
    rows = [head]
    for case in certificate.cases:
        for statistic in case.statistics:
            b = statistic.worst_bin
            rows.append(
                (
                    case.label + (" (extrapolated)" if case.extrapolated else ""),
                    statistic.name,
                    b.label,
                    number(b.estimate, 6),
                    number(b.reference, 6),
                    signed(b.bias),
                    number(b.bias_error, 2),
                    "" if b.effect is None else signed(b.effect),
                    worth_words(b),
                    b.verdict
                    + (
                        f" (needs {count(b.needed)})"
                        if b.verdict == "underpowered" and b.needed
                        else ""
                    ),
                )
            )
        for d in case.distances:
            rows.append(
                (
                    case.label,
                    d.name,
                    "",
                    number(d.value, 4),
                    number(d.expected, 4),
                    signed(d.excess),
                    number(d.error, 2),
                    "" if d.tolerance is None else signed(d.excess / d.tolerance),
                    "",
                    d.verdict
                    + (
                        f" (needs {count(d.needed)})"
                        if d.verdict == "underpowered" and d.needed
                        else ""
                    ),
                )
            )
    for check in certificate.checks:
        rows.append(
            (
                "check",
                check.name,
                "",
                number(check.value, 6),
                number(check.expected, 6),
                signed(check.value - check.expected),
                number(check.error, 2),
                signed((check.value - check.expected) / check.tolerance) if check.tolerance else "",
                "",
                check.verdict,
            )
        )
    kept = [i for i in range(len(head)) if i in (0, 1, 9) or any(r[i] for r in rows[1:])]
    widths = {i: max(len(r[i]) for r in rows) for i in kept}
    lines = ["  ".join(r[i].ljust(widths[i]) for i in kept).rstrip() for r in rows]
    return "\n".join([f"{certificate.headline}: {plain_verdict(certificate)}", *lines]) + "\n"
