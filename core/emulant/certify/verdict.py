"""The four words of a certificate, and which of several is the gravest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

__all__ = ["SEVERITY", "Verdict", "worst"]

Verdict: TypeAlias = Literal["pass", "fail", "underpowered", "reported"]

SEVERITY: dict[Verdict, int] = {"reported": 0, "pass": 1, "underpowered": 2, "fail": 3}


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the gravest verdict; ``reported`` when there is none.

    >>> worst(["pass", "underpowered", "pass"])
    'underpowered'
    """
    return max(verdicts, key=SEVERITY.__getitem__, default="reported")
