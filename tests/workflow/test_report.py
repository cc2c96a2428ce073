from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

import neuroalign
from neuroalign import io
from neuroalign.errors import FileError
from neuroalign.workflow import reporting
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.reporting.analyses import words_for
from neuroalign.workflow.reporting.citations import bibtex, citations, doi_link, pieces, reference
from neuroalign.workflow.reporting.concerns import Concern, together
from neuroalign.workflow.reporting.facts import Facts
from neuroalign.workflow.reporting.page import SCRIPT as SCRIPT_OF_THE_PAGE
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
        if tag in ("td", "figcaption", "h1", "h2", "h3", "code", "th", "p", "pre"):
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
    loaded = [value for _, attrs in page.tags for key, value in attrs.items() if key in ("src", "srcset")]
    links = [attrs["href"] for _, attrs in page.tags if "href" in attrs]
    assert loaded and all(value.startswith("data:") for value in loaded)
    # A link is followed by the reader alone; the only ones that lead elsewhere are DOIs of known references.
    known = {link[1] for key in citations() if (link := doi_link(key))}
    assert links and all(link.startswith(("#", "data:")) or link in known for link in links)
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    assert [attrs for tag, attrs in page.tags if tag == "script"] == [{}]
    assert not [attrs for _, attrs in page.tags if any(key.startswith("on") for key in attrs)]


def test_stylesheet_of_the_report_loads_nothing_from_elsewhere(tmp_path):
    paths = make(tmp_path)
    report(paths)
    style = re.search("<style>(.*?)</style>", paths.report.read_text(), re.DOTALL)
    assert style is not None and "url(" not in style[1] and "@import" not in style[1]


def test_script_in_caption_title_cell_and_parameter_stays_text(page):
    assert page.texts["figcaption"] == [CAPTIONS[1], CAPTIONS[2]]
    assert page.texts["td"].count(SCRIPT) == 4  # in two tables of values and two of parameters
    assert page.texts["h3"][:2] == [f"Figure {n}. Title {n} {SCRIPT}" for n in (1, 2)]
    assert page.texts["h1"] == ["Mine & <b>yours</b>"]


def test_report_has_every_figure_as_png_pdf_and_table(page, tmp_path):
    paths = Paths(study(), tmp_path)
    images = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    kinds = {"png": "image/png", "pdf": "application/pdf", "tsv": "text/tab-separated-values"}
    sources = {attrs["id"]: attrs["src"] for tag, attrs in page.tags if tag == "img"}
    links = [attrs for _, attrs in page.tags if str(attrs.get("download", "")).startswith("mine-figure")]
    downloads = {
        attrs["download"]: sources[attrs["data-image"]] if "data-image" in attrs else attrs["href"]
        for attrs in links
    }
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
    inside = {attrs["href"][1:] for _, attrs in page.tags if attrs.get("href", "").startswith("#")}
    wanted = {"content", "summary", "warnings", "figure-1", "figure-2", "methods", "references", "made"}
    assert wanted | {"configuration"} == inside and inside <= ids


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


def paths_of(folder):
    return Paths(study(), folder)


def test_report_has_the_time_and_memory_of_every_step(page, tmp_path):
    html = paths_of(tmp_path).report.read_text()
    rows = re.findall(r'<tr><th scope="row">(\w+)</th><td>([\d.]+)</td><td>(\d+)</td></tr>', html)
    assert rows == [("encode", "0.0", "1"), ("lesions", "12.3", "346")]
    assert "2 steps, 12.4 seconds of work in all." in html


def test_memory_that_was_not_measured_is_no_number(tmp_path):
    paths = make(tmp_path)
    io.write_text("s\th:m:s\tmax_rss\n0.04\t0:00:00\t-\n", paths.benchmark("encode"))
    report(paths)
    assert '<tr><th scope="row">encode</th><td>0.0</td><td>n/a</td></tr>' in paths.report.read_text()


STORY = {"story": {"responses": "simulated", "simulation": {}}}


