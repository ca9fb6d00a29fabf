"""The front door: help that waits for nothing, one line for a mistake, and its exit status."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from tyro.conf import Positional

import emulant
from emulant import app, cli, completion, demo
from emulant.app import App, Command
from emulant.certify.page import Section, Table
from emulant.errors import BAD_INPUT, FAIL, INTERRUPTED, PASS, InputError
from emulant.store import Provenance, save_arrays
from emulant.train import DivergenceError

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """Draw."""

    states: Positional[Path]
    """File of states."""
    temperatures: tuple[float, ...] = (2.0,)
    """Temperatures, J/k_B."""
    preset: Literal["quick", "full"] = "quick"
    """Which numbers to start from."""
    resume: bool = False
    """Go on."""

    def __post_init__(self) -> None:
        if min(self.temperatures) <= 0:
            raise InputError(f"--temperatures: must be above 0, got {min(self.temperatures):g}")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """One application ``toy`` with a verb ``draw`` whose function a test can choose."""
    rooms: dict[str, object] = {
        "toy:DrawConfig": DrawConfig,
        "toy:draw": lambda _: PASS,
        "toy:demo": lambda seed: Section(
            "Toy", headline=f"seed {seed}", tables=[Table(("a",), [("1",)])]
        ),
    }
    draw = Command(
        "draw", "Draw states.", "toy:DrawConfig", "toy:draw", ("emulant toy draw in.npz",)
    )
    here = App("toy", "What is a toy?", (draw,), demo="toy:demo")
    resolve = app.resolve
    for module in (app, cli, completion, demo):
        monkeypatch.setattr(
            module, "resolve", lambda name: rooms[name] if name in rooms else resolve(name)
        )
        monkeypatch.setattr(
            module, "discover", lambda: (app.Found("toy", "What is a toy?", "toy"),)
        )
        monkeypatch.setattr(module, "load", lambda _: here, raising=False)
    return rooms


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which the command line refuses ``arguments``."""
    assert cli.main(arguments) == BAD_INPUT
    shown = capsys.readouterr()
    assert shown.out == ""
    match = re.fullmatch(r"emulant: error: (.*)\n", shown.err)
    assert match, shown.err
    return match[1]


def test_help_lists_applications_and_commands(
    toy: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert toy
    for arguments in ([], ["--help"], ["-h"]):
        assert cli.main(arguments) == PASS
        shown = capsys.readouterr().out
        assert "What is a toy?" in shown
        assert all(command.name in shown for command in cli.COMMANDS)
        assert "emulant demo --out demo" in shown


def test_help_of_an_application_lists_its_commands_with_examples(
    toy: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert toy
    for arguments in (["toy"], ["toy", "--help"]):
        assert cli.main(arguments) == PASS
        shown = capsys.readouterr().out
        assert "What is a toy?" in shown
        assert "Draw states." in shown
        assert "emulant toy draw in.npz" in shown


def test_help_of_a_command_lists_its_flags(
    toy: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert toy
    assert cli.main(["toy", "draw", "--help"]) == PASS
    shown = capsys.readouterr().out
    for words in ("Draw states.", "emulant toy draw in.npz", "--temperatures", "J/k_B", "--resume"):
        assert words in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == PASS
    assert capsys.readouterr().out == f"emulant {emulant.__version__}\n"


def test_flags_become_the_config_and_its_status_the_exit_status(toy: dict[str, object]) -> None:
    seen: list[DrawConfig] = []
    toy["toy:draw"] = lambda config: seen.append(config) or FAIL
    line = "toy draw in.npz --temperatures 2.0 2.269 2.6 --preset full --resume"
    assert cli.main(line.split()) == FAIL
    assert seen == [
        DrawConfig(
            states=Path("in.npz"), temperatures=(2.0, 2.269, 2.6), preset="full", resume=True
        )
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tyo", "no command 'tyo'; did you mean 'toy'"),
        ("toy drwa", "toy has no command 'drwa'; did you mean 'draw'"),
        ("toy draw", "PATH"),
        ("toy draw in.npz --temperature 3", "Unrecognized options: --temperature.*--temperatures"),
        ("toy draw in.npz --temperatures cold", "--temperatures"),
        ("toy draw in.npz --temperatures -1", "^--temperatures: must be above 0, got -1$"),
        ("toy draw in.npz --preset quik", "'quik'.*'quick'"),
        ("info", "PATH"),
        ("info nosuch.npz", "nosuch.npz: No such file"),
        ("completion basic", "'basic'"),
        ("demo --seed -1", "--seed"),
    ],
)
def test_a_mistyped_line_is_one_line(
    toy: dict[str, object], capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    assert toy
    assert re.search(words, refusal(capsys, *line.split()))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InputError("a.npz: row 3:\nis not ±1"), "a.npz: row 3: is not ±1"),
        (FileNotFoundError(2, "No such file or directory", "b.npz"), "b.npz: No such file"),
        (MemoryError(), "out of memory"),
    ],
)
def test_a_users_mistake_is_one_line(
    toy: dict[str, object], capsys: pytest.CaptureFixture[str], error: Exception, words: str
) -> None:
    def draw(_: DrawConfig) -> int:
        raise error

    toy["toy:draw"] = draw
    assert words in refusal(capsys, "toy", "draw", "in.npz")


