"""Short tables of text, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["aligned", "markdown"]


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns of text, aligned right, with a final newline.

    >>> print(aligned(("T", "u"), [("2.0", "-1.75")]), end="")
      T      u
    2.0  -1.75
    """
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    padded = (
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join(padded) + "\n"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with a final newline.

    >>> print(markdown(("T", "u"), [("2.0", "-1.75")]), end="")
    | T | u |
    |---|---|
    | 2.0 | -1.75 |
    """
    lines = [head, ["---"] * len(head), *rows]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    text[1] = text[1].replace(" ", "")
    return "\n".join(text) + "\n"
