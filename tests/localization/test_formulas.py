import numpy as np
import pytest

from neuroalign import datasets
from neuroalign.errors import InvalidValueError
from neuroalign.localization import parse_formula

VALUES = {("1", "a"): 2.0, ("2", "a"): 3.0, ("1", "b"): 4.0, ("2", "b"): 0.5, ("3", "no-obj_x"): 7.0}


def margin(text, **options):
    return float(parse_formula(text).margin(lambda *key: VALUES[key], **options))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(1;%a%) < (1;%b%)", 2.0),
        ("(1;%a%)>(1;%b%)", -2.0),
        ("((1;%a%) + (2;%a%)) > (1;%b%)", 1.0),
        ("[(1;%a%)+(2;%a%)]>[(1;%b%)+(2;%b%)]", 0.5),
        ("(1;%b%) - (1;%a%) - (2;%b%) > 0", 1.5),
        ("(1;%b%) - ((1;%a%) - (2;%b%)) > 1.5", 1.0),
        ("-(1;%a%) < -1", 1.0),
        ("((1;%a%) < (1;%b%)) & ((2;%a%) < (2;%b%))", -2.5),
        ("(1;%a%) < (1;%b%) & (2;%a%) > (2;%b%)", 2.0),
        ("(1;%a%) > (1;%b%) & (2;%a%) > (2;%b%) | (1;%a%) > 0", 2.0),
        ("(3;%no-obj_x%) > (1;%a%)", 5.0),
        ("( 3 ; %no-obj_x% ) = 7", 0.0),
    ],
)
def test_margins_are_those_by_hand(text, expected):
    assert margin(text) == pytest.approx(expected)


def test_equality_holds_within_the_tolerance():
    assert margin("(1;%a%) = (2;%a%)", tolerance=1.5) == pytest.approx(0.5)
    assert margin("(1;%a%) = (2;%a%)", tolerance=0.5) < 0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("(1;%a%) < ", "expected a region, a number or a bracket at character 10, got 'the end'"),
        ("((1;%a%) < (1;%b%)", r"expected '\)' at character 18"),
        ("[(1;%a%) < (1;%b%))", "expected ']' at character 18"),
        ("(1;%a%) + (1;%b%)", "is a number, not a prediction"),
        ("(1;%a%) < (1;%b%) < 3", "expected the end at character 18, got '< 3'"),
        ("(1;%a%) & (1;%b%)", "an operator needs a comparison, but has a number"),
        ("((1;%a%) < 1) + 2 > 0", "an operator needs a number, but has a comparison"),
        ("__import__('os')", "cannot read .__import__"),
        ("(1;%a%) ** 2 > 1", r"cannot read '\*\* 2 > 1'"),
        ("(" * 60 + "1" + ")" * 60 + "> 0", "more than 50 nested brackets"),
        ("-" * 5000 + "1 > 0", "more than 50 nested brackets"),
        ("", "expected a region"),
    ],
)
def test_what_is_no_formula_is_refused_with_the_place(text, error):
    with pytest.raises(InvalidValueError, match=error):
        parse_formula(text)


def independent(text, values):
    """Python's own grammar, with & and | made words, as a second implementation (test only)."""
    import re

    code = re.sub(r"\(\s*(\d+)\s*;\s*%([^%]+)%\s*\)", lambda m: repr(values[m[1], m[2]]), text)
    code = code.replace("&", " and ").replace("=", "==").replace("[", "(").replace("]", ")")
    assert re.fullmatch(r"[-+<>=()\sanditor0-9.e]+", code), code
    return bool(eval(code, {"__builtins__": {}}))  # noqa: S307


def test_every_formula_of_all_suites_is_parsed_and_true_where_python_says_so(data_root, rng):
    table = datasets.load("syntaxgym", what="predictions", root=data_root)
    assert len(table) == 32 and table["suite"].nunique() == 31
    truths = []
    for text in table["formula"]:
        formula = parse_formula(text)
        for _ in range(40):
            values = {key: float(np.round(rng.uniform(0, 20), 2)) for key in formula.regions}
            found = float(formula.margin(lambda *key, values=values: values[key])) > 0
            assert found == independent(text, values), (text, values)
            truths.append(found)
    assert 0.1 < np.mean(truths) < 0.9


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("[", "]"), ("-", "")])
def test_fifty_nested_brackets_or_signs_are_read_and_one_more_is_not(opening, closing):
    for n in (1, 49, 50):
        assert margin(opening * n + "1" + closing * n + " > -3") == (
            4.0 if opening != "-" or n % 2 == 0 else 2.0
        )
    with pytest.raises(InvalidValueError, match="more than 50 nested brackets"):
        parse_formula(opening * 51 + "1" + closing * 51 + " > -3")


def test_brackets_one_after_the_other_are_not_nested():
    assert margin(" + ".join(["((1))"] * 60) + " > " + " - ".join(["-(2)"] * 30)) == 60 - (-2 + 2 * 29)


@pytest.mark.parametrize("n", [18, 19, 40])
def test_an_error_shows_twenty_letters_of_the_rest(n):
    rest = "< " + "3" * n
    with pytest.raises(InvalidValueError) as found:
        parse_formula("(1;%a%) < 1 " + rest)
    assert str(found.value).endswith(f"expected the end at character 12, got {rest[:20]!r}.")


def test_blanks_anywhere_change_neither_places_nor_values():
    assert margin("  (1;%a%)   <\t(1;%b%)  ") == 2.0
    with pytest.raises(
        InvalidValueError, match="expected a region, a number or a bracket at character 13, got '>'"
    ):
        parse_formula("  (1;%a%)  < >")