@pytest.mark.parametrize(("changed", "simulated"), [(STORY, True), (STORY, False), ({}, False)])
def test_simulated_is_said_where_responses_are_simulated_and_only_there(tmp_path, changed, simulated):
    paths = make(tmp_path, simulated=simulated, **changed)
    report(paths)
    html = paths.report.read_text()
    assert ("are simulated with a planted truth. They show" in html) is simulated
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


def test_report_does_not_count_the_time_of_the_report_before_it(tmp_path):
    paths = make(tmp_path)
    before = shown(paths)
    measured = next((paths.folder / "benchmarks").iterdir())
    paths.benchmark("report").write_bytes(measured.read_bytes())
    assert shown(paths) == before


def test_report_without_step_times_is_written_too(tmp_path):
    paths = make(tmp_path)
    for path in (paths.folder / "benchmarks").iterdir():
        path.unlink()
    report(paths)
    assert 'id="made"' in paths.report.read_text()


def shown(paths):
    report(paths)
    return paths.report.read_text(encoding="utf-8")


def rewritten(paths, number, **changed):
    path = paths.figure(number, "json")
    io.write_json({**io.read_json(path), **changed}, path)


def words_of(html):
    """Return everything that is read, without styles and scripts."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(style|script)>.*?</\1>", "", html)).split())


def test_headings_follow_each_other_without_a_gap(tmp_path):
    levels = [int(level) for level in re.findall(r"<h([1-6])", shown(make(tmp_path, **STORY)))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_page_has_landmarks_a_skip_link_and_a_language(page):
    names = [tag for tag, _ in page.tags]
    assert [names.count(name) for name in ("header", "main", "footer", "nav")] == [1, 1, 1, 1]
    assert dict(page.tags)["html"] == {"lang": "en"}
    first = next(attrs for tag, attrs in page.tags if tag == "a")
    main = next(attrs for tag, attrs in page.tags if tag == "main")
    assert first == {"class": "skip", "href": "#content"} and main == {"id": "content", "tabindex": "-1"}


def test_every_region_and_section_is_named_and_every_id_is_there_once(page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    named = [attrs for tag, attrs in page.tags if tag == "section"]
    assert named and all(attrs["aria-labelledby"] in ids for attrs in named)
    boxes = [attrs for _, attrs in page.tags if attrs.get("class") == "scroll"]
    assert boxes and all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in boxes)
    labels = [attrs["aria-label"] for attrs in boxes]
    assert len(labels) == len(set(labels))


def test_every_table_has_a_caption_and_every_header_cell_a_scope(page):
    tables = [tag for tag, _ in page.tags if tag == "table"]
    captions = [tag for tag, _ in page.tags if tag == "caption"]
    assert tables and len(tables) == len(captions)
    assert all(attrs["scope"] in ("col", "row") for tag, attrs in page.tags if tag == "th")


def test_colours_can_be_chosen_by_keyboard_and_have_names(tmp_path):
    html = shown(make(tmp_path))
    choices = re.findall(
        r'<label><input type="radio" name="theme" id="(theme-\w+)"( checked)?> (\w+)</label>', html
    )
    assert choices == [
        ("theme-system", " checked", "System"),
        ("theme-light", "", "Light"),
        ("theme-dark", "", "Dark"),
    ]
    assert "<legend>Colours</legend>" in html


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def themes():
    blocks = re.findall(r"color-scheme: (light|dark);([^}]*)}", page_style())
    return [(name, dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))) for name, block in blocks]


def page_style():
    return (Path(reporting.__file__).parent / "page.css").read_text(encoding="utf-8")


def test_every_theme_has_every_colour_and_both_dark_ones_are_the_same():
    found = themes()
    assert [name for name, _ in found] == ["light", "dark", "dark"]
    assert found[1][1] == found[2][1] and found[0][1].keys() == found[1][1].keys()


@pytest.mark.parametrize(("theme", "colours"), themes()[:2], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        *(("ink", back, 4.5) for back in ("paper", "note", "band")),
        *(("soft", back, 4.5) for back in ("paper", "band")),
        ("link", "paper", 4.5),
        ("focus", "paper", 3.0),
        ("line", "paper", 3.0),
    ],
)
def test_contrast_is_aa_in_both_themes(theme, colours, front, back, least):
    assert contrast(colours[front], colours[back]) >= least, theme


def test_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_focus_is_visible_and_nothing_hides_it():
    style = page_style()
    assert "a:focus-visible" in style and "outline: 3px solid var(--focus)" in style
    assert "outline: none" not in style and "outline: 0" not in style


def test_only_the_script_of_the_page_is_admitted_by_its_digest(tmp_path):
    html = shown(make(tmp_path))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    digest = base64.b64encode(hashlib.sha256(SCRIPT_OF_THE_PAGE.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and policy.startswith(
        "default-src 'none'; img-src data:;"
    )
    assert html.count("<script>") == 1 and f"<script>{SCRIPT_OF_THE_PAGE}</script>" in html


def test_image_stands_in_the_file_once(tmp_path):
    paths = make(tmp_path)
    content = base64.b64encode(paths.figure(1, "png").read_bytes()).decode()
    assert shown(paths).count(f"data:image/png;base64,{content}") == 1


def test_figure_of_other_columns_is_not_guessed_at(tmp_path):
    said = words_of(shown(make(tmp_path)))
    assert said.count("See its caption and table.") == 2
    assert "The summary could not say everything: headline (&#39;layer&#39;)." in said


def lesion_figure(paths):
    """Write a small figure 2 whose numbers are known."""
    rows = [
        ("intact", "named", 0, 0.9, 0.0, None, None, None),
        ("language", "named", 5, 0.5, -0.4, -0.5, -0.3, 0.25),
    ]
    rows += [
        (f"uniform-{i:03d}", "uniform", 5, 0.9 - e, -e, None, None, None)
        for i, e in enumerate((0.1, 0.2, 0.3))
    ]
    columns = ["mask", "kind", "n_units", "accuracy", "effect", "low", "high", "p_uniform"]
    io.write_table(pd.DataFrame(rows, columns=columns), paths.figure(2, "tsv"))
    params = study(lesions={"kinds": ["uniform"], "n_controls": 3, "pairs": "blimp"}).lesions.model_dump(
        mode="json"
    )
    notes = {"network": "Net", "n_language": 5, "n_items": 40, "n_units": 50, "n_outliers": 2}
    made = io.provenance(params={"study": "mine", **params}, seed=7)
    rewritten(paths, 2, notes=notes | {"n_unmatched": 4}, provenance=made)


def test_summary_says_the_main_number_its_interval_and_its_control(tmp_path):
    paths = make(tmp_path)
    lesion_figure(paths)
    said = words_of(shown(paths))
    assert "Without them accuracy is 0.500 instead of 0.900 (chance 0.5), a change of -0.400" in said
    assert "(95 % interval -0.500 to -0.300)" in said
    assert "uniform -0.200 (-0.300 to -0.100), p 0.250; no p is below 0.250." in said


def test_method_has_the_parameters_that_were_used_and_its_references(tmp_path):
    paths = make(tmp_path)
    lesion_figure(paths)
    html = shown(paths)
    said = words_of(html)
    assert "there were 40 pairs, blimp ( Warstadt et al. 2020 )." in said
    assert "(uniform) had 3 random masks" in said and "bootstraps over pairs (2,000 draws)" in said
    assert html.count('href="#ref-warstadt2020"') == 1 and '<li id="ref-warstadt2020">Warstadt, A.' in html
    assert "ref-maris2007" not in html


def test_bibtex_to_download_holds_the_package_and_what_is_cited(tmp_path):
    paths = make(tmp_path)
    lesion_figure(paths)
    about = io.read_json(paths.figure(1, "json"))
    rewritten(paths, 1, notes=about["notes"] | {"cite": "Doe & Roe 2001, 5 % {of} it"})
    link = re.search(r'href="data:text/x-bibtex;base64,([^"]*)" download="mine.bib"', shown(paths))
    text = base64.b64decode(link[1]).decode()
    keys = re.findall(r"@\w+\{(\w+),", text)
    assert keys[0] == "neuroalign" and keys[-1] == "data1" and {"warstadt2020", "efron1979"} <= set(keys)
    assert r"note = {Doe \& Roe 2001, 5 \% \{of\} it}" in text
    assert "doi = {10.1162/tacl_a_00321}" in text


def test_warnings_name_figure_count_and_reason(tmp_path):
    paths = make(tmp_path)
    lesion_figure(paths)
    notes = {
        "upper_edge": 0.33172,
        "lower_edge": 0.0,
        "edge_share": {"pixels": 0.5},
        "excluded": {"s33": "constant series", "runs": {"run-2": "motion"}},
        "n_undefined": {"waves": 0, "sensors": 12},
        "draws": {"spearman": {"n_undefined": 2}},
        "replaced": ["brainscore selects 4096 units"],
    }
    rewritten(paths, 1, notes=notes)
    html = shown(paths)
    box = words_of(html[html.index('<section id="warnings"') : html.index('<section id="figures"')])
    for text in (
        "33 % of ridge penalties are at the upper edge of the grid.",
        "50 % of ridge penalties (pixels) are at an edge of the grid.",
        "Left out: s33 (constant series).",
        "Left out of the runs: run-2 (motion).",
        "Undefined values (n/a), sensors: 12.",
        "draws: spearman: Undefined values (n/a): 2.",
        "brainscore selects 4096 units.",
        "Units without a partner in the matched controls: 4.",
        "With n_controls = 3 no p can be below 0.250",
        "Made with lesions.n_controls = 3, and the configuration says 20: run the study again.",
    ):
        assert text in box, text
    assert "lower edge" not in box and "waves" not in box


def test_figures_of_different_versions_are_told(tmp_path):
    paths = make(tmp_path)
    about = io.read_json(paths.figure(2, "json"))
    rewritten(paths, 2, provenance=about["provenance"] | {"neuroalign": "0.0.1", "seed": 3})
    said = words_of(shown(paths))
    assert "Not all figures were made with the same neuroalign: " in said and "0.0.1 (figures 2)" in said
    assert "Not all figures were made with the same seed: 7 (figures 1); 3 (figures 2)." in said


def test_analysis_that_the_configuration_leaves_out_is_told(tmp_path):
    changed = {"localizer": None, "lesions": None, **STORY}
    said = words_of(shown(make(tmp_path, **changed)))
    assert "Language units were not compared with random units (figure 5)" in said


def test_table_that_is_not_the_one_that_was_drawn_is_refused(tmp_path):
    paths = make(tmp_path)
    rewritten(paths, 1, sha256="0" * 64)
    with pytest.raises(FileError, match=r"figure1\.tsv is not the table that figure 1 was drawn from"):
        report(paths)
    assert not paths.report.exists()


@cache
def docstrings():
    """Return the whole package's source as one line, an umlaut written in one way."""
    files = sorted(Path(neuroalign.__file__).parent.rglob("*.py"))
    text = " ".join(path.read_text(encoding="utf-8") for path in files)
    return " ".join(text.split()).replace("Schuett", "Schütt")


