"""The studio: what a browser sends is held to rules, jobs are apart, files stay where they are."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
from starlette.testclient import TestClient

from emulant.app import App
from emulant.errors import BAD_INPUT, InputError
from emulant.studio import server
from emulant.studio.command import StudioConfig
from emulant.studio.jobs import Job, Jobs
from emulant.studio.panel import Choice, Panel, Slider, Upload, Words

CONTROLS = (
    Slider("many", "How many", 1, 9, 3, 1),
    Choice("kind", "Kind", ("file", "nothing", "endless")),
    Words("word", "Word", "one", most=20),
    Upload("data", "Data", (".csv", ".csv.gz")),
)


def _lines(values: dict[str, Any], directory: Path) -> list[list[str]]:
    if values["kind"] == "endless":
        return [["check", "ring-of-8", "--seeds", "20"]]
    if values["kind"] == "nothing":
        return [["info", "there-is-no-such-file.npz"]]
    (directory / "index.html").write_text(f"<p>{values['many']} {values['word']}</p>")
    return [["--version"], ["info", "--help"]]


PANEL = Panel("A panel of a test.", CONTROLS, _lines, page="index.html")
HERE = "testserver"


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs(waiting=3)
    yield jobs
    jobs.close()


@pytest.fixture
def client(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    app = App("toy", "Does it work?", (), studio="toy:PANEL")
    monkeypatch.setattr(server, "discover", lambda: (app,))
    monkeypatch.setattr(server, "load", lambda _: app)
    monkeypatch.setattr(server, "resolve", lambda _: PANEL)
    with TestClient(server.studio(jobs, [HERE], megabytes=0.01)) as client:
        yield client


def sent(**changed: str) -> dict[str, str]:
    return {"many": "3", "kind": "file", "word": "one", **changed}


def ended(jobs: Jobs, address: str) -> Job:
    job = jobs.get(address.rpartition("/")[2])
    for _ in range(1200):
        if job.ended:
            return job
        time.sleep(0.1)
    raise AssertionError(f"the job is still {job.state}: {job.log}")


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "0", "10", "2.5", "1e9", "3; rm"])
def test_a_slider_takes_nothing_beyond_its_ends(text: str) -> None:
    with pytest.raises(InputError, match="How many: must be a whole number from 1 to 9"):
        CONTROLS[0].read(text)


def test_a_slider_of_fractions_takes_what_lies_between_two_steps() -> None:
    assert Slider("t", "T", 1.8, 3.2, 2.3, 0.1).read("2.349") == 2.349


def test_words_are_one_line() -> None:
    assert Words("w", "W").read("  c1ccccc1 ") == "c1ccccc1"
    for text in ("a\nb", "a\x00b", "x" * 3000):
        with pytest.raises(InputError, match="one line"):
            Words("w", "W").read(text)


def test_an_upload_keeps_the_longest_suffix_and_nothing_else_of_its_name() -> None:
    upload = Upload("data", "Data", (".csv", ".csv.gz"))
    assert upload.suffix("../../etc/TABLE.CSV.GZ") == ".csv.gz"
    with pytest.raises(InputError, match=r"must be a file of \.csv"):
        upload.suffix("weights.pt")


def test_the_pages_are_there_and_fetch_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/toy", "/studio.js"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert not re.search(r"(src|href)=\"?https?:", answer.text)
    assert "default-src 'none'" in client.get("/").headers["content-security-policy"]


def test_a_job_runs_its_lines_and_its_page_and_files_can_be_fetched(
    client: TestClient, jobs: Jobs
) -> None:
    answer = client.post("/toy", data=sent(many="7", word="<b>"), follow_redirects=False)
    assert answer.status_code == 303
    job = ended(jobs, answer.headers["location"])
    assert job.state == "done", job.log
    assert "emulant 0" in job.log
    page = client.get(f"/jobs/{job.key}").text
    assert "<iframe" in page
    assert "emulant --version" in page
    shown = client.get(f"/jobs/{job.key}/files/index.html")
    assert shown.text == "<p>7 <b></p>"
    assert shown.headers["content-security-policy"].startswith("sandbox")
    kept = client.get(f"/jobs/{job.key}/files/index.html?keep")
    assert "attachment" in kept.headers["content-disposition"]
    again = client.get(f"/toy?like={job.key}").text
    assert 'value="7"' in again
    assert "&lt;b&gt;" in again


def test_a_refusal_of_the_command_is_shown(client: TestClient, jobs: Jobs) -> None:
    answer = client.post("/toy", data=sent(kind="nothing"), follow_redirects=False)
    job = ended(jobs, answer.headers["location"])
    assert job.state == "refused"
    assert "there-is-no-such-file.npz" in client.get(f"/jobs/{job.key}").text


def test_a_job_is_stopped_with_all_that_it_started(client: TestClient, jobs: Jobs) -> None:
    answer = client.post("/toy", data=sent(kind="endless"), follow_redirects=False)
    job = jobs.get(answer.headers["location"].rpartition("/")[2])
    for _ in range(600):
        if job.state == "running":
            break
        time.sleep(0.1)
    client.post(f"/jobs/{job.key}/stop")
    assert job.state == "stopped"
    assert job.process is not None
    job.process.join(20)
    assert not job.process.is_alive()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"many": "10"}, "How many: must be a whole number from 1 to 9"),
        ({"kind": "fil"}, "did you mean &#39;file&#39;?"),
        ({"word": "x" * 21}, "at most 20 characters"),
    ],
)
def test_a_wrong_value_is_refused_before_any_job(
    client: TestClient, changed: dict[str, str], said: str
) -> None:
    answer = client.post("/toy", data=sent(**changed))
    assert answer.status_code == 422
    assert said in answer.text


def test_a_missing_field_is_named(client: TestClient) -> None:
    answer = client.post("/toy", data={"many": "3"})
    assert answer.status_code == 422
    assert "Kind: is missing" in answer.text


def test_uploads_are_bounded_and_named_by_the_studio(client: TestClient, jobs: Jobs) -> None:
    small, large = b"a,b\n1,2\n", b"x" * 20_000
    files = {"data": ("../../../tmp/evil.csv", small)}
    answer = client.post("/toy", data=sent(), files=files, follow_redirects=False)
    job = ended(jobs, answer.headers["location"])
    assert (job.directory / "data.csv").read_bytes() == small
    assert client.post("/toy", data=sent(), files={"data": ("t.csv", large)}).status_code == 422
    assert client.post("/toy", data=sent(), files={"data": ("t.exe", small)}).status_code == 422
    whole = {"data": ("t.csv", b"x" * 300_000)}
    assert client.post("/toy", data=sent(), files=whole).status_code == 413


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", ".log", "%2e%2e/x", ""]
)
def test_no_path_leads_out_of_a_job(client: TestClient, jobs: Jobs, name: str) -> None:
    answer = client.post("/toy", data=sent(), follow_redirects=False)
    job = ended(jobs, answer.headers["location"])
    assert client.get(f"/jobs/{job.key}/files/{name}").status_code == 404


def test_strangers_are_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    evil = client.post("/toy", data=sent(), headers={"origin": "http://evil.example"})
    assert evil.status_code == 403
    own = client.post("/toy", data=sent(many="99"), headers={"origin": f"http://{HERE}"})
    assert own.status_code == 422
    assert client.get("/nothing").status_code == 404
    assert client.get("/jobs/guessed").status_code == 404


def test_too_many_waiting_jobs_are_refused(jobs: Jobs) -> None:
    for _ in range(3):
        jobs.new("toy", "index.html")
    with pytest.raises(InputError, match="too many jobs"):
        jobs.new("toy", "index.html")


def test_files_end_with_the_studio() -> None:
    jobs = Jobs()
    job = jobs.new("toy", "index.html")
    (job.directory / "secret.csv").write_text("x")
    jobs.close()
    assert not job.directory.exists()


@pytest.mark.parametrize(
    "wrong", [{"port": 70_000}, {"megabytes": 0.0}, {"minutes": -1.0}, {"host": "example.org"}]
)
def test_wrong_flags_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"--{next(iter(wrong))}"):
        StudioConfig(**wrong)


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    from emulant.cli import main

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["studio", "--port", port, "--no-open"]) == BAD_INPUT
    assert "cannot listen" in capsys.readouterr().err
