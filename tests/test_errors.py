import numpy as np
import pytest

from neuroalign import errors


def test_every_error_is_a_neuroalign_error():
    for name in ("FileError", "InvalidValueError", "LabelError", "ShapeError", "UnsafeError"):
        assert issubclass(getattr(errors, name), errors.NeuroalignError)


def test_listing_quotes_names_and_counts_the_rest():
    assert errors.listing(["a", "b"]) == "'a', 'b'"
    assert errors.listing(np.array(["a", "b", "c"]), limit=1) == "'a' and 2 more"


def test_choice_lists_what_is_allowed():
    assert str(errors.choice("x", ["a", "b"], name="method")) == "method must be one of 'a', 'b'; got 'x'."


def test_an_error_can_be_caught_as_the_builtin_it_specialises():
    with pytest.raises(ValueError, match="k"):
        raise errors.InvalidValueError("k")


def test_a_label_of_a_page_is_cut_and_its_length_said():
    assert len(errors.listing(["x" * 50_000, "y"])) < 300
    assert "... (50,002 characters), 'y'" in errors.listing(["x" * 50_000, "y"])
    assert "(50,002 characters)" in str(errors.choice("x" * 50_000, ["a"], name="kind"))
