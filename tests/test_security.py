"""What is never done: running what a file holds, leaving a folder, showing a text as code."""

from __future__ import annotations

import ast
import base64
import json
import re
import runpy
import shlex
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import pandas as pd
import pytest
from typer.testing import CliRunner

import neuroalign
from neuroalign import datasets, io, plotting
from neuroalign.datasets.own.patterns import find_files
from neuroalign.errors import FileError, InvalidValueError, UnsafeError
from neuroalign.workflow.calls import Calls
from neuroalign.workflow.cli import app
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.reporting.page import SCRIPT
from neuroalign.workflow.reporting.page import page as render
from neuroalign.workflow.steps.report import report

ROOT = Path(neuroalign.__file__).parents[1]
SOURCES = sorted(
    path for place in ("neuroalign", "analyses", "benchmarks") for path in (ROOT / place).rglob("*.py")
)
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "joblib",
    "cloudpickle",
    "marshal",
    "shelve",
    "tarfile",
    "code",
}
CALLS = {"eval", "exec", "compile", "__import__"}
# file -> what stands there, and why it may
ALLOWED = {
    ("neuroalign/settings.py", "yaml.load"): "its loader is a subclass of SafeLoader, asserted below",
    ("neuroalign/extraction/models.py", "trust_remote_code"): "off unless asked for, with a hub commit; R9",
}


def dotted(node):
    """Return ``a.b.c`` of an expression; "" where it is something else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def word(call, name):
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def findings(text):
    """Give what is forbidden in a module: its line and what it is."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            yield from ((node.lineno, name) for name in names if name.split(".")[0] in MODULES)
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name in CALLS or name.startswith(
            ("os.system", "os.popen", "os.exec", "os.spawn", "pickle.", "joblib.")
        ):
            yield node.lineno, name
        if name == "torch.load" and getattr(word(node, "weights_only"), "value", False) is not True:
            yield node.lineno, name
        if name in (
            "yaml.load",
            "yaml.load_all",
            "yaml.unsafe_load",
            "yaml.full_load",
            "pd.read_pickle",
            "pd.eval",
        ):
            yield node.lineno, name
        for option in ("allow_pickle", "shell", "trust_remote_code"):
            value = word(node, option)
            if value is not None and getattr(value, "value", True) is not False:
                yield node.lineno, option


def test_nothing_in_the_sources_runs_what_a_file_or_a_text_holds(tried):
    bad = []
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        found = findings(path.read_text(encoding="utf-8"))
        bad += [f"{name}:{line}: {what}" for line, what in found if (name, what) not in ALLOWED]
    tried("R9", "modules without pickle, remote code, eval, shells, unsafe YAML", len(SOURCES), bad)


def test_every_exception_is_still_there():
    for name, what in ALLOWED:
        assert what in {found for _, found in findings((ROOT / name).read_text(encoding="utf-8"))}, name


@pytest.mark.parametrize(
    "line",
    [
        *(
            "import pickle",
            "from joblib import load",
            "eval(x)",
            "exec('a')",
            "torch.load(p)",
            "yaml.load(t, Loader=L)",
        ),
        *(
            "np.load(p, allow_pickle=True)",
            "subprocess.run(c, shell=True)",
            "os.system(c)",
            "pd.read_pickle(p)",
        ),
        *("AutoModel.from_pretrained(n, trust_remote_code=True)", "torch.load(p, weights_only=False)"),
    ],
)
def test_search_of_the_sources_finds_what_it_looks_for(line):
    assert list(findings(line))


def test_search_of_the_sources_lets_harmless_calls_pass():
    lines = [
        "module.eval()",
        "torch.load(p, weights_only=True)",
        "np.load(p, allow_pickle=False)",
        "re.compile('a')",
    ]
    assert list(findings("\n".join(lines))) == []


def test_yaml_loader_of_the_package_is_a_safe_one():
    import yaml

    from neuroalign.settings import _Strict

    assert issubclass(_Strict, yaml.SafeLoader) and not issubclass(_Strict, yaml.FullLoader)
    tags = {tag for tag in _Strict.yaml_constructors if tag is not None}
    assert all(tag.startswith("tag:yaml.org,2002:") and "python" not in tag for tag in tags)


@pytest.mark.parametrize(
    "title", ["'; touch canary; '", "$(touch canary)", "`touch canary`", '"\\n&& touch canary', "{x}"]
)
def test_study_comes_to_the_shell_quoted(title, tmp_path):
    study = load_study({"name": "mine", "title": title, "localizer": {}})
    paths = Paths(study, tmp_path)
    command = Calls(paths, ROOT).step(None, [paths.figure(1, "tsv").as_posix()])
    arguments = shlex.split(command)
    assert json.loads(arguments[arguments.index("--study") + 1])["title"] == title
    quoted = command.split(" ", 1)[1]
    call = ["sh", "-c", f"printf '%s\\n' {quoted}"]
    said = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == arguments[1:]
    assert not (tmp_path / "canary").exists()