def test_a_training_that_diverged_is_one_line_and_a_failure(
    toy: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    def draw(_: DrawConfig) -> int:
        raise DivergenceError("step 3: player 'critic' pays nan")

    toy["toy:draw"] = draw
    assert cli.main(["toy", "draw", "in.npz"]) == FAIL
    said = capsys.readouterr().err
    assert said == "emulant: error: the training diverged: step 3: player 'critic' pays nan\n"


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), OSError("strange"), KeyError("x"), RuntimeError("odd")]
)
def test_our_own_mistakes_are_not_hidden(toy: dict[str, object], error: Exception) -> None:
    def draw(_: DrawConfig) -> int:
        raise error

    toy["toy:draw"] = draw
    with pytest.raises(type(error)):
        cli.main(["toy", "draw", "in.npz"])


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_is_130(
    toy: dict[str, object], capsys: pytest.CaptureFixture[str], number: int
) -> None:
    before = signal.getsignal(number)
    toy["toy:draw"] = lambda _: os.kill(os.getpid(), number)
    assert cli.main(["toy", "draw", "in.npz"]) == INTERRUPTED
    assert capsys.readouterr().err == "emulant: interrupted\n"
    assert signal.getsignal(number) is before


def test_info_describes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "states.npz"
    save_arrays(file, {"spins": np.ones((2, 2), np.int8)}, Provenance("ising simulate", {}, 0))
    assert cli.main(["info", str(file)]) == PASS
    record = json.loads(capsys.readouterr().out)
    assert record["arrays"] == {"spins": "int8 (2, 2)"}
    assert record["provenance"]["command"] == "ising simulate"
    file.write_bytes(file.read_bytes()[:-1])
    assert "states.npz" in refusal(capsys, "info", str(file))


def test_demo_writes_one_page_and_its_numbers(
    toy: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert toy
    out = tmp_path / "demo"
    assert cli.main(["demo", "--out", str(out), "--seed", "3"]) == PASS
    shown = capsys.readouterr()
    assert shown.out == f"toy: seed 3\npage: {out / 'index.html'}\n"
    assert "demo: done" in shown.err
    page = (out / "index.html").read_text()
    assert "seed 3" in page
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    (record,) = json.loads((out / "results.json").read_text())["applications"]
    assert record["application"] == "toy"
    assert record["headline"] == "seed 3"
    assert record["tables"] == [{"caption": "", "head": ["a"], "rows": [["1"]]}]
    before = {file: file.read_bytes() for file in out.iterdir()}
    assert "is not empty" in refusal(capsys, "demo", "--out", str(out))
    assert {file: file.read_bytes() for file in out.iterdir()} == before
    again = tmp_path / "again"
    assert cli.main(["demo", "--out", str(again), "--seed", "3"]) == PASS
    assert {file.name: file.read_bytes() for file in again.iterdir()} == {
        file.name: content for file, content in before.items()
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert cli.main(["completion", shell]) == PASS
    script = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert command.name in script
    for found in app.discover():
        for command in app.load(found.name).commands:
            assert command.name in script


def test_the_front_door_waits_for_no_library() -> None:
    script = textwrap.dedent(
        """
        import sys
        from emulant.cli import main
        for line in ("--help", "--version", "demo --help", "info --help"):
            assert main(line.split()) == 0
        heavy = {"torch", "numba", "matplotlib", "scipy", "h5py", "jinja2", "lightning"}
        print("HEAVY", sorted(heavy & set(sys.modules)))
        """
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines()[-1] == "HEAVY []"


def test_the_module_is_the_command() -> None:
    for door in ([sys.executable, "-m", "emulant"], [Path(sys.executable).parent / "emulant"]):
        good = subprocess.run([*door, "--version"], capture_output=True, text=True, check=False)
        assert (good.returncode, good.stderr) == (PASS, "")
        bad = subprocess.run([*door, "info", "no"], capture_output=True, text=True, check=False)
        assert (bad.returncode, bad.stdout) == (BAD_INPUT, "")
        assert bad.stderr == "emulant: error: no: No such file or directory\n"


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    line = f"{sys.executable} -m emulant --help | true; echo ${{PIPESTATUS[0]}}"
    shown = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert shown.stderr == ""


@pytest.mark.parametrize(
    "line",
    [
        "pip install -c constraints.txt -e . && emulant demo --out demo",
        'pip install -c constraints.txt -e ".[test]" && pytest',
    ],
)
def test_the_readme_promises_what_ci_runs(line: str) -> None:
    assert line in (ROOT / "README.md").read_text(encoding="utf-8")
    assert line.partition(" && ")[2] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_ci_runs_the_readmes_test_command_as_written() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'pip install -c constraints.txt -e ".[test]" && pytest' in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
