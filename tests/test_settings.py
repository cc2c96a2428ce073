from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from neuroalign.errors import FileError, InvalidValueError
from neuroalign.settings import check_settings, read_settings


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int = 1


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    part: Part | None = None
    parts: dict[str, Part] = {}


def written(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_becomes_the_model(tmp_path):
    found = read_settings(written(tmp_path, "name: é\npart: {width: 3}\n"), Whole)
    assert (found.name, found.part.width) == ("é", 3)


def test_every_error_has_its_line_and_a_misspelt_key_the_nearest_one(tmp_path):
    text = "name: a\n# a comment\npart:\n  widht: 3\nparts:\n  x:\n    width: wide\ncolour: red\n"
    with pytest.raises(InvalidValueError) as caught:
        read_settings(written(tmp_path, text), Whole)
    message = str(caught.value)
    assert message.splitlines()[0].endswith("mine.yaml has 3 error(s):")
    assert "line 4, part.widht: unknown key; did you mean 'width'?" in message
    assert "line 7, parts.x.width: Input should be a valid integer" in message
    assert "line 8, colour: unknown key; known keys are name, part, parts." in message


@pytest.mark.parametrize(
    ("text", "place"), [("part: 3", "line 2, part"), ("parts: {x: 3}", r"line 2, parts\.x")]
)
def test_a_value_where_keys_belong_is_told_the_keys(tmp_path, text, place):
    with pytest.raises(InvalidValueError, match=rf"\n  {place}: needs keys below it \(width\); got 3\.$"):
        read_settings(written(tmp_path, f"name: a\n{text}\n"), Whole)


class Study(BaseModel):
    name: str
    must: Part = Part(width=1)
    may: Part | None = None
    many: list[Part] | None = None
    named: dict[str, Part] = {}
    inner: Inner | None = None


class Inner(BaseModel):
    part: Part | None = None


Study.model_rebuild()


def test_an_empty_section_is_told_how_to_ask_for_its_defaults(tmp_path):
    text = "name: a\nmay:\nmust:\nmany:\ninner:\n  part: # all of it\n"
    with pytest.raises(InvalidValueError) as caught:
        read_settings(written(tmp_path, text), Study)
    assert str(caught.value).splitlines()[1:] == [
        "  line 3, must: needs keys below it (width); got None.",
        "  line 2, may: is empty; write 'may: {}' for its defaults, or take the line out.",
        "  line 6, inner.part: is empty; write 'part: {}' for its defaults, or take the line out.",
    ]


def test_a_section_that_is_null_in_so_many_words_is_absent(tmp_path):
    found = read_settings(written(tmp_path, "name: a\nmay: null\ninner: {part: ~}\n"), Study)
    assert found.may is None and found.inner == Inner()


def test_a_missing_key_is_named_without_a_line(tmp_path):
    with pytest.raises(InvalidValueError, match=r"^.*error\(s\):\n  name: is missing\.$"):
        read_settings(written(tmp_path, "part: {}\n"), Whole)


def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path):
    with pytest.raises(FileError, match=r"the key 'name' stands twice\s+in .*line 2"):
        read_settings(written(tmp_path, "name: a\nname: b\n"), Whole)


def test_labels_with_a_leading_zero_stay_text(tmp_path):
    assert read_settings(written(tmp_path, "name: 010\n"), Whole).name == "010"


@pytest.mark.parametrize("text", ["a: [1", "!!python/object/apply:os.system ['true']"])
def test_what_is_no_plain_yaml_is_refused(tmp_path, text):
    with pytest.raises(FileError, match="is not YAML"):
        read_settings(written(tmp_path, text), Whole)


def test_a_list_is_no_mapping(tmp_path):
    with pytest.raises(InvalidValueError, match="must be a mapping of keys to values; got list"):
        read_settings(written(tmp_path, "- a\n"), Whole)


def test_values_that_come_from_no_file_are_checked_without_lines():
    with pytest.raises(
        InvalidValueError, match=r"here has 1 error\(s\):\n  nmae: unknown key; did you mean 'name'"
    ):
        check_settings({"name": "a", "nmae": "b"}, Whole, where="here")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(FileError, match="could not be read: No such file"):
        read_settings(tmp_path / "none.yaml", Whole)


@pytest.mark.parametrize(
    "value",
    [
        "0b_",
        "0x_",
        "2001-99-99",
        "!!bool perhaps",
        "!!int ''",
        "!!float x",
        "!!timestamp x",
        "1" + ":1" * 400 + ".5",
    ],
)
def test_value_that_yaml_cannot_make_is_refused_with_its_line(tmp_path, value):
    path = tmp_path / "x.yaml"
    path.write_text(f"a: 1\nb: {value}\n")
    with pytest.raises(FileError, match=r"cannot be read(.|\n)*line 2"):
        read_settings(path, Whole)


def test_aliases_that_unfold_to_millions_are_refused(tmp_path):
    path = tmp_path / "x.yaml"
    rows = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    path.write_text("\n".join(rows))
    with pytest.raises(FileError, match="its aliases unfold to"):
        read_settings(path, Whole)


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a {a: *a}", "a: &a {b: [1, *a]}"])
def test_alias_to_itself_is_refused(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(FileError, match="line 1: an alias refers to itself"):
        read_settings(tmp_path / "x.yaml", Whole)


def test_ten_thousand_keys_are_read_in_a_moment_and_a_key_that_is_a_list_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("".join(f"k{i}: 1\n" for i in range(10_000)))
    with pytest.raises(InvalidValueError, match="error"):
        read_settings(path, Whole)
    path.write_text("? [a, b]\n: 1\n")
    with pytest.raises((FileError, InvalidValueError)):
        read_settings(path, Whole)
