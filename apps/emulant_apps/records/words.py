"""How results are said: shares with small counts suppressed, and lines on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from emulant_apps.records.schema import SMALL

__all__ = ["say", "share"]


def share(count: int, total: int) -> str:
    """Return a share in per cent; that of fewer than ten is suppressed.

    >>> share(0, 50), share(3, 50), share(25, 50)
    ('0 %', '< 20.0 %', '50.0 %')
    """
    if not count:
        return "0 %"
    if count < SMALL:
        return f"< {100 * SMALL / max(total, 1):.1f} %"
    if 0 < total - count < SMALL:
        return f"> {100 - 100 * SMALL / total:.1f} %"
    return f"{100 * count / total:.1f} %"


def say(lines: Sequence[str], page: Path | None = None) -> None:
    """Print the lines of a result, and where its page is."""
    tail = [f"page: {page}"] if page is not None else []
    sys.stdout.write("".join(line + "\n" for line in (*lines, *tail)))
