"""The ``emulant`` command.

    emulant APP COMMAND [flags]     one application
    emulant COMMAND [flags]         the suite: demo, check, certify, studio, info, completion

The flags of a command are the fields of its frozen dataclass (tyro). Results go to stdout, a
mistake of the user as one line to stderr; see :mod:`emulant.errors` for the exit statuses.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tyro.conf import Positional

from emulant.app import Command, discover, load, nearest, resolve
from emulant.errors import BAD_INPUT, FAIL, INTERRUPTED, PASS, InputError

__all__ = ["COMMANDS", "InfoConfig", "info", "main", "parse"]

COMMANDS = (
    Command(
        "demo",
        "Show every application on one page: generated beside true, with numbers.",
        "emulant.demo:DemoConfig",
        "emulant.demo:run",
        ("emulant demo --out demo",),
    ),
    Command(
        "check",
        "Show that every method does what its paper says: known answers, expected and got.",
        "emulant.ledger.command:CheckConfig",
        "emulant.ledger.command:run",
        ("emulant check density-ratio --seeds 2",),
    ),
    Command(
        "certify",
        "Judge samples of any generator against truth: one page and a verdict.",
        "emulant.certify.command:CertifyConfig",
        "emulant.certify.command:run",
        ("emulant certify samples.npy truth.npy --out report",),
    ),
    Command(
        "studio",
        "Try every application in a browser on this machine; nothing leaves it.",
        "emulant.studio.command:StudioConfig",
        "emulant.studio.command:run",
        ("emulant studio --port 8765",),
    ),
    Command(
        "info",
        "Say what a file is, who made it, and with what; verify that it is intact.",
        "emulant.cli:InfoConfig",
        "emulant.cli:info",
        ("emulant info states.npz", "emulant info runs/mine"),
    ),
    Command(
        "completion",
        "Print the script that completes these commands in your shell.",
        "emulant.completion:CompletionConfig",
        "emulant.completion:run",
        ('eval "$(emulant completion bash)"',),
    ),
)
"""The commands of the suite itself."""


@dataclass(frozen=True, kw_only=True)
class InfoConfig:
    """Say what a file or the directory of a run is."""

    file: Positional[Path]
    """File or directory that an emulant command wrote."""


def info(config: InfoConfig) -> int:
    """Print the description of a file as JSON."""
    from emulant.store import describe

    sys.stdout.write(json.dumps(describe(config.file), indent=2, ensure_ascii=False) + "\n")
    return PASS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` and return its exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        with _terminated_like_interrupted():
            status = _dispatch(arguments)
            sys.stdout.flush()
            return status
    except InputError as error:
        return _refuse(str(error))
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PASS
    except OSError as error:
        if error.filename is None:
            raise
        return _refuse(f"{error.filename}: {error.strerror}")
    except MemoryError:
        return _refuse("out of memory; ask for fewer or smaller things at a time")
    except RuntimeError as error:
        from emulant.train import DivergenceError  # here: only a training loads torch

        if not isinstance(error, DivergenceError):
            raise
        _refuse(f"the training diverged: {error}")
        return FAIL
    except KeyboardInterrupt:
        sys.stderr.write("emulant: interrupted\n")
        return INTERRUPTED


def parse(command: Command, path: str, arguments: Sequence[str]) -> Any:
    """Return the config of ``command`` that ``arguments`` say; ``path`` is what was typed so far.

    Raises
    ------
    InputError
        A flag or its value is wrong.
    SystemExit
        Help was asked for and has been printed.
    """
    import tyro

    kind = resolve(command.config)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                kind,
                prog=path,
                description=_description(command),
                args=list(arguments),
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as error:
        if not error.code:
            raise
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, InputError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            raise cause from None
        raise InputError(f"{_flatten(complaint.getvalue())} (see {path} --help)") from None


def _dispatch(arguments: list[str]) -> int:
    first, *rest = arguments or ["--help"]
    if first in ("-h", "--help", "help"):
        return _print(_help())
    if first in ("-V", "--version"):
        from emulant import __version__

        return _print(f"emulant {__version__}")
    own = {command.name: command for command in COMMANDS}
    if first in own:
        return _run(own[first], f"emulant {first}", rest)
    found = [app.name for app in discover()]
    if first not in found:
        raise InputError(f"no command '{first}'; {nearest(first, [*own, *found])}")
    app = load(first)
    if not rest or rest[0] in ("-h", "--help", "help"):
        return _print(_app_help(first, app.question, app.commands))
    return _run(app.command(rest[0]), f"emulant {first} {rest[0]}", rest[1:])


def _run(command: Command, path: str, arguments: Sequence[str]) -> int:
    try:
        config = parse(command, path, arguments)
    except SystemExit:
        return PASS  # help
    status: int = resolve(command.run)(config)
    return status


def _description(command: Command) -> str:
    return "\n".join([command.help, *_examples(command.examples)])


def _flatten(complaint: str) -> str:
    """Return tyro's box of words as one line: what is wrong, and where, and what was meant.

    Inside the box, sections are parted by rules; words at the left are sentences, words one step
    in are flags, and words two steps in are their help, which the user can ask for.
    """
    lines = [line[2:].rstrip("│ ") for line in complaint.splitlines() if line.startswith("│")]
    sections = [[""]]
    for line in lines:
        if set(line.strip()) == {"─"}:
            sections.append([""])
        else:
            sections[-1].append(line)
    said = []
    for section in sections:
        words = " ".join(line for line in section if line and not line.startswith(" "))
        flags = [line.strip() for line in section if len(line) - len(line.lstrip()) == 4]
        if not words.startswith(("For full helptext", "Argument helptext")):
            said.append(" ".join([words, ", ".join(flags)]).strip())
    return "; ".join(said) or " ".join(complaint.split())


def _print(text: str) -> int:
    sys.stdout.write(text + "\n")
    return PASS


def _refuse(message: str) -> int:
    sys.stderr.write(f"emulant: error: {' '.join(message.split())}\n")
    return BAD_INPUT


def _help() -> str:
    from emulant import __doc__ as what
    from emulant import __version__

    apps = [(app.name, app.question) for app in discover()]
    commands = [(command.name, command.help) for command in COMMANDS]
    examples = [example for command in COMMANDS for example in command.examples]
    return "\n".join(
        [
            f"{what} (version {__version__})",
            "",
            "usage: emulant APP COMMAND [flags]    one application",
            "       emulant COMMAND [flags]        the suite",
            "",
            "applications (emulant APP --help shows what each can do):",
            *_table(apps or [("none", "install a package of applications")]),
            "",
            "commands:",
            *_table(commands),
            *_examples(examples + [f"emulant {name} --help" for name, _ in apps]),
        ]
    )


def _app_help(name: str, question: str, commands: Sequence[Command]) -> str:
    return "\n".join(
        [
            question,
            "",
            f"usage: emulant {name} COMMAND [flags]",
            "",
            f"commands (emulant {name} COMMAND --help shows the flags):",
            *_table([(command.name, command.help) for command in commands]),
            *_examples([command.examples[0] for command in commands if command.examples]),
        ]
    )


def _examples(examples: Sequence[str]) -> list[str]:
    return ["", "examples:", *(f"  {line}" for line in examples)] if examples else []


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return rows of name and text, the text wrapped to the terminal."""
    width = max(len(name) for name, _ in rows) + 4
    columns = max(shutil.get_terminal_size().columns, width + 30)
    return [
        line
        for name, text in rows
        for line in textwrap.wrap(
            text,
            min(columns, 100),
            initial_indent=f"  {name}".ljust(width),
            subsequent_indent=" " * width,
        )
    ]


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, so that it leaves whole files and no workers."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
