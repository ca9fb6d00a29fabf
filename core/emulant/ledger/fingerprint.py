r"""Which code decides what a check gives: the hash that lets an earlier trial stand.

A trial is a function of its seed and of code. That code is found by names: from the functions,
classes and numbers in ``check.run`` to every definition of the same file that they name, and
through imports to the definitions of the suite's other files. Docstrings, comments, layout and
the types of arguments decide nothing and are left out, as is what nobody names: to mend one
check of a file leaves its neighbours' trials standing. Versions of the numerical libraries
stand in the hash too.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from emulant.ledger.check import Check
from emulant.store import current, hash_arrays

__all__ = ["fingerprint"]

Place = tuple[str, str]
"""A module's name and a name defined at its top level; "" stands for the whole module."""


def fingerprint(check: Check) -> str:
    """Return the hash of what decides a trial of ``check`` beside its seed."""
    roots: set[Place] = set()
    values = list(_values(check.run, roots, set()))
    own = {module.split(".")[0] for module, _ in roots} | {"emulant"}
    seen: dict[Place, str] = {}
    waiting = sorted(roots)
    while waiting:
        place = waiting.pop()
        if place in seen or place[0].split(".")[0] not in own:
            continue
        seen[place], named = _definition(*place)
        waiting += named
    parts = [*values, *(f"{place} {seen[place]}" for place in sorted(seen)), _versions(check.needs)]
    return f"sha256:{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()}"


def _values(thing: Any, roots: set[Place], met: set[int]) -> Iterator[str]:
    """Yield the text of every number in ``thing``; add its functions and classes to ``roots``."""
    if isinstance(thing, type) or inspect.isroutine(thing):
        top = thing.__qualname__.split(".")[0]
        roots.add((thing.__module__, "" if top.startswith("<") else top))
        yield thing.__qualname__
    elif isinstance(thing, torch.Tensor):
        yield hash_arrays({"": thing})
    elif isinstance(thing, str | int | float | bool | None):
        yield repr(thing)
    elif id(thing) not in met:
        met.add(id(thing))
        if isinstance(thing, partial):
            inside: list[Any] = [thing.func, *thing.args, thing.keywords]
        elif isinstance(thing, Mapping):
            inside = [item for pair in thing.items() for item in pair]
        elif isinstance(thing, list | tuple):
            inside = list(thing)
        elif dataclasses.is_dataclass(thing):
            inside = [type(thing), *(getattr(thing, f.name) for f in dataclasses.fields(thing))]
        else:
            inside = [type(thing), getattr(thing, "__dict__", {})]
        for item in inside:
            yield from _values(item, roots, met)


@functools.cache
def _definition(module: str, name: str) -> tuple[str, tuple[Place, ...]]:
    """Return the code of a definition, and the places that it names."""
    tops = _tops(module)
    statements = tops[name] if name in tops else tops[""]
    named: set[Place] = set()
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                named |= set(_imported(module, node, name if node is statement else ""))
            elif isinstance(node, ast.Name) and node.id in tops and node.id != name:
                named.add((module, node.id))
    imports = ast.Import | ast.ImportFrom
    code = [ast.dump(s) for s in statements if not isinstance(s, imports)]
    return "\n".join(code), tuple(sorted(named))


@functools.cache
def _tops(module: str) -> Mapping[str, list[ast.stmt]]:
    """Return the statements of a module by the names that they bind; under "" all of them."""
    importlib.import_module(module)
    file = getattr(sys.modules[module], "__file__", None)
    tree = ast.parse("" if file is None else Path(file).read_text(encoding="utf-8"))
    tree = _Bare().visit(tree)
    tops: dict[str, list[ast.stmt]] = {"": tree.body}
    for statement in tree.body:
        names = {
            node.id
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names = {statement.name}
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names = {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
        for name in names:
            tops.setdefault(name, []).append(statement)
    return tops


def _imported(module: str, node: ast.Import | ast.ImportFrom, only: str) -> Iterator[Place]:
    """Yield the places that an import names, where they are defined; ``only`` one's, or all."""
    aliases = [a for a in node.names if only in ("", (a.asname or a.name).split(".")[0])]
    if isinstance(node, ast.Import):
        yield from ((alias.name, "") for alias in aliases)
        return
    package = module if _is_package(module) else module.rpartition(".")[0]
    source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
    for alias in aliases:
        if source.split(".")[0] != module.split(".")[0] and not source.startswith("emulant"):
            continue  # another library: its version is in the hash
        try:
            thing = getattr(importlib.import_module(source), alias.name, None)
        except ImportError:
            continue  # an extra that is not installed decides nothing here
        home = getattr(thing, "__module__", None)
        if inspect.ismodule(thing):
            yield thing.__name__, ""
        elif isinstance(home, str) and getattr(thing, "__name__", "") in _tops(home):
            yield home, str(getattr(thing, "__name__", ""))
        else:
            yield source, alias.name


def _is_package(module: str) -> bool:
    return hasattr(sys.modules[module], "__path__")


class _Bare(ast.NodeTransformer):
    """Take away what decides nothing: docstrings and the types of arguments and results."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Return the function without them."""
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Return the argument without its type."""
        node.annotation = None
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Leave out a statement that is a mere text."""
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.copy_location(ast.Pass(), node) if text else node


def _versions(needs: tuple[str, ...]) -> str:
    """Return the versions of the libraries that decide numbers."""
    found = dict(current("check", {}, None).versions)
    found.pop("emulant", None)  # its code is in the hash already
    for package in needs:
        found[package] = str(getattr(importlib.import_module(package), "__version__", ""))
    return repr(sorted(found.items()))
