"""A user's scoring function in a process of its own: ``python -m ... FILE.py:NAME [--one]``.

Each line of stdin is a JSON list of SMILES; the answer is one line, a JSON list of what the
function returned. What the function prints goes to stderr. It may raise: the process then ends,
and its last words tell why.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["function_of", "main"]


def function_of(text: str) -> Callable[..., Any]:
    """Return the function of ``file.py:name`` or ``package.module:name``.

    Raises
    ------
    ValueError
        There is no such file, module or function.
    """
    place, colon, name = text.rpartition(":")
    if not (colon and place and name.isidentifier()):
        raise ValueError(f"'{text}' is not of the form file.py:function")
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise ValueError(f"there is no file '{place}'")
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(Path(place).resolve().parent))
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, str(Path.cwd()))
        module = importlib.import_module(place)
    found: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(found):
        raise ValueError(f"'{place}' has no function '{name}'")
    return found


def main(arguments: list[str]) -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed, by C code too, is no answer
    score = function_of(arguments[0])
    one = "--one" in arguments
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        smiles = json.loads(line)
        values = [score(text) for text in smiles] if one else score(smiles)
        listed = values.tolist() if hasattr(values, "tolist") else values
        if not isinstance(listed, list | tuple):
            raise TypeError(
                f"the function returned {type(values).__name__}, not a list of numbers; "
                "with --one-at-a-time it is given one SMILES at a time"
            )
        plain = [x.item() if hasattr(x, "item") else x for x in listed]
        json.dump([x if isinstance(x, int | float) else str(x) for x in plain], answers)
        answers.write("\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
