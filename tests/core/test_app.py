"""An application is found by its existing, and imported only when it is used."""

import dataclasses
import importlib.metadata
import sys
from pathlib import Path

import pytest

from emulant import app
from emulant.errors import InputError

ROOM = """
from emulant.app import App, Command
APP = App("{name}", "{question}", (Command("draw", "Draw.", "x:Y", "x:z"),))
"""


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package ``toy_apps`` of two applications, one unfinished folder and one broken one."""
    home = tmp_path / "toy_apps"
    for name in ("spin_glass", "weather"):
        folder = home / name
        folder.mkdir(parents=True)
        question = f"What will the {name} do?"
        (folder / "__init__.py").write_text(f'"""{question}\n\nMore words.\n"""\n1 / 0\n')
        text = ROOM.format(name=name.replace("_", "-"), question=question)
        (folder / "cli.py").write_text(text)
    (home / "unfinished").mkdir()
    (home / "__init__.py").write_text("")
    monkeypatch.setattr(app, "HOME", "toy_apps")
    monkeypatch.setattr(app, "entry_points", lambda group: ())  # noqa: ARG005 - its keyword
    monkeypatch.syspath_prepend(tmp_path)
    yield home
    for name in [name for name in sys.modules if name.startswith("toy_apps")]:
        del sys.modules[name]


def mend(home: Path) -> None:
    for file in home.glob("*/__init__.py"):
        file.write_text(file.read_text().replace("1 / 0", ""))


def test_applications_are_found_without_being_imported(homes: Path) -> None:
    assert homes.is_dir()
    assert app.discover() == (
        app.Found("spin-glass", "What will the spin_glass do?", "toy_apps.spin_glass"),
        app.Found("weather", "What will the weather do?", "toy_apps.weather"),
    )
    assert not [name for name in sys.modules if name.startswith("toy_apps")]


def test_an_application_is_loaded_by_its_name(homes: Path) -> None:
    mend(homes)
    loaded = app.load("spin-glass")
    assert loaded.name == "spin-glass"
    assert loaded.command("draw").help == "Draw."
    with pytest.raises(InputError, match="spin-glass has no command 'drwa'; did you mean 'draw'"):
        loaded.command("drwa")


def test_unknown_names_suggest_the_nearest(homes: Path) -> None:
    assert homes.is_dir()
    with pytest.raises(InputError, match="no application 'wether'; did you mean 'weather'"):
        app.load("wether")
    with pytest.raises(InputError, match="known: spin-glass, weather"):
        app.load("zzz")


def test_entry_points_join(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = homes.parent / "stars"
    outside.mkdir()
    (outside / "__init__.py").write_text('"""How bright is a star?"""\n')
    (outside / "cli.py").write_text(ROOM.format(name="stars", question="How bright is a star?"))
    points = [importlib.metadata.EntryPoint("stars", "stars", "emulant.apps")]
    monkeypatch.setattr(app, "entry_points", lambda group: points)  # noqa: ARG005 - its keyword
    assert app.Found("stars", "How bright is a star?", "stars") in app.discover()
    assert app.load("stars").question == "How bright is a star?"
    points.append(importlib.metadata.EntryPoint("gone", "gone_package", "emulant.apps"))
    assert app.Found("gone", "(gone_package is not installed)", "gone_package") in app.discover()
    points.append(importlib.metadata.EntryPoint("weather", "other", "emulant.apps"))
    with pytest.raises(InputError, match="two applications are called 'weather'"):
        app.discover()


def test_a_missing_extra_is_named_and_a_broken_file_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "needs.py").write_text("import nosuchpackage.part\n")
    (tmp_path / "broken.py").write_text("import broken.part\n")
    with pytest.raises(InputError, match="needs the package 'nosuchpackage'"):
        app.resolve("needs:x")
    with pytest.raises(ModuleNotFoundError):
        app.resolve("broken:x")


def test_what_cli_exposes_must_be_an_app(homes: Path) -> None:
    mend(homes)
    (homes / "weather" / "cli.py").write_text("APP = 3\n")
    with pytest.raises(TypeError, match="must be an App"):
        app.load("weather")


def test_records_are_frozen() -> None:
    for record in (app.App, app.Command, app.Found):
        assert record.__dataclass_params__.frozen
        assert dataclasses.is_dataclass(record)
