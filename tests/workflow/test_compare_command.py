"""Two runs side by side: tables joined by their labels, exit codes, the page."""

from __future__ import annotations

import json
import math
import re

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from neuroalign import io
from neuroalign.workflow.cli import app
from neuroalign.workflow.reporting.tables import compare_tables

HEADER = ["roi", "score", "value", "n"]
ROWS = [["IT", "r", "0.5", "4"], ["V1", "r", "0.25", "4"], ["V1", "p", "n/a", "4"]]
SCRIPT = "<script>alert(1)</script>"


def write(folder, number=1, rows=ROWS, header=HEADER, *, png=b"\x89PNG", **changed):
    """Write a small made-up figure below ``folder/figures``."""
    place = folder / "figures"
    path = place / f"figure{number}"
    io.write_table(pd.DataFrame(rows, columns=header), path.with_suffix(".tsv"))
    io.write_bytes(png, path.with_suffix(".png"))
    io.write_bytes(b"%PDF", path.with_suffix(".pdf"))
    made = io.provenance(params={"study": folder.name, "n_folds": 5, "alphas": {"n": 3}}, seed=7)
    about = {"title": "Title", "caption": "Caption. More.", "notes": {}, "provenance": made | changed}
    io.write_json(about, path.with_suffix(".json"))
    return folder


def compare(*args):
    return CliRunner().invoke(app, ["compare", *map(str, args)])


@pytest.fixture
def both(tmp_path):
    return write(tmp_path / "a"), write(tmp_path / "b")


def test_same_tables_are_the_same_and_the_exit_code_is_0(both):
    found = compare(*both)
    assert found.exit_code == 0 and found.output.splitlines() == [
        "figure 1: the same values (3 rows)",
        "the tables are the same",
    ]


def test_tables_that_differ_are_told_and_the_exit_code_is_1(both):
    a, b = both
    write(b, rows=[["IT", "r", "0.5", "4"], ["V1", "r", "0.5", "3"], ["V1", "p", "n/a", "4"]])
    found = compare(a, b)
    assert found.exit_code == 1
    assert found.output.splitlines() == ["figure 1: 2 cells differ, by 1 at most", "the tables differ"]


def test_order_of_rows_and_of_columns_does_not_matter(both):
    a, b = both
    write(b, rows=[row[::-1] for row in ROWS[::-1]], header=HEADER[::-1])
    assert compare(a, b).exit_code == 0


@pytest.mark.parametrize(("tolerance", "code"), [("0.01", 0), ("0.001", 1)])
def test_tolerance_says_what_counts_as_the_same(both, tolerance, code):
    a, b = both
    write(b, rows=[["IT", "r", "0.505", "4"], *ROWS[1:]])
    assert compare(a, b, "--tolerance", tolerance).exit_code == code


def test_value_that_became_undefined_differs_whatever_the_tolerance(both):
    a, b = both
    write(b, rows=[["IT", "r", "n/a", "4"], *ROWS[1:]])
    assert compare(a, b, "--tolerance", "100").exit_code == 1


def test_figure_that_only_one_has_makes_them_differ(both):
    a, b = both
    write(b, number=2)
    found = compare(a, b)
    assert found.exit_code == 1 and "figure 2: only in the second" in found.output


def test_parameters_and_versions_are_told_and_do_not_make_tables_differ(both):
    a, b = both
    made = io.provenance(params={"study": "b", "n_folds": 4, "alphas": {"n": 5}}, seed=7)
    versions = made["versions"] | {"numpy": "0.1"}
    write(b, params=made["params"], versions=versions, threads=99)
    found = compare(a, b)
    assert found.exit_code == 0
    assert "figure 1: n_folds is 5, then 4" in found.output
    assert "figure 1: alphas.n is 3, then 5" in found.output
    assert ", then 0.1" in found.output and ", then 99" in found.output


def test_json_says_all_of_it(both):
    a, b = both
    write(b, rows=[*ROWS[:2], ["V2", "p", "0.01", "4"]])
    found = compare(a, b, "--json")
    said = json.loads(found.output)
    assert found.exit_code == 1 and said["same"] is False and said["only_a"] == []
    assert said["figures"]["1"] == {
        "same": False,
        "labels": ["roi", "score"],
        "n_rows": [3, 3],
        "n_cells_differ": 0,
        "largest_difference": 0.0,
        "n_rows_only_a": 1,
        "n_rows_only_b": 1,
        "columns_only_a": [],
        "columns_only_b": [],
        "n_rows_with_repeated_labels": 0,
    }