def test_rules_put_nothing_unquoted_into_the_shell():
    """Placeholders are a call made by ``Calls``, numbers, names of ours, the log, or quoted (``:q``)."""
    ours = re.compile(r"params\.(step|python|what|twin|part|number)|threads|log|\w+\.\w+:q")
    for path in [ROOT / "Snakefile", *sorted((ROOT / "analyses").rglob("*.smk"))]:
        lines = re.findall(r"shell:\s*\n((?:\s+\".*\"\n)+)", path.read_text(encoding="utf-8"))
        for mark in re.findall(r"\{([^}]+)\}", "".join(lines)):
            assert ours.fullmatch(mark), (path, mark)


# Folders


@pytest.mark.parametrize("field", ["..", ".", "a/b", "../../etc", "a/../../b"])
def test_subject_that_is_a_path_is_refused(tmp_path, field):
    with pytest.raises(UnsafeError, match="is no plain name"):
        find_files(tmp_path, "{subject}/x.tsv", known={"subject": field})


@pytest.mark.parametrize("pattern", ["../x.tsv", "/etc/passwd", "a/../../b.tsv", "{subject}/../../x.tsv"])
def test_pattern_that_climbs_out_is_refused(tmp_path, pattern):
    with pytest.raises(UnsafeError, match="leaves its folder"):
        find_files(tmp_path, pattern)


def test_link_in_a_pattern_that_leads_out_is_refused(tmp_path):
    (tmp_path / "out.tsv").write_text("stimulus\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.tsv").symlink_to(tmp_path / "out.tsv")
    for pattern in ("x.tsv", "{subject}.tsv"):
        with pytest.raises(UnsafeError, match="leads out of"):
            find_files(tmp_path / "in", pattern)


@pytest.mark.parametrize("name", ["../up", "a/b", "/etc", "..", "a\\b", "a b", ""])
def test_study_whose_name_is_a_path_is_refused(name):
    with pytest.raises(InvalidValueError, match="name"):
        load_study({"name": name, "title": "x", "localizer": {}})


# Pages

TEXTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</style></title></textarea><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "<!-- --><a href='javascript:alert(1)'>x</a>",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
]


class Page(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.scripts, self.inside = [], [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        (self.scripts if self.inside == "script" else self.texts).append(data)


def harmless(html):
    """Return the page after a look at every tag: the one script is ours, nothing is loaded or listens."""
    page = Page(html)
    assert page.scripts == [SCRIPT]
    assert not {"svg", "iframe", "object", "embed", "base", "link", "form"} & {tag for tag, _ in page.tags}
    for tag, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        for name in ("src", "href"):
            assert name not in attrs or attrs[name].startswith(("#", "data:", "https://doi.org/")), (
                tag,
                attrs,
            )
    assert "script-src 'sha256-" in next(
        attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv")
    )
    return page


def make(folder, text, *, png=b"\x89PNG"):
    """Write the results of a study in which every word that a user chooses is ``text``."""
    value = {"name": "mine", "title": f"T {text}", "localizer": {}, "lesions": {}, "seed": 7}
    paths = Paths(load_study(value), folder)
    for number in paths.figures():
        table = pd.DataFrame({"name": [text, f"row {text}"], f"c {text}": [0.5, 3.0]})
        io.write_table(table, paths.figure(number, "tsv"))
        io.write_bytes(png, paths.figure(number, "png"))
        io.write_bytes(b"%PDF", paths.figure(number, "pdf"))
        made = io.provenance(
            inputs={text: text}, params={text: text, "stimuli": [text], "p": {text: 1}}, seed=7
        )
        about = {
            "title": f"F {text}",
            "caption": f"{text} C.",
            "notes": {"cite": text, text: text},
            "provenance": made,
        }
        io.write_json(about, paths.figure(number, "json"))
    return paths


@pytest.mark.parametrize("text", TEXTS)
def test_report_shows_any_text_of_a_study_and_runs_none(text, tmp_path, tried):
    paths = make(tmp_path, text)
    report(paths)
    page = harmless(paths.report.read_text(encoding="utf-8"))
    whole = "\n".join(page.texts)
    for shown in (f"T {text}", f"F {text}", f"{text} C.", f"row {text}", f"c {text}"):
        assert shown in whole, shown
    tried("R9", "texts of a study shown by report and comparison", 1)


@pytest.mark.parametrize("text", TEXTS)
def test_comparison_shows_any_text_of_a_study_and_runs_none(text, tmp_path, tried):
    a, b = make(tmp_path / "a", text), make(tmp_path / "b", text)
    table = pd.DataFrame({"name": [text, f"new {text}"], f"c {text}": [0.25, 3.0], f"d {text}": [1, 2]})
    io.write_table(table, b.figure(1, "tsv"))
    record = b.figure(1, "tsv").with_suffix(".provenance.json")
    assert not record.exists()
    out = tmp_path / "compare.html"
    folders = [str(one.figure(1, "tsv").parent.parent) for one in (a, b)]
    found = CliRunner().invoke(app, ["compare", *folders, "--out", str(out)])
    assert found.exit_code == 1, found.output
    whole = "\n".join(harmless(out.read_text(encoding="utf-8")).texts)
    assert f"F {text}" in whole and f"new {text}" in whole
    tried("R9", "texts of a study shown by report and comparison", 1)


def test_browser_runs_nothing_of_any_text(tmp_path):
    browser = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "workflow" / "browser.py")))
    where = browser.find()
    if where is None:
        pytest.skip("no chromium is installed")
    paths = make(tmp_path, " ".join(TEXTS))
    report(paths)
    with browser.tab(where) as tab:
        tab.call(
            "Page.addScriptToEvaluateOnNewDocument", source="window.alert = () => { window.ran = true; };"
        )
        tab.open(paths.report)
        assert tab.ask("window.ran") is None
        assert tab.ask("document.scripts.length") == 1
        assert tab.ask("document.body.innerText").count(TEXTS[0]) >= 4
        assert tab.ask("document.querySelectorAll('img').length") == len(paths.figures())