@pytest.mark.parametrize("key", sorted(citations()))
def test_reference_is_one_that_the_docstrings_give(key):
    entry = citations()[key]
    family = entry["author"].split(",")[0]
    pages = entry.get("pages", "").split("-")[0]
    named = [f"{entry['volume']}:{pages}"] if "volume" in entry else [entry.get("eprint", entry["year"])]
    # A preprint may be cited without its year, by its title.
    found = any(
        family in text and entry["year"] in text for last in [*named, entry["year"]] for text in before(last)
    )
    assert found or any(family in text for text in before(entry["title"])), (family, named)


def before(last):
    """Return what stands in the docstrings up to each place where ``last`` does."""
    places = [found.start() for found in re.finditer(re.escape(last), docstrings())]
    return [docstrings()[max(0, place - 160) : place + len(last)] for place in places]


FIELDS = {"article": {"journal"}, "inproceedings": {"booktitle"}, "book": {"publisher"}, "misc": {"eprint"}}


@pytest.mark.parametrize("key", sorted(citations()))
def test_reference_has_the_fields_of_its_kind_in_their_form(key):
    entry = citations()[key]
    assert {"author", "title", "year", *FIELDS[entry["type"]]} <= entry.keys()
    assert re.fullmatch(r"(18|19|20)\d\d", entry["year"])
    assert all(re.fullmatch(r"[^,]+, [^,]+", name) for name in entry["author"].split(" and "))
    assert re.fullmatch(r"10\.\d{4,9}/[^\s{}]+", entry.get("doi", "10.1234/x"))
    assert re.fullmatch(r"\d{4}\.\d{5}", entry.get("eprint", "1234.56789"))
    assert ("eprint" in entry) is (entry.get("archivePrefix") == "arXiv")
    first, _, last = entry.get("pages", "1").partition("-")
    assert re.fullmatch(r"e?\d+", first) and (not last or int(first) < int(last))


