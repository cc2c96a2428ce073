from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from neuroalign import io
from neuroalign.errors import FileError
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.steps.report import report

SCRIPT = "<script>alert(1)</script>"
CAPTIONS = {1: f"Units & layers {SCRIPT}", 2: "What is lost. https://example.org/cite"}


def study(**changed):
    value = {"name": "mine", "title": "Mine & <b>yours</b>", "localizer": {}, "lesions": {}, "seed": 7}
    return load_study(value | changed)


def make(folder, *, simulated=False, **changed):
    """Write small made-up figures; return their paths."""
    paths = Paths(study(**changed), folder)
    for number in paths.figures():
        table = pd.DataFrame(
            {"name": [SCRIPT, f"row-{number}"], "value": [0.123456789, 3.0], "p": [float("nan"), 1e-7]}
        )
        io.write_table(table, paths.figure(number, "tsv"))
        io.write_bytes(b"\x89PNG" + bytes([number]), paths.figure(number, "png"))
        io.write_bytes(b"%PDF" + bytes([number]), paths.figure(number, "pdf"))
        about = {
            "title": f"Title {number} {SCRIPT}",
            "caption": CAPTIONS.get(number, "Caption"),
            "notes": {"simulated": simulated} if number > 2 else {},
            "provenance": io.provenance(inputs={"masks": f"digest-{number}"}, params={"x": SCRIPT}, seed=7),
        }
        io.write_json(about, paths.figure(number, "json"))
    for step, line in (("lesions", "12.34\t0:00:12\t345.6"), ("encode", "0.04\t0:00:00\t1.2")):
        io.write_text(f"s\th:m:s\tmax_rss\n{line}\n", paths.benchmark(step))
    return paths