def test_templates_escape_but_for_what_is_ours():
    found = {}
    for path in sorted((ROOT / "neuroalign" / "workflow").rglob("*.html")):
        marks = re.findall(r"\{\{[^}]*\|\s*safe[^}]*\}\}|autoescape", path.read_text(encoding="utf-8"))
        found |= {path.name: marks} if marks else {}
    assert found == {"page.html": ["{{ style | safe }}", "{{ script | safe }}"]}
    with pytest.raises(Exception, match="undefined"):
        render("report.html")


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", '=HYPERLINK("x")'])
def test_cells_that_a_spreadsheet_would_compute_stay_as_they_are(cell, tmp_path):
    """A table is data for programs: a changed label would be another label. docs/security.md says so."""
    table = pd.DataFrame({"stimulus": [cell, "b"], "value": [1.0, 2.0]})
    io.write_table(table, tmp_path / "x.tsv")
    assert io.read_table(tmp_path / "x.tsv", text=("stimulus",))["stimulus"].tolist() == [cell, "b"]
    words = " ".join((ROOT / "docs" / "security.md").read_text(encoding="utf-8").split())
    assert "spreadsheet" in words and "as text" in words


def test_downloads_of_a_report_are_the_files_themselves(tmp_path):
    paths = make(tmp_path, TEXTS[1])
    report(paths)
    page = harmless(paths.report.read_text(encoding="utf-8"))
    links = {
        attrs["download"]: attrs["href"]
        for tag, attrs in page.tags
        if tag == "a" and "download" in attrs and "href" in attrs
    }
    for number in paths.figures():
        head, content = links[f"mine-figure{number}.tsv"].split(",")
        assert head == "data:text/tab-separated-values;base64"
        assert base64.b64decode(content) == paths.figure(number, "tsv").read_bytes()
    assert not [name for name in links if not re.fullmatch(r"[\w.-]+", name)]


# Figures

LABELS = [
    "$x_$",
    "US$ and $y",
    r"$\frac{1}$",
    r"\$",
    "a$b",
    r"$\input{/etc/passwd}$",
    "$$",
    "<b>",
    "{x}",
    "\\",
    "%",
]


@pytest.mark.parametrize("label", LABELS)
def test_label_that_is_no_formula_is_drawn(label, tmp_path):
    with plotting.style():
        drawn, axes = plotting.figure(1, 2)
        for ax in axes[0]:
            ax.bar(range(2), [1, 2])
            ax.set_xticks(range(2), [label, "b"])
            ax.set_title(label)
            ax.set_ylabel(label)
        axes[0, 1].set_yscale("log")
        axes[0, 0].text(0, 1, label)
        axes[0, 0].plot([0, 1], [0, 1], label=label)
        axes[0, 0].legend()
        plotting.panel_letters(axes[0])
        plotting.save_figure(drawn, tmp_path / "x", caption=label, title=label)
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["title"] == label
    assert axes[0, 0].get_title(loc="left").startswith(r"$\mathbf{a}$")
    assert axes[0, 0].title.get_parse_math()


def test_formulas_stay_formulas(tmp_path):
    with plotting.style():
        drawn, axes = plotting.figure()
        axes[0, 0].set_xlabel("$R^2$")
        axes[0, 0].set_yscale("log")
        axes[0, 0].plot([1, 2], [1, 1000])
        plotting.save_figure(drawn, tmp_path / "x", caption="c")
    assert axes[0, 0].xaxis.label.get_parse_math()
    assert all(label.get_parse_math() for label in axes[0, 0].get_yticklabels())
    assert mpl.rcParams["text.usetex"] is False


# Downloads


@pytest.mark.parametrize("repository", ["a/b@c", "../x", "a/b/c", "https://evil.org/x", "a b/c", ""])
def test_manifest_whose_repository_is_another_address_is_not_downloaded(repository, tmp_path, monkeypatch):
    entry = datasets.manifest()["kriegeskorte92"]
    changed = type(entry)(**{**vars(entry), "repository": repository})
    monkeypatch.setattr("neuroalign.datasets.fetching.find_set", lambda name: changed, raising=False)
    with pytest.raises((FileError, UnsafeError, InvalidValueError)):
        datasets.fetch("kriegeskorte92", root=tmp_path, progress=False)
    assert not list(tmp_path.rglob("*.mat"))
