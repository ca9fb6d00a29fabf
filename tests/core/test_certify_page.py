"""Pages are self-contained, escaped, whole, and the same bytes for the same results."""

import re

import numpy as np
import pytest

from emulant.certify import Case, Statistic, Tolerance, certify
from emulant.certify.page import Badge, Page, Section, Table, figure, style


@pytest.fixture(scope="module")
def certificate():
    rng = np.random.default_rng(0)
    means = Statistic(
        "mean",
        lambda x: x,
        labels=("a", "b", "<c>"),
        unit="K",
        tolerance=Tolerance(0.05, by="Müller & Söhne <2020>"),
    )
    first = Statistic("first", lambda x: x[:, :1], tolerance=Tolerance(0.3))
    cases = []
    for k, shift in enumerate((0.0, 0.05, 3.0)):
        x = rng.normal(shift, 1, (400, 3))
        cases.append(
            Case(
                f"T = {k} & more",
                x,
                truth=rng.normal(0, 1, (500, 3)),
                log_weight=-shift * x[:, 0],
                extrapolated=k == 1,
            )
        )
    return certify(cases, [means, first], seed=0, provenance={"command": "x <y>", "seed": 0})


def picture():
    from matplotlib.figure import Figure

    with style():
        drawn = Figure(figsize=(3.5, 2.0))
        axes = drawn.add_subplot()
        axes.imshow(np.eye(4))
        axes.plot([0, 3], [0, 3], "o", clip_on=True)
        return drawn


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_drawing_gives_the_same_bytes(kind):
    assert figure(picture(), "c", format=kind) == figure(picture(), "c", format=kind)


def test_a_certificate_page_is_self_contained_and_escaped(certificate):
    html = certificate.to_html([figure(picture(), "Samples & truth")])
    assert html == certificate.to_html([figure(picture(), "Samples & truth")])
    outside = set(re.findall(r"(?:https?:)?//[^\s\"'<>]+", html))
    assert outside <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }  # names of languages, never fetched
    assert "<script" not in html
    assert "@import" not in html
    assert "<c>" not in html
    assert "&lt;c&gt;" in html
    assert "M\u00fcller &amp; S\u00f6hne &lt;2020&gt;" in html
    assert "x &lt;y&gt;" in html
    assert "Samples &amp; truth" in html


def test_ids_are_unique_on_the_page(certificate):
    ids = re.findall(r'\bid="([^"]+)"', certificate.to_html())
    assert len(ids) == len(set(ids))


def test_the_verdict_is_said_in_words_first(certificate):
    html = certificate.to_html()
    body = html[html.index("<main>") :]
    assert "fail, extrapolated" in body[:600].lower()


def test_every_number_of_the_page_is_in_the_json(certificate):
    import json

    record = json.loads(certificate.to_json())
    assert record["schema"] == "emulant-certificate/1"
    assert record["headline"] == "FAIL, EXTRAPOLATED"
    entry = record["cases"][2]["statistics"][0]["bins"][0]
    first = certificate.cases[2].statistics[0].bins[0]
    for name in ("estimate", "bias", "low", "high", "effect", "worth", "p_adjusted", "needed"):
        assert entry[name] == getattr(first, name)
    assert record["cases"][2]["reweighting"] == "refused"


def test_write_makes_both_files_and_nothing_else(certificate, tmp_path):
    certificate.write(tmp_path / "report")
    names = sorted(p.name for p in (tmp_path / "report").iterdir())
    assert names == ["certificate.json", "index.html"]


def test_a_page_of_several_sections(tmp_path):
    section = Section(
        "One",
        question="Is it?",
        verdict="underpowered",
        headline="42 K",
        lead="first\n\nsecond",
        tables=[Table(("a", "b"), [("x", Badge("pass"))], "caption", folded=True)],
        next_command="emulant x --y <z>",
    )
    Page("Title", [section] * 3, {"seed": 1}).write(tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.count("emulant x --y &lt;z&gt;") == 3
    assert "<details>" in html
    assert "? </span>" not in html
    assert "underpowered" in html
