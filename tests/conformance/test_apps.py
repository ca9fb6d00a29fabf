"""The laws that every application obeys, those that join later included."""

import ast
import dataclasses
import inspect
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulant.app import App, Command, Found, discover, load, resolve
from emulant.cli import COMMANDS, main, parse
from emulant.errors import BAD_INPUT, PASS

ROOMS = ("config", "data", "model", "train", "sample", "validate", "report", "cli")
WITHOUT_TORCH = ("config", "data", "validate", "report", "cli")
APPS = discover()

every_app = pytest.mark.parametrize("found", APPS, ids=[found.name for found in APPS])


def commands() -> Iterator[tuple[str, Command]]:
    """Every command of the suite and of its applications, with what is typed before its flags."""
    for command in COMMANDS:
        yield f"emulant {command.name}", command
    for found in APPS:
        for command in load(found.name).commands:
            yield f"emulant {found.name} {command.name}", command


def modules_after(script: str) -> set[str]:
    """The modules that a fresh interpreter has imported after ``script``."""
    tail = "\nimport sys\nprint('MODULES', *sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", script + tail], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    return set(shown.stdout.splitlines()[-1].split())


every_command = pytest.mark.parametrize(
    ("path", "command"), list(commands()), ids=[path for path, _ in commands()]
)


def test_there_is_an_application() -> None:
    assert APPS


@every_app
def test_it_has_the_same_rooms_as_its_siblings(found: Found) -> None:
    package = resolve(f"{found.package}.cli:APP") and sys.modules[found.package]
    (home,) = map(Path, package.__path__)
    assert [room for room in ROOMS if not (home / f"{room}.py").is_file()] == []


@every_app
def test_it_asks_a_question(found: Found) -> None:
    assert found.question.endswith("?")
    assert load(found.name).question == found.question
    assert load(found.name).name == found.name


@every_app
def test_its_names_lead_somewhere(found: Found) -> None:
    app = load(found.name)
    assert len({command.name for command in app.commands}) == len(app.commands)
    for target in (app.demo, app.walk):
        assert target is not None
        assert callable(resolve(target))


@every_command
def test_a_config_is_frozen_and_every_field_is_explained(path: str, command: Command) -> None:
    config = resolve(command.config)
    assert dataclasses.is_dataclass(config)
    assert config.__dataclass_params__.frozen, path
    explained = {name for base in config.__mro__[:-1] for name in explained_fields(base)}
    assert [f.name for f in dataclasses.fields(config) if f.name not in explained] == []


def explained_fields(config: type) -> Iterator[str]:
    """The fields of ``config`` that have a docstring below them."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    assert isinstance(body, ast.ClassDef)
    for field, after in zip(body.body, body.body[1:], strict=False):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str())):
                yield name


@every_command
def test_defaults_construct(path: str, command: Command) -> None:
    config = resolve(command.config)
    required = [
        field.name
        for field in dataclasses.fields(config)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    assert required or config() == config(), path


@every_command
def test_its_run_is_there(path: str, command: Command) -> None:
    assert list(inspect.signature(resolve(command.run)).parameters) == ["config"], path


@every_command
def test_it_shows_examples_that_parse(path: str, command: Command) -> None:
    assert command.examples, path
    assert command.help.endswith(".")
    for example in command.examples:
        assert path in example
        if not example.startswith(path):
            continue  # part of a shell's line
        config = parse(command, path, shlex.split(example)[len(path.split()) :])
        assert isinstance(config, resolve(command.config))


@every_command
def test_its_help_waits_for_no_library(path: str, command: Command) -> None:
    line = [*path.split()[1:], "--help"]
    script = f"from emulant.cli import main\nassert main({line!r}) == {PASS}"
    heavy = {"torch", "numba", "matplotlib", "lightning"}
    assert heavy & modules_after(script) == set(), command.name


@every_app
def test_it_stands_alone(found: Found) -> None:
    rooms = [found.package, *(f"{found.package}.{room}" for room in ROOMS)]
    seen = modules_after("\n".join(f"import {room}" for room in rooms))
    others = {other.package for other in APPS} - {found.package}
    assert others & seen == set()


@every_app
def test_its_rooms_of_data_and_judgement_speak_numpy(found: Found) -> None:
    rooms = [found.package, *(f"{found.package}.{room}" for room in WITHOUT_TORCH)]
    assert "torch" not in modules_after("\n".join(f"import {room}" for room in rooms))


@every_app
def test_a_walk_twice_gives_the_same_bytes(
    found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulate, train, sample, validate: whatever the place and the number of workers."""
    app: App = load(found.name)
    walks = []
    for workers in (1, 2):
        monkeypatch.setenv("EMULANT_WORKERS", str(workers))
        directory = tmp_path / f"walk{workers}"
        directory.mkdir()
        resolve(str(app.walk))(directory, 0)
        walks.append(
            {
                str(file.relative_to(directory)): file.read_bytes()
                for file in sorted(directory.rglob("*"))
                if file.is_file()
            }
        )
    first, second = walks
    assert first
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []


DRAWING = [
    (found.name, command.name)
    for found in APPS
    for command in load(found.name).commands
    if command.name in ("sample", "simulate")
    and "count" in {f.name for f in dataclasses.fields(resolve(command.config))}
]


@pytest.mark.parametrize(("app", "verb"), DRAWING, ids=[" ".join(words) for words in DRAWING])
def test_more_than_memory_holds_is_refused_before_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], app: str, verb: str
) -> None:
    """A count that no machine holds is one line with what it would need."""
    out = tmp_path / "out.h5" if app != "molecules" else tmp_path / "out.csv"
    words = [app, verb, "--count", str(10**10), "--workers", "1", "--out", str(out)]
    assert main(words) == BAD_INPUT
    (said,) = [x for x in capsys.readouterr().err.splitlines() if "emulant: error" in x]
    assert "needs about" in said
    assert str(10**10) in said
    assert not out.exists()
