"""One self-contained page of HTML: no network, no script, no font but the reader's own.

A :class:`Page` is a list of :class:`Section`; a section asks a question, answers it with a
verdict and one headline number, and then shows figures and tables. Every string is escaped by
the template; only :func:`figure` makes markup. Equal input gives equal bytes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from emulant.certify.verdict import Verdict
from emulant.store.atomic import atomic_path

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["INK", "Badge", "Figure", "Page", "Section", "Table", "figure", "palette", "style"]

INK = "#010203"
"""Matplotlib colour that becomes the colour of the page's text, in light and in dark."""

PAPER = "#fdfeff"
"""Matplotlib colour that becomes the colour of the page's ground."""

MARKS: dict[Verdict, str] = {"pass": "✓", "fail": "✗", "underpowered": "?", "reported": "·"}


def palette() -> dict[str, str]:
    """Return the colours of figures, legible on light and dark grounds and to the colour-blind."""
    return {
        "samples": "#d9730d",
        "truth": "#2f7fc1",
        "other": "#8f6fc9",
        "pass": "#2e9e6b",
        "fail": "#d1495b",
        "underpowered": "#c78a00",
        "reported": "#7d8590",
        "muted": "#8a919c",
        "ink": INK,
        "paper": PAPER,
    }


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in this page's style inside the ``with`` block."""
    import matplotlib as mpl
    from matplotlib.typing import RcKeyType

    settings: dict[RcKeyType, Any] = {
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": "#8a919c",
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 9.0,
        "font.family": "sans-serif",
        "axes.titlesize": 10.0,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "svg.fonttype": "none",
        "svg.hashsalt": "emulant",
    }
    with mpl.rc_context(settings):
        yield


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture ready for the page."""

    markup: str
    """Inline SVG, or an img element with a PNG inside; trusted."""
    caption: str = ""
    alt: str = ""
    """What the picture shows, for those who do not see it."""
    wide: bool = False
    """Whether it takes a row of its own; on a phone it scrolls sideways."""
    width: float = 340.0
    """Natural width in CSS pixels."""


def figure(
    drawn: matplotlib.figure.Figure,
    caption: str = "",
    alt: str = "",
    *,
    wide: bool = False,
    format: Literal["svg", "png"] = "svg",  # noqa: A002 (matplotlib's own word)
    dpi: int = 144,
) -> Figure:
    """Return a matplotlib figure as markup, with the same bytes for the same drawing.

    SVG takes the page's colours where the drawing uses :data:`INK` and :data:`PAPER`; figures
    3.5 inches wide stand side by side on a desk and below each other on a phone. Use PNG for
    pictures of very many marks.
    """
    buffer = io.BytesIO()
    with style():
        if format == "svg":
            quiet = {"Date": None, "Creator": None, "Format": None, "Type": None}
            drawn.savefig(
                buffer, format="svg", metadata=quiet, bbox_inches="tight", pad_inches=0.04
            )
        else:
            drawn.savefig(buffer, format="png", metadata={"Software": None}, dpi=dpi)
    width = 96.0 * float(drawn.get_figwidth())
    if format == "png":
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        markup = f'<img src="data:image/png;base64,{data}" alt="">'
    else:
        markup = _inline(buffer.getvalue().decode("utf-8"))
    return Figure(markup, caption, alt or caption, wide, width)


def _inline(svg: str) -> str:
    """Return an SVG document as an element: themed colours, ids unique on the page."""
    element = svg[svg.index("<svg") :].strip()
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = element.replace(INK, "currentColor").replace(PAPER, "var(--paper)")
    key = "f" + hashlib.blake2b(element.encode(), digest_size=5).hexdigest()
    element = re.sub(r'(\bid=")', rf"\g<1>{key}-", element)
    element = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{key}-", element)
    return re.sub(r"^<svg", '<svg role="img" aria-hidden="true"', element)


@dataclass(frozen=True, slots=True)
class Badge:
    """A verdict as a table's cell: colour, mark and word."""

    verdict: Verdict
    word: str = ""

    @property
    def mark(self) -> str:
        """The sign that goes with the colour."""
        return MARKS[self.verdict]

    @property
    def text(self) -> str:
        """The word, or the verdict itself."""
        return self.word or self.verdict


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; numbers align right; a cell may be a :class:`Badge` or a verdict's word."""

    head: tuple[str, ...]
    rows: Sequence[Sequence[str | Badge]]
    caption: str = ""
    folded: bool = False
    """Whether the reader has to open it."""


@dataclass(frozen=True, slots=True)
class Section:
    """A question, its answer, and the evidence."""

    title: str
    question: str = ""
    verdict: Verdict | None = None
    headline: str = ""
    """The one number to remember, with its unit and interval."""
    lead: str = ""
    """A few sentences; an empty line parts paragraphs."""
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    next_command: str = ""
    """What the reader may type next."""
    verdict_word: str = ""
    """Word of the badge where it is more than the verdict, such as "pass, extrapolated"."""

    @property
    def badge(self) -> Badge | None:
        """The verdict as a badge."""
        return None if self.verdict is None else Badge(self.verdict, self.verdict_word)

    @property
    def paragraphs(self) -> list[str]:
        """The lead, by paragraph."""
        return [part.strip() for part in self.lead.split("\n\n") if part.strip()]


@dataclass(frozen=True, slots=True)
class Page:
    """A title, sections, and where it all came from."""

    title: str
    sections: Sequence[Section]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    lead: str = ""

    def html(self) -> str:
        """Return the page as text."""
        import jinja2

        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("emulant.certify"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template("page.html").render(page=self, kind=_kind, plain=_text)

    def write(self, path: str | Path) -> None:
        """Write the page to ``path``, whole or not at all."""
        text = self.html()
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _kind(cell: str) -> str:
    """Return the class of a cell: a number aligns right, a long text may wrap.

    >>> _kind("+0.1 ± 0.2"), _kind("2 % of truth, set by the survey of 1999"), _kind("T = 2")
    ('n', 't', '')
    """
    if len(cell) > 32:
        return "t"
    return (
        "n"
        if re.fullmatch(r"[+\-−≥≤±∞]?\s?\d[^A-Za-z]*(e[+-]\d+)?[^A-Za-z]*( to .*)?.{0,4}", cell)
        else ""
    )


def _text(value: Any) -> str:
    """Return a provenance entry as text."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
