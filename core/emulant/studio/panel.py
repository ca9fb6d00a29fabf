"""What an application shows in the studio: controls, and the commands that they make.

A control reads the text that a browser sends. What a browser sends is anybody's: every value is
held to its rule here, before a command line is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulant.app import nearest
from emulant.errors import InputError

__all__ = ["Choice", "Control", "Panel", "Slider", "Upload", "Words"]


@dataclass(frozen=True, slots=True)
class Slider:
    """A number between two ends."""

    name: str
    label: str
    least: float
    most: float
    value: float
    step: float
    """Step of the slider; what is typed beside it may lie between two steps."""

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return all(float(x).is_integer() for x in (self.least, self.most, self.value, self.step))

    def read(self, text: str) -> float:
        """Return the number that ``text`` says.

        Raises
        ------
        InputError
            It is none, or lies outside the ends, or is not whole where it must be.

        Examples
        --------
        >>> Slider("t", "Temperature", 1.8, 3.2, 2.3, 0.01).read("2.35")
        2.35
        """
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        kind = "a whole number" if self.whole else "a number"
        if not self.least <= number <= self.most or (self.whole and not number.is_integer()):
            ends = f"{kind} from {self.least:g} to {self.most:g}"
            raise InputError(f"{self.label}: must be {ends}, got {text[:40]!r}")
        return int(number) if self.whole else number


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words; the first is the one chosen at the start."""

    name: str
    label: str
    options: tuple[str, ...]

    @property
    def value(self) -> str:
        """The word chosen at the start."""
        return self.options[0]

    def read(self, text: str) -> str:
        """Return ``text``.

        Raises
        ------
        InputError
            It is none of the words.
        """
        if text not in self.options:
            raise InputError(f"{self.label}: {nearest(text[:40], self.options)}")
        return text


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text, such as a SMILES or the name of a column."""

    name: str
    label: str
    value: str = ""
    most: int = 2000
    """Longest text, in characters."""

    def read(self, text: str) -> str:
        """Return ``text`` without spaces at its ends.

        Raises
        ------
        InputError
            It is too long, or not one line of printable characters.
        """
        words = text.strip()
        if len(words) > self.most or not words.isprintable():
            raise InputError(f"{self.label}: must be one line of at most {self.most} characters")
        return words


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of the user's."""

    name: str
    label: str
    suffixes: tuple[str, ...]
    """Ends of the names of files that can be read, such as ``".csv"``."""

    def suffix(self, filename: str) -> str:
        """Return the one of ``suffixes`` that ``filename`` ends with.

        Raises
        ------
        InputError
            It ends with none.
        """
        for suffix in sorted(self.suffixes, key=len, reverse=True):
            if filename.lower().endswith(suffix):
                return suffix
        known = ", ".join(self.suffixes)
        raise InputError(f"{self.label}: must be a file of {known}, got {filename[-60:]!r}")


Control = Slider | Choice | Words | Upload


@dataclass(frozen=True, slots=True)
class Panel:
    """What ``App.studio`` names."""

    lead: str
    """A sentence or two: what can be moved here, and what will be seen."""
    controls: tuple[Control, ...]
    lines: Callable[[Mapping[str, Any], Path], Sequence[Sequence[str]]]
    """``lines(values, directory)`` -> command lines, each a list of words after ``emulant``.
    They run one after the other in ``directory``, an empty one of their own but for what
    ``lines`` itself writes there. An upload's value is its path, or None where there is none."""
    page: str = "report/index.html"
    """The page that they write, below their directory."""
    button: str = "Draw"
    """The word on the button."""