def test_page_shows_both_pictures_and_what_differs_and_loads_nothing(both, tmp_path):
    a, b = both
    write(b, rows=[["IT", "r", "0.75", "4"], *ROWS[1:]], png=b"\x89PNG other", seed=8)
    found = compare(a, b, "-o", tmp_path / "diff.html")
    html = (tmp_path / "diff.html").read_text(encoding="utf-8")
    assert found.exit_code == 1 and f"page: {tmp_path}/diff.html" in found.output.replace("\n", "")
    assert html.count("<img ") == 2 and "<td>+0.25</td>" in html
    assert '<tr><th scope="row">seed</th><td class="wrap">7</td><td class="wrap">8</td></tr>' in html
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert links and all(link.startswith(("#", "data:")) for link in links)
    download = re.search(r'data:text/tab-separated-values;base64,([^"]*)"', html)
    assert download is not None


def test_picture_that_both_share_stands_once(both, tmp_path):
    compare(*both, "-o", tmp_path / "diff.html")
    html = (tmp_path / "diff.html").read_text(encoding="utf-8")
    assert html.count("<img ") == 1 and "a and b, the same picture" in html


def test_script_in_a_label_and_in_a_title_stays_text(both, tmp_path):
    a, b = both
    for folder, value in ((a, "0.5"), (b, "0.6")):
        write(folder, rows=[[SCRIPT, "r", value, "4"]], params={"study": "x", "words": f"{SCRIPT}{value}"})
    compare(a, b, "-o", tmp_path / "diff.html")
    html = (tmp_path / "diff.html").read_text(encoding="utf-8")
    assert SCRIPT not in html and html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3
    assert html.count("<script>") == 1


def test_results_folder_of_one_study_is_found_by_itself(both):
    a, b = both
    assert compare(write(a.parent / "results" / "demo").parent, b).exit_code == 0


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((), "is no folder; name the results of a study"),
        (("empty",), "holds no results: there is no folder figures in it"),
        (("one/figures", "two/figures"), "has results of several studies; name one"),
        (("figures",), "holds no table of a figure"),
    ],
    ids=["missing", "empty", "several", "bare"],
)
def test_folder_without_results_is_refused_with_exit_code_2(both, tmp_path, made, said):
    for name in made:
        (tmp_path / "other" / name).mkdir(parents=True)
    found = compare(both[0], tmp_path / "other")
    assert found.exit_code == 2 and said in " ".join(found.output.split())


@pytest.mark.parametrize("tolerance", ["-1", "nan"])
def test_tolerance_that_is_none_is_refused(both, tolerance):
    found = compare(*both, "--tolerance", tolerance)
    assert found.exit_code == 2 and "--tolerance must be 0 or more" in found.output


def test_numbers_are_labels_only_where_texts_do_not_tell_rows_apart():
    header = ["network", "depth", "value"]
    rows = [["trained", "0", "0.1"], ["trained", "1", "0.2"]]
    assert compare_tables([header, *rows], [header, *rows]).labels == ["network", "depth"]
    assert compare_tables([header, rows[0]], [header, rows[0]]).labels == ["network"]


def test_rows_that_share_their_labels_are_joined_in_order_and_counted():
    header = ["set", "d"]
    rows = [["held-out", "1"], ["held-out", "2"], ["random", "0"]]
    found = compare_tables([header, *rows], [header, ["held-out", "1"], ["held-out", "2.5"], ["random", "0"]])
    assert found.n_repeated == 2 and [(d.a, d.b) for d in found.differences] == [("2", "2.5")]


def test_columns_of_yes_and_no_are_values_and_no_labels():
    header = ["roi", "clear"]
    found = compare_tables([header, ["IT", "True"]], [header, ["IT", "False"]])
    assert found.labels == ["roi"] and len(found.differences) == 1
    assert math.isnan(found.differences[0].change)


def test_columns_that_only_one_has_are_named():
    found = compare_tables([["roi", "r"], ["IT", "1"]], [["roi", "p"], ["IT", "1"]])
    assert (found.columns_a, found.columns_b, found.same) == (["r"], ["p"], False)


CELLS = st.sampled_from(["a", "b", "0.5", "1", "n/a", "-2e-3"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6))
def test_table_is_the_same_as_itself(rows):
    table = [["one", "two", "three"], *rows]
    assert compare_tables(table, table).same


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.text("abc", min_size=1), st.floats(-9, 9)), min_size=1, unique_by=lambda row: row[0]
    ),
    st.randoms(use_true_random=False),
)
def test_differences_are_those_of_a_dictionary_by_label(rows, random):
    first = [["name", "value"], *([f"x{name}", repr(value)] for name, value in rows)]
    changed = [(name, value + 1 if random.random() < 0.5 else value) for name, value in rows]
    random.shuffle(changed)
    second = [["name", "value"], *([f"x{name}", repr(value)] for name, value in changed)]
    wanted = {f"x{name}" for name, value in rows if repr(dict(changed)[name]) != repr(value)}
    assert {d.labels[0] for d in compare_tables(first, second).differences} == wanted