def test_no_key_of_the_references_stands_twice():
    file = Path(reporting.__file__).parent / "citations.json"
    keys = re.findall(r'^ "(\w+)": {', file.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(keys) == len(set(keys)) == len(citations())
    assert len({entry.get("doi", key) for key, entry in citations().items()}) == len(keys)


def test_every_reference_is_cited_in_the_words_of_a_figure():
    folder = Path(reporting.__file__).parent
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert [key for key in citations() if not re.search(rf"@{key}\b", text)] == []


def parsed(text):
    """Entries of BibTeX by their key, read by counting braces."""
    found = {}
    for head in re.finditer(r"^@(\w+)\{(\w+),$", text, re.MULTILINE):
        depth, end = 1, head.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0) if text[end - 1] != "\\" else 0
            end += 1
        body = text[head.end() : end - 1]
        fields = re.findall(r"^  (\w+) = \{(.*)\},?$", body, re.MULTILINE)
        assert len(fields) == body.strip().count("\n") + 1
        found[head[2]] = {"type": head[1], **dict(fields)}
    return found


def test_bibtex_of_all_references_is_well_formed():
    entries = parsed(bibtex(citations(), version="1.0", data=["A & B, 5 % of {it}"]))
    assert list(entries) == ["neuroalign", *citations(), "data1"]
    assert entries["welch1947"]["pages"] == "28--35"
    assert entries["gurnee2024"]["title"] == "Universal neurons in {GPT2} language models"
    assert entries["duchon1979"]["doi"] == "10.1175/1520-0450(1979)018<1016:LFIOAT>2.0.CO;2"


