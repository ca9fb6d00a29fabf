"""What an application is, and how it is found.

An application is a folder of ``emulant_apps`` that holds a ``cli.py``, or a package that an
installed distribution names under the entry-point group ``emulant.apps``. Finding one imports
nothing of it: its name is its folder's, its question the first line of its docstring. Its
``cli.py`` exposes ``APP``, whose parts are named as ``"module:attribute"`` and imported when
they are used, so that ``emulant --help`` waits for no application.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from emulant.errors import InputError

__all__ = ["App", "Command", "Found", "discover", "load", "nearest", "resolve", "statistics_of"]

HOME = "emulant_apps"
GROUP = "emulant.apps"


@dataclass(frozen=True, slots=True)
class Command:
    """One verb of an application, or one of the suite itself."""

    name: str
    """The word that is typed: ``"simulate"``."""
    help: str
    """One line that says what it does."""
    config: str
    """``"module:Class"`` of its frozen dataclass: the fields are the flags."""
    run: str
    """``"module:function"``, called as run(config) -> exit status."""
    examples: tuple[str, ...] = ()
    """Complete command lines, shown in the help and run by the tests of the application."""


@dataclass(frozen=True, slots=True)
class App:
    """What the ``cli.py`` of an application exposes as ``APP``."""

    name: str
    """Its folder's name, with hyphens for underscores."""
    question: str
    """The question it answers: the first line of its package's docstring."""
    commands: tuple[Command, ...]
    """Its verbs, in the order of use."""
    demo: str | None = None
    """``"module:function"``, called as demo(seed) -> emulant.certify.page.Section."""
    walk: str | None = None
    """``"module:function"``, called as walk(directory, seed): every room once, at a size of
    seconds, leaving its files in ``directory``; the same seed must give the same bytes."""
    statistics: str | None = None
    """``"module:function"``, called as statistics(truth, names) -> sequence of
    emulant.certify.Statistic: what ``emulant certify --statistics NAME`` measures on anybody's
    plain arrays. truth has shape (n, *X); names are those of a table's columns, else empty."""
    studio: str | None = None
    """``"module:PANEL"``, an emulant.studio.panel.Panel: what ``emulant studio`` shows of it."""

    def command(self, name: str) -> Command:
        """Return the verb called ``name``.

        Raises
        ------
        InputError
            There is none; the message suggests the nearest.
        """
        for command in self.commands:
            if command.name == name:
                return command
        known = [command.name for command in self.commands]
        raise InputError(f"{self.name} has no command '{name}'; {nearest(name, known)}")


@dataclass(frozen=True, slots=True)
class Found:
    """An application that exists but has not been imported."""

    name: str
    """The word that is typed."""
    question: str
    """The first line of its package's docstring."""
    package: str
    """Its package: ``"emulant_apps.ising"``."""


def discover() -> tuple[Found, ...]:
    """Return every application there is, by name, without importing one.

    Raises
    ------
    InputError
        Two installed applications have one name.
    """
    folders = [
        f"{HOME}.{folder.name}"
        for root in _locations(HOME)
        for folder in sorted(root.iterdir())
        if (folder / "cli.py").is_file()
    ]
    named = {package.rpartition(".")[2].replace("_", "-"): package for package in folders}
    for point in entry_points(group=GROUP):
        if named.get(point.name, point.value) != point.value:
            raise InputError(
                f"two applications are called '{point.name}': {named[point.name]} and "
                f"{point.value}; uninstall one"
            )
        named[point.name] = point.value
    return tuple(Found(name, _question(named[name]), named[name]) for name in sorted(named))


def load(name: str) -> App:
    """Import the application called ``name`` and return its ``APP``.

    Raises
    ------
    InputError
        There is none, or a package that it needs is not installed.
    """
    found = {app.name: app for app in discover()}
    if name not in found:
        raise InputError(f"no application '{name}'; {nearest(name, found)}")
    app = resolve(f"{found[name].package}.cli:APP")
    if not isinstance(app, App):
        raise TypeError(f"'APP' of {found[name].package}.cli must be an App, got {type(app)}")
    return app


def statistics_of(name: str) -> Callable[[Any, tuple[str, ...]], Any]:
    """Return the statistics of the application called ``name``, as :attr:`App.statistics` says.

    Raises
    ------
    InputError
        There is no such application, or it brings no statistics for plain arrays.
    """
    found = [app.name for app in discover()]
    if name not in found:
        bring = [other for other in found if load(other).statistics]
        raise InputError(
            f"--statistics {name}: no application of this name; {nearest(name, bring)}"
        )
    target = load(name).statistics
    if target is None:
        raise InputError(f"--statistics {name}: this application brings none for plain arrays")
    statistics: Callable[[Any, tuple[str, ...]], Any] = resolve(target)
    return statistics


def resolve(target: str) -> Any:
    """Return the object that ``"module:attribute"`` names.

    Raises
    ------
    InputError
        The module needs a package that is not installed.

    Examples
    --------
    >>> resolve("emulant.errors:BAD_INPUT")
    2
    """
    module, _, attribute = target.partition(":")
    try:
        room = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "emulant", HOME, module.partition(".")[0]}:
            raise  # a broken file, not a missing extra
        raise InputError(f"{module} needs the package '{missing}'; pip install it") from error
    return getattr(room, attribute)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the words that lead from a mistyped ``word`` to a known one.

    >>> nearest("samlpe", ["simulate", "sample"])
    "did you mean 'sample'?"
    >>> nearest("x", ["simulate", "sample"])
    'known: sample, simulate'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names) or 'none'}"


def _locations(package: str) -> list[Path]:
    """Return the folders of ``package``, importing neither it nor its parents."""
    top, *rest = package.split(".")
    spec = importlib.util.find_spec(top)
    roots = spec.submodule_search_locations if spec else None
    return [Path(root, *rest) for root in roots or []]


def _question(package: str) -> str:
    for root in _locations(package):
        file = root / "__init__.py"
        if file.is_file():
            text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
            return (text or "").partition("\n")[0].strip()
    return f"({package} is not installed)"