class Page(HTMLParser):
    """The tags with their attributes, and the text of every cell, caption and heading."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.open = [], {}, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag in ("td", "figcaption", "h1", "h2", "code", "th", "p", "pre"):
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        for tag in self.open:
            if tag in self.texts:
                self.texts[tag][-1] += data


@pytest.fixture
def page(tmp_path):
    paths = make(tmp_path)
    report(paths)
    return Page(paths.report.read_text(encoding="utf-8"))


def test_report_loads_nothing_from_elsewhere(page):
    links = [
        value for _, attrs in page.tags for key, value in attrs.items() if key in ("src", "href", "srcset")
    ]
    assert links and all(link.startswith(("#", "data:")) for link in links)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    assert not [attrs for _, attrs in page.tags if any(key.startswith("on") for key in attrs)]


def test_stylesheet_of_the_report_loads_nothing_from_elsewhere(tmp_path):
    paths = make(tmp_path)
    report(paths)
    style = re.search("<style>(.*?)</style>", paths.report.read_text(), re.DOTALL)
    assert style is not None and "url(" not in style[1] and "@import" not in style[1]


def test_script_in_caption_title_cell_and_parameter_stays_text(page):
    assert page.texts["figcaption"] == [CAPTIONS[1], CAPTIONS[2]]
    assert page.texts["td"].count(SCRIPT) == 2
    assert page.texts["h2"][:2] == [f"Figure {n}. Title {n} {SCRIPT}" for n in (1, 2)]
    assert page.texts["h1"] == ["Mine & <b>yours</b>"]


def test_report_has_every_figure_as_png_pdf_and_table(page, tmp_path):
    paths = Paths(study(), tmp_path)
    images = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    kinds = {"png": "image/png", "pdf": "application/pdf", "tsv": "text/tab-separated-values"}
    downloads = {attrs["download"]: attrs["href"] for tag, attrs in page.tags if "download" in attrs}
    assert len(images) == 2 and len(downloads) == 6
    for number, image in zip((1, 2), images, strict=True):
        assert image == downloads[f"mine-figure{number}.png"]
        for extension, kind in kinds.items():
            head, content = downloads[f"mine-figure{number}.{extension}"].split(",")
            assert head == f"data:{kind};base64"
            assert base64.b64decode(content) == paths.figure(number, extension).read_bytes()


def test_every_image_has_an_alternative_text_and_every_link_a_target(page):
    assert all(attrs["alt"] for tag, attrs in page.tags if tag == "img")
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    inside = [attrs["href"][1:] for tag, attrs in page.tags if tag == "a" and attrs["href"].startswith("#")]
    assert inside == ["figure-1", "figure-2", "made"] and set(inside) <= ids


def test_report_has_the_values_rounded_for_reading(page):
    assert page.texts["th"][:3] == ["name", "value", "p"]
    assert page.texts["td"][:6] == [SCRIPT, "0.1235", "n/a", "row-1", "3", "1e-07"]


def test_report_shows_the_beginning_of_a_long_table_and_holds_all_of_it(tmp_path):
    paths = make(tmp_path)
    long = pd.DataFrame({"value": range(100_000, 101_500)})
    io.write_table(long, paths.figure(1, "tsv"))
    report(paths)
    html = paths.report.read_text(encoding="utf-8")
    assert "1500 rows; the first 1000 are shown, the TSV holds all" in html
    assert "<td>100999</td>" in html and "<td>101000</td>" not in html
    content = base64.b64encode(paths.figure(1, "tsv").read_bytes()).decode()
    assert content in html


def test_report_has_the_digest_of_every_table(page, tmp_path):
    paths = Paths(study(), tmp_path)
    digests = [io.file_digest(paths.figure(number, "tsv")) for number in (1, 2)]
    assert set(digests) <= set(page.texts["code"])


def test_report_has_provenance_configuration_versions_and_seed(page):
    shown = "\n".join(page.texts["pre"])
    assert all(part in shown for part in ("digest-1", "digest-2", '"seed": 7', '"fraction": 0.01'))
    about = " ".join(" ".join(page.texts["p"]).split())
    made = io.provenance()
    assert "seed 7, neuroalign " + made["neuroalign"] in about
    assert all(f"{name} {version}" in about for name, version in made["versions"].items())


def test_report_has_the_time_and_memory_of_every_step(page):
    cells = page.texts["td"]
    start = cells.index("encode")
    assert cells[start:] == ["encode", "0.0", "1", "lesions", "12.3", "346"]


def test_memory_that_was_not_measured_is_no_number(tmp_path):
    paths = make(tmp_path)
    io.write_text("s\th:m:s\tmax_rss\n0.04\t0:00:00\t-\n", paths.benchmark("encode"))
    report(paths)
    cells = Page(paths.report.read_text()).texts["td"]
    assert cells[cells.index("encode") :][:3] == ["encode", "0.0", "n/a"]


STORY = {"story": {"responses": "simulated", "simulation": {}}}


@pytest.mark.parametrize(("changed", "simulated"), [(STORY, True), (STORY, False), ({}, False)])
def test_simulated_is_said_where_responses_are_simulated_and_only_there(tmp_path, changed, simulated):
    paths = make(tmp_path, simulated=simulated, **changed)
    report(paths)
    html = paths.report.read_text()
    assert ("the brain responses in this report are simulated with a planted truth" in html) is simulated
    assert html.count('<section id="figure-') == (5 if changed else 2)


def test_same_inputs_give_the_same_bytes(tmp_path):
    one, two = make(tmp_path / "a"), make(tmp_path / "b")
    report(one)
    first = one.report.read_bytes()
    report(one)
    report(two)
    assert one.report.read_bytes() == first and two.report.read_bytes() == first


def test_report_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    paths = make(tmp_path)
    io.write_text("the old report", paths.report)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(FileError, match=r"report\.html could not be written: No space left on device"):
            report(paths)
    assert paths.report.read_text() == "the old report"
    assert not list(tmp_path.rglob(".neuroalign-*"))


@pytest.mark.parametrize("extension", ["json", "tsv", "png", "pdf"])
def test_missing_part_of_a_figure_is_named_and_no_report_is_written(tmp_path, extension):
    paths = make(tmp_path)
    paths.figure(2, extension).unlink()
    with pytest.raises(FileError, match=rf"figure2\.{extension} (does not exist|could not be read)"):
        report(paths)
    assert not paths.report.exists()


def test_report_without_step_times_is_written_too(tmp_path):
    paths = make(tmp_path)
    for path in (paths.folder / "benchmarks").iterdir():
        path.unlink()
    report(paths)
    assert 'id="made"' in paths.report.read_text()
