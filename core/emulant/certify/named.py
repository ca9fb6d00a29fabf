"""Statistics by name: an application's, ``file.py:name``, or ``module:name``."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.statistic import Samples, Statistic
from emulant.errors import InputError

__all__ = ["named_statistics"]

APPLICATIONS = "emulant.app:statistics_of"
"""Applications stand above this room: they are asked by name, as any user's code is."""


def named_statistics(
    name: str, truth: Samples, columns: tuple[str, ...] = ()
) -> tuple[Statistic, ...]:
    """Return the statistics that ``app``, ``file.py:name`` or ``module:name`` stands for.

    Parameters
    ----------
    truth, columns
        True samples (n, *X) and the names of a table's columns, which an application is shown.

    Raises
    ------
    InputError
        There is no such thing, or it is no statistic.
    """
    if ":" not in name and not name.endswith(".py"):
        return _listed(name, _attribute(name, APPLICATIONS)(name)(truth, columns))
    found = _attribute(name, name)
    if callable(found) and not isinstance(found, Statistic):
        if inspect.signature(found).parameters:
            return (_black_box(name.rpartition(":")[2], found),)
        found = _called(name, found)
    return _listed(name, found)


def _listed(name: str, found: Any) -> tuple[Statistic, ...]:
    if isinstance(found, Statistic):
        return (found,)
    if isinstance(found, Iterable):
        listed = tuple(found)
        if listed and all(isinstance(s, Statistic) for s in listed):
            return listed
    raise InputError(f"--statistics {name}: must give emulant.certify.Statistic, got {found!r:.80}")


def _black_box(name: str, function: Callable[[NDArray[Any]], Any]) -> Statistic:
    """Return a user's function as a statistic; as many bins as it has ``labels``, else one."""
    labels = tuple(getattr(function, "labels", ()))
    return Statistic.from_function(
        name, lambda x: np.atleast_1d(function(x)), labels=labels,
        tolerance=getattr(function, "tolerance", None),
    )  # fmt: skip


def _called(name: str, function: Callable[[], Any]) -> Any:
    """Call a user's function; whatever it raises becomes one line."""
    try:
        return function()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"--statistics {name}: raised {_reason(error)}") from error


def _attribute(name: str, target: str) -> Any:
    """Import what ``file.py:name`` or ``module:name`` names; a user's own code runs here."""
    place, _, attribute = target.rpartition(":")
    if not place or not attribute:
        raise InputError(f"--statistics {name}: give an application, file.py:name or module:name")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            if spec is None or spec.loader is None:
                raise InputError(f"--statistics {name}: {place} cannot be imported")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"--statistics {name}: {place} cannot be imported ({_reason(error)})"
        ) from error
    if not hasattr(module, attribute):
        raise InputError(f"--statistics {name}: {place} has no '{attribute}'")
    return getattr(module, attribute)


def _reason(error: Exception) -> str:
    return (f"{type(error).__name__}: {error}".splitlines() or [""])[0]
