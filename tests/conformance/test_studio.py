"""The laws that the panel of every application obeys, and one of them in a real browser."""

import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulant.app import App, discover, load, resolve
from emulant.cli import parse
from emulant.studio.panel import Panel, Upload

PANELS = [app for app in (load(found.name) for found in discover()) if app.studio]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

every_panel = pytest.mark.parametrize("app", PANELS, ids=[app.name for app in PANELS])


def values_of(panel: Panel) -> dict[str, object]:
    """What a form says that nobody has touched."""
    return {c.name: None if isinstance(c, Upload) else c.read(str(c.value)) for c in panel.controls}


def test_every_application_has_a_panel() -> None:
    assert [app.name for app in PANELS] == [found.name for found in discover()]


@every_panel
def test_an_untouched_form_makes_lines_that_parse(app: App, tmp_path: Path) -> None:
    panel = resolve(str(app.studio))
    lines = panel.lines(values_of(panel), tmp_path)
    for name, verb, *flags in lines:
        assert name == app.name
        parse(app.command(verb), f"emulant {name} {verb}", flags)
    assert str(tmp_path) not in str(lines), "lines are typed again elsewhere: no absolute paths"
    assert panel.page.partition("/")[0] in lines[-1]


@every_panel
def test_controls_have_names_of_their_own(app: App) -> None:
    names = [control.name for control in resolve(str(app.studio)).controls]
    assert len(set(names)) == len(names)


@pytest.fixture
def address() -> Iterator[str]:
    """A studio at a free port."""
    uvicorn = pytest.importorskip("uvicorn")
    from emulant.studio.jobs import Jobs
    from emulant.studio.server import studio

    web = studio(Jobs(), ["127.0.0.1"])
    server = uvicorn.Server(uvicorn.Config(web, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_person_draws_maps_in_a_browser(address: str, width: int, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as tools:
        window = tools.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = window.new_page(viewport={"width": width, "height": 900})
        beyond: list[str] = []
        page.on("request", lambda r: r.url.startswith(address) or beyond.append(r.url))
        page.goto(f"{address}/lensing")
        slider = page.get_by_label("σ₈, slider")
        slider.focus()
        slider.press("ArrowRight")
        assert page.get_by_label("σ₈", exact=True).input_value() == "0.805"
        page.get_by_label("Maps", exact=True).fill("3")
        page.get_by_role("button", name="Draw").click()
        done = re.compile("done|refused|broken|stopped")
        playwright.expect(page).to_have_title(done, timeout=300_000)
        assert page.get_by_role("status").inner_text() == "Done."
        report = page.frame_locator("iframe")
        assert "What this map shows" in report.locator("h2").first.inner_text()
        with page.expect_download() as fetched:
            page.get_by_role("link", name="maps.h5").click()
        fetched.value.save_as(tmp_path / "maps.h5")
        assert (tmp_path / "maps.h5").read_bytes()[1:4] == b"HDF"
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, "the page scrolls sideways"
        assert beyond == []
        window.close()
