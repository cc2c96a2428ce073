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