def test_reference_without_volume_or_journal_reads_well():
    assert reference("kovaleva2021").endswith("ACL-IJCNLP 2021, 3392\N{EN DASH}3405.")
    assert reference("fisher1935") == "Fisher, R. A. (1935). The design of experiments. Oliver and Boyd."
    assert reference("li2016").endswith(
        "representations? International Conference on Learning Representations, arXiv:1511.07543."
    )
    assert doi_link("duchon1979")[1].endswith("018%3C1016:LFIOAT%3E2.0.CO;2")


def test_a_warning_of_several_figures_is_said_once_with_links_to_each(tmp_path):
    paths = make(tmp_path)
    for number in (1, 2):
        rewritten(paths, number, notes={"excluded": {"s33": "constant series"}})
    html = shown(paths)
    assert (
        '<li><a href="#figure-1">Figure 1</a> and <a href="#figure-2">figure 2</a>: '
        "Left out: s33 (constant series).</li>"
    ) in html
    assert html.count("Left out: s33") == 1


def test_warnings_of_the_whole_study_belong_to_no_figure():
    found = together([Concern(None, "a"), Concern(3, "b"), Concern(1, "b")])
    assert [(one.figures, one.text) for one in found] == [((), "a"), ((3, 1), "b")]


def test_every_mark_in_a_method_is_a_known_reference():
    folder = Path(reporting.__file__).parent
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    marks = set(re.findall(r"@([a-z_]+\d*[a-z]*\d*)(?=[;\]])", text)) - {"key"}
    assert marks and marks <= set(citations())


def test_mark_in_a_parameter_stays_text():
    assert [piece.text for piece in pieces("stimuli [@nobody1999]")] == ["stimuli [@nobody1999]"]


def test_every_figure_that_a_study_can_ask_for_has_a_report_without_words_too(tmp_path):
    assert words_for(999, Facts(pd.DataFrame(), {}, {})) == (None, None, None, ())
