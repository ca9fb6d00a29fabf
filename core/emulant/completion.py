"""Shell completion of every command of every application, written by tyro."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

import tyro
from tyro.conf import Positional

from emulant.app import Command, discover, load, resolve
from emulant.cli import COMMANDS
from emulant.errors import PASS

__all__ = ["CompletionConfig", "run"]


@dataclass(frozen=True, kw_only=True)
class CompletionConfig:
    """Print the script that completes these commands in a shell."""

    shell: Positional[Literal["bash", "zsh", "fish"]]
    """The shell that reads the script."""


def run(config: CompletionConfig) -> int:
    """Print the script for ``config.shell`` to stdout."""
    flat = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes)
    try:
        tyro.cli(
            _tree(),
            prog="emulant",
            args=["--tyro-print-completion", config.shell],
            config=(*flat, tyro.conf.FlagCreatePairsOff),
        )
    except SystemExit as done:
        return int(done.code or PASS)
    return PASS


def _tree() -> Any:
    """Return the type whose command line is that of the whole suite."""
    branches = []
    for app in (load(found.name) for found in discover()):
        node = dataclasses.make_dataclass("Node", [("command", _choice(app.commands))])
        label = tyro.conf.subcommand(app.name, description=app.question)
        branches.append(Annotated[node, label])
    return Union[(*branches, *_leaves(COMMANDS))]


def _choice(commands: tuple[Command, ...]) -> Any:
    return Union[tuple(_leaves(commands))]  # noqa: UP007 - built at run time


def _leaves(commands: tuple[Command, ...]) -> list[Any]:
    return [
        Annotated[resolve(c.config), tyro.conf.subcommand(c.name, description=c.help)]
        for c in commands
    ]
