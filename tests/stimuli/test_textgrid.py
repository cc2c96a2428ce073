from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroalign.errors import FileError, InvalidValueError, LabelError
from neuroalign.stimuli import read_textgrid, words_from_textgrid

GRID = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "word"
        xmin = 0
        xmax = 3.5
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "sp"
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "Alice "
        intervals [3]:
            xmin = 1.25
            xmax = 2e0
            text = ""
        intervals [4]:
            xmin = 2
            xmax = 3.5
            text = "said ""oh"""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 3.5
        points: size = 1
        points [1]:
            number = 1.5
            mark = "click"
'''


@pytest.fixture
def grid(tmp_path):
    def write(content=GRID):
        path = tmp_path / "a.TextGrid"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_read_textgrid_gives_every_interval_and_point_as_it_stands(grid):
    table = read_textgrid(grid())
    assert table.values.tolist() == [
        ["word", 0.0, 0.5, "sp"],
        ["word", 0.5, 1.25, "Alice "],
        ["word", 1.25, 2.0, ""],
        ["word", 2.0, 3.5, 'said "oh"'],
        ["clicks", 1.5, 1.5, "click"],
    ]
    assert table.attrs == {"tiers": ["word", "clicks"], "start": 0.0, "stop": 3.5}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_read_textgrid_reads_praats_encodings_and_line_ends(grid, encoding, end):
    content = GRID.replace("Alice ", "Zoë").replace("\n", end).encode(encoding)
    assert read_textgrid(grid(content))["text"][1] == "Zoë"


def test_read_textgrid_reads_labels_over_several_lines(grid):
    content = GRID.replace('"Alice "', '"one  \n\n  "" two"  ')
    assert read_textgrid(grid(content))["text"][1] == 'one  \n\n  " two'


def test_read_textgrid_keeps_the_names_of_empty_tiers(grid):
    content = GRID[: GRID.index("        points [1]")].replace("points: size = 1", "points: size = 0")
    table = read_textgrid(grid(content))
    assert table.attrs["tiers"] == ["word", "clicks"] and set(table["tier"]) == {"word"}
    only = content[: content.index("        intervals [1]")].replace("size = 4", "size = 0")
    empty = read_textgrid(grid(only.replace("size = 2\nitem", "size = 1\nitem")))
    assert empty.empty and list(empty.columns) == ["tier", "onset", "offset", "text"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"ooTextFile"', '"ooTextFile short"', 'line 1: expected File type = "ooTextFile"'),
        ('"TextGrid"', '"PitchTier"', 'line 2: expected Object class = "TextGrid"; got \'Object class ='),
        ("xmin = 0\n", "0\n", "line 4: expected xmin = <seconds>; got '0'. Only Praat's long text format"),
        ("xmax = 3.5", "xmax = nan", "line 5: expected xmax = <seconds>; got 'xmax = nan'"),
        ("xmax = 3.5", "xmax = 1e999", "line 5: expected a finite time; got inf"),
        ("xmax = 3.5", "xmax = -1", "line 5: expected xmax after xmin (0 s); got -1 s"),
        ("<exists>", "<absent>", "line 6: expected tiers? <exists>; got 'tiers? <absent>'"),
        ("size = 2", "size = many", "line 7: expected size = <number of tiers>"),
        ("size = 2", "size = 3", "where item [3]: was expected"),
        ("size = 2", "size = 999999999", "where item [3]: was expected"),
        ("size = 2", "size = 1", "line 31: expected the end of the file; got 'item [2]:'"),
        ("IntervalTier", "SoundTier", 'line 10: expected class = "IntervalTier" or "TextTier"'),
        ('"clicks"', '"word"', "line 33: expected a tier name of its own; got 'word' a second time"),
        ("size = 4", "size = 5", "line 31: expected intervals [5]:; got 'item [2]:'"),
        ("intervals [3]:", "intervals [2]:", "line 23: expected intervals [3]:; got 'intervals [2]:'"),
        ("xmax = 1.25", "xmax = 0.25", "line 21: expected xmax after xmin (0.5 s); got 0.25 s"),
        ("xmin = 1.25", "xmin = 1", "line 25: expected times within the tier's 1.25 to 3.5 s; got 1 to 2 s"),
        ("number = 1.5", "number = 4", "line 38: expected times within the tier's 0 to 3.5 s"),
        ('"sp"', "sp", "line 18: expected text = \"...\"; got 'text = sp'"),
        ('"sp"', '"sp" or', "line 18: expected nothing after the closing quote of text; got 'or'"),
        ('"click"', '"click', "line 39: expected a closing quote; got the end of the file"),
    ],
)
def test_read_textgrid_names_line_expectation_and_finding(grid, old, new, words):
    path = grid(GRID.replace(old, new, 1))
    with pytest.raises(FileError) as caught:
        read_textgrid(path)
    assert str(path) in str(caught.value) and words in str(caught.value)


def test_read_textgrid_says_where_a_file_is_cut_short(grid):
    path = grid(GRID[: GRID.index("            xmax = 1.25")])
    with pytest.raises(FileError, match="ends after line 21, where xmax = <seconds> was expected"):
        read_textgrid(path)


def test_read_textgrid_refuses_missing_files_folders_and_other_encodings(grid, tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        read_textgrid(tmp_path / "none.TextGrid")
    with pytest.raises(FileError, match="could not be read"):
        read_textgrid(tmp_path)
    with pytest.raises(FileError, match="neither UTF-8 text nor UTF-16 with a byte order mark"):
        read_textgrid(grid(GRID.replace("Alice", "Zoë").encode("latin-1")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("grids")


def parses_or_refuses(path):
    try:
        table = read_textgrid(path)
    except FileError as error:
        assert str(path) in str(error)
        return
    assert list(table.columns) == ["tier", "onset", "offset", "text"]
    assert (table["offset"] >= table["onset"]).all()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@given(length=st.integers(0, 2 * len(GRID) + 2))
def test_a_textgrid_cut_anywhere_is_refused(folder, encoding, length):
    content = GRID.encode(encoding)
    path = folder / "a.TextGrid"
    path.write_bytes(content[:length])
    if len(content[:length].decode(encoding, "ignore").rstrip()) < len(GRID.rstrip()):
        with pytest.raises(FileError):
            read_textgrid(path)
    else:
        parses_or_refuses(path)


change = st.tuples(st.integers(0, len(GRID) - 1), st.integers(0, 255))


@settings(max_examples=300)
@given(changes=st.lists(change, min_size=1, max_size=6))
def test_a_textgrid_with_changed_bytes_parses_or_is_refused(folder, changes):
    content = bytearray(GRID.encode())
    for position, byte in changes:
        content[position] = byte
    path = folder / "a.TextGrid"
    path.write_bytes(bytes(content))
    parses_or_refuses(path)


@settings(max_examples=200)
@given(order=st.lists(st.integers(0, GRID.count("\n") - 1), max_size=60))
def test_a_textgrid_with_lines_in_any_order_parses_or_is_refused(folder, order):
    lines = GRID.splitlines()
    path = folder / "a.TextGrid"
    path.write_text("\n".join([*lines[:14], *(lines[number] for number in order)]))
    parses_or_refuses(path)


def test_words_from_textgrid_leaves_out_pauses_and_shifts_time(grid):
    words = words_from_textgrid(grid(), shift=-0.5)
    assert words.values.tolist() == [["w0000", "Alice", 0.0, 0.75], ["w0001", 'said "oh"', 1.5, 3.0]]
    assert words.attrs == {"n_skipped": 2, "tier": "word", "shift": -0.5}


def test_words_from_textgrid_skips_the_labels_it_is_given(grid):
    assert words_from_textgrid(grid(), skip=["Alice"])["text"].tolist() == ["sp", "", 'said "oh"']
    with pytest.raises(LabelError, match="no word is left of the 1 intervals on tier 'clicks'"):
        words_from_textgrid(grid(), "clicks", skip=["click"])


def test_words_from_textgrid_lists_the_tiers_there_are(grid):
    with pytest.raises(InvalidValueError, match="must be one of 'word', 'clicks'; got 'words'"):
        words_from_textgrid(grid(), "words")


def test_words_from_textgrid_refuses_shifts_and_skips_that_make_no_sense(grid):
    with pytest.raises(InvalidValueError, match="shift must be finite seconds; got nan"):
        words_from_textgrid(grid(), shift=float("nan"))
    with pytest.raises(InvalidValueError, match="skip must be a list of labels; got one string, 'sp'"):
        words_from_textgrid(grid(), skip="sp")


def test_words_of_the_alice_chapter_are_2127(data_root):
    folder = data_root / "alice_fmri" / "alice_stim_shared"
    found = sorted(folder.glob("*.TextGrid"))
    if not found:
        pytest.skip(f"no TextGrid in {folder}")
    words = words_from_textgrid(found[0], "word", shift=-20.0)
    assert len(words) == 2127 and words.attrs["n_skipped"] == 296
    assert words["text"].iloc[[0, -1]].tolist() == ["Alice", "cake"]
    assert words["onset"].iloc[0] == pytest.approx(0.0589, abs=1e-4)
    assert words["onset"].is_monotonic_increasing and words["stimulus"].is_unique
