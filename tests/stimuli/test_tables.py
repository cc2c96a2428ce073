from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroalign import io
from neuroalign.errors import FileError, InvalidValueError, LabelError, NeuroalignError, ShapeError
from neuroalign.stimuli import check_table, contrast, join_words, lower_case, read_table


@pytest.fixture
def table():
    return pd.DataFrame(
        {"stimulus": ["a", "b", "c"], "condition": ["easy", "hard", "easy"], "text": ["One", "Two", "Three"]}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def write(folder, content, name="words.tsv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_read_table_keeps_words_that_look_missing_or_like_numbers(tmp_path):
    path = write(tmp_path, "stimulus\ttext\tlabel\n007\tNA\tnull\n8\t12\tnan\n9\tn/a\tNone\n")
    table = read_table(path)
    assert table["stimulus"].tolist() == ["007", "8", "9"]
    assert table["text"].tolist() == ["NA", "12", "n/a"]
    assert table["label"].tolist() == ["null", "nan", "None"]


def test_read_table_makes_numbers_of_columns_that_hold_only_numbers(tmp_path):
    path = write(tmp_path, "stimulus\trun\tonset\tcode\ns1\t1\tn/a\t01\ns2\t-2\t1.5e1\t02\n")
    table = read_table(path, columns=["run"])
    assert table["run"].tolist() == [1, -2] and table["run"].dtype.kind == "i"
    assert np.isnan(table["onset"][0]) and table["onset"][1] == 15.0
    assert table["code"].tolist() == ["01", "02"]


@pytest.mark.parametrize(
    "content", ['stimulus,text\ns1,"a, b"\n', '\ufeffstimulus,text\r\ns1,"a, b"\r\n\r\n']
)
def test_read_table_reads_csv_with_quotes_byte_order_mark_and_windows_line_ends(tmp_path, content):
    assert read_table(write(tmp_path, content, "w.csv"))["text"].tolist() == ["a, b"]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1).filter(str.strip)


@given(texts=st.lists(texts, min_size=1, max_size=5))
def test_read_table_gives_back_what_write_table_wrote(folder, texts):
    path = folder / "t.tsv"
    table = pd.DataFrame({"stimulus": [f"s{i}" for i in range(len(texts))], "text": texts})
    io.write_table(table, path)
    assert read_table(path)["text"].tolist() == texts


@given(content=st.binary(max_size=60), end=st.sampled_from(["tsv", "csv"]))
def test_read_table_of_any_bytes_raises_our_errors_only(folder, content, end):
    path = write(folder, b"stimulus\ttext\n" + content, f"t.{end}")
    try:
        read_table(path)
    except NeuroalignError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("", FileError, "is empty; its first line must name the columns"),
        ("stimulus\ttext\ns1\n", FileError, "line 2: expected 2 fields, got 1"),
        ("stimulus\ttext\ns1\ta\nb\tc\td\n", FileError, "line 3: expected 2 fields, got 3"),
        ('stimulus\ttext\ns1\t"Hello\n', FileError, "with the inner ones doubled"),
        ("stimulus\ttext\ttext\n", FileError, "column names must be unique and not empty"),
        ("stimulus\t\ns1\ta\n", FileError, "column names must be unique and not empty"),
        ("text\nhello\n", LabelError, "lacks the column 'stimulus'; it has 'text'"),
        ("stimulus\ttext\ns1\ta\ns1\tb\n", LabelError, "1 labels of 'stimulus' are repeated: 's1'"),
        ("stimulus\ttext\n\ta\ns1\tb\n", LabelError, "must be non-empty text; got '' in row 0"),
        ("stimulus\ttext\n", ShapeError, "has no rows"),
        (b"stimulus\ttext\ns1\t\xff\n", FileError, "is not UTF-8 text"),
    ],
)
def test_read_table_names_the_file_and_what_is_wrong(tmp_path, content, error, words):
    path = write(tmp_path, content)
    with pytest.raises(error) as caught:
        read_table(path)
    assert str(path) in str(caught.value) and words in str(caught.value)


def test_read_table_names_the_columns_that_are_missing(tmp_path):
    path = write(tmp_path, "stimulus\ttext\ns1\ta\n")
    with pytest.raises(LabelError, match="lacks the columns 'condition', 'run'; it has 'stimulus', 'text'"):
        read_table(path, columns=["condition", "run"])


def test_read_table_refuses_other_endings_and_missing_files(tmp_path):
    with pytest.raises(FileError, match=r"must end in '.tsv', '.csv'; got '.xlsx'"):
        read_table(tmp_path / "t.xlsx")
    with pytest.raises(FileError, match="does not exist"):
        read_table(str(tmp_path / "t.tsv"))


def test_check_table_returns_the_table_itself(table):
    assert check_table(table, ["text", "condition"]) is table


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (["a"], ShapeError, "mine must be a pandas.DataFrame; got list"),
        (pd.DataFrame({"stimulus": [], "text": []}), ShapeError, "mine has no rows"),
        (pd.DataFrame(), LabelError, "mine lacks the columns 'stimulus', 'text'; it has none"),
        (pd.DataFrame({"stimulus": [1], "text": ["a"]}), LabelError, "got 1 in row 0 (1 of 1 rows)"),
        (pd.DataFrame({"stimulus": ["a", None], "text": ["a", "b"]}), LabelError, "are missing"),
        (pd.DataFrame({"stimulus": ["a", "b"], "text": ["a", " "]}), InvalidValueError, "got ' ' in row 1"),
        (
            pd.DataFrame([["a", "b", "c"]], columns=["stimulus", "text", "text"]),
            LabelError,
            "same name: 'text'",
        ),
    ],
)
def test_check_table_says_what_is_wrong(wrong, error, words):
    with pytest.raises(error) as caught:
        check_table(wrong, ["text"], name="mine")
    assert words in str(caught.value)


def test_lower_case_changes_a_copy_only(table):
    table.attrs["licence"] = "CC0-1.0"
    lower = lower_case(table)
    assert lower["text"].tolist() == ["one", "two", "three"] and lower.attrs == table.attrs
    assert table["text"].tolist() == ["One", "Two", "Three"]
    assert lower_case(table, column="stimulus")["text"].tolist() == ["One", "Two", "Three"]


def test_lower_case_names_the_missing_column(table):
    with pytest.raises(LabelError, match="table lacks the column 'sentence'; it has 'stimulus'"):
        lower_case(table, column="sentence")


def test_contrast_gives_both_conditions_in_the_order_of_the_table(table):
    easy, hard = contrast(table, "easy", "hard")
    assert easy["stimulus"].tolist() == ["a", "c"] and hard["stimulus"].tolist() == ["b"]
    assert easy.index.tolist() == [0, 1]


def test_contrast_lists_the_conditions_that_exist(table):
    with pytest.raises(InvalidValueError, match="positive must be one of 'easy', 'hard'; got 'sentence'"):
        contrast(table)
    with pytest.raises(InvalidValueError, match="negative must be one of 'easy', 'hard'; got 'nonword'"):
        contrast(table, "easy", "nonword")


def test_contrast_refuses_one_condition_twice_and_a_missing_column(table):
    with pytest.raises(InvalidValueError, match="must be two conditions; got 'easy' twice"):
        contrast(table, "easy", "easy")
    with pytest.raises(LabelError, match="lacks the column 'task'"):
        contrast(table, "easy", "hard", column="task")


words = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda word: word == word.strip())


@given(words=st.lists(words, max_size=8))
def test_join_words_spans_cut_the_words_out_again(words):
    text, spans = join_words(words)
    assert spans.shape == (len(words), 2) and spans.dtype == np.int64
    assert [text[start:stop] for start, stop in spans] == words
    assert text == " ".join(words)


@pytest.mark.parametrize("bad", ["", " ", "a ", "\n", 3, None])
def test_join_words_names_the_word_it_refuses(bad):
    with pytest.raises(InvalidValueError, match="at position 1"):
        join_words(["fine", bad])


def test_join_words_refuses_one_string():
    with pytest.raises(InvalidValueError, match=r"got one string, 'a story'\. Split it first"):
        join_words("a story")
