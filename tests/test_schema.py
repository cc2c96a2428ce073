import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroalign import schema
from neuroalign.errors import InvalidValueError, LabelError, ShapeError


def activations(labels, *, units=2):
    values = np.arange(len(labels) * units, dtype=float).reshape(len(labels), units)
    return xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": list(labels)})


def rdm(labels):
    n = len(labels)
    return schema.make_rdm(np.arange(n * (n - 1) / 2), list(labels))


def test_check_returns_what_came():
    x = activations("abc")
    assert schema.check(x, "activations") is x
    assert schema.check(rdm("abc"), "rdm").sizes["pair"] == 3


@pytest.mark.parametrize("noun", ["activations", "responses", "series", "mask", "rdm"])
def test_check_refuses_other_dims(noun):
    x = xr.DataArray(np.zeros((2, 2)), dims=("foo", "bar"))
    with pytest.raises(ShapeError, match=f"{noun} must have dims .*got \\('foo', 'bar'\\)"):
        schema.check(x, noun)


def test_check_names_missing_coordinates():
    x = xr.DataArray(np.zeros(2, dtype=bool), dims="unit", coords={"layer": ("unit", ["a", "a"])})
    with pytest.raises(LabelError, match="mask lacks the coordinates 'site', 'index'"):
        schema.check(x, "mask")


def test_check_refuses_an_unknown_noun_and_a_plain_array():
    with pytest.raises(InvalidValueError, match="noun must be one of 'activations'"):
        schema.check(activations("ab"), "verb")
    with pytest.raises(ShapeError, match=r"x must be an xarray\.DataArray; got ndarray"):
        schema.check(np.zeros(2), "series", name="x")


def test_scores_may_have_any_score_dims():
    assert schema.check(xr.DataArray(np.zeros((2, 3)), dims=("fold", "neuroid")), "scores") is not None
    with pytest.raises(ShapeError):
        schema.check(xr.DataArray(np.zeros(2), dims="banana"), "scores")


def test_align_reorders_to_the_first():
    a, b = activations("abc"), activations("cab")
    left, right = schema.align(a, b)
    assert left.stimulus.values.tolist() == right.stimulus.values.tolist() == ["a", "b", "c"]
    assert right.sel(stimulus="c").identical(b.sel(stimulus="c"))
    assert b.stimulus.values.tolist() == ["c", "a", "b"]


def test_align_names_what_is_missing_and_the_way_out():
    with pytest.raises(LabelError) as error:
        schema.align(activations("abcd"), activations("ab"), names=("responses", "activations"))
    expected = "responses: 2 of 4 labels of 'stimulus' are not in activations: 'c', 'd'. Pass how=\"inner\""
    assert expected in str(error.value)


def test_align_notices_labels_that_only_the_second_has():
    with pytest.raises(LabelError, match=r"array 2: 1 of 3 .* are not in array 1: 'c'"):
        schema.align(activations("ab"), activations("abc"))


def test_align_inner_keeps_what_all_share():
    found = schema.align(activations("abcd"), activations("dxb"), rdm("bdyz"), how="inner")
    assert [schema.labels(x).tolist() for x in found] == [["b", "d"]] * 3


def test_align_refuses_disjoint_labels_even_inner():
    with pytest.raises(LabelError, match="share no label"):
        schema.align(activations("ab"), activations("cd"), how="inner")


def test_align_refuses_duplicates_missing_labels_and_other_types():
    with pytest.raises(LabelError, match="1 labels of 'stimulus' are repeated: 'a'"):
        schema.align(activations("aab"), activations("ab"))
    numbered = activations("ab").assign_coords(stimulus=[1, 2])
    with pytest.raises(LabelError, match=r"are string in array 1 .* and integer in array 2"):
        schema.align(activations("ab"), numbered)
    with pytest.raises(LabelError, match="1 of 2 labels of 'stimulus' are missing"):
        schema.align(activations("ab").assign_coords(stimulus=[1.0, np.nan]), activations("ab"))


def test_align_refuses_another_way_and_things_without_labels():
    with pytest.raises(InvalidValueError, match="how must be one of"):
        schema.align(activations("ab"), how="outer")
    with pytest.raises(LabelError, match="no labels along 'stimulus'"):
        schema.align(xr.DataArray(np.zeros(2), dims="stimulus"))
    with pytest.raises(ShapeError, match="must be a DataArray, Dataset or DataFrame; got list"):
        schema.align([1, 2])


def test_align_takes_tables_and_datasets():
    table = pd.DataFrame({"stimulus": ["b", "a"], "text": ["B", "A"]})
    _, found = schema.align(activations("ab").to_dataset(name="l0"), table)
    assert found["text"].tolist() == ["A", "B"]
    with pytest.raises(LabelError, match="has no column 'stimulus'"):
        schema.align(table.drop(columns="stimulus"), table)


@given(st.permutations("abcdef"))
def test_aligning_a_permuted_rdm_gives_back_the_rdm(order):
    whole = rdm("abcdef")
    square = pd.DataFrame(schema.square(whole.values), index=list("abcdef"), columns=list("abcdef"))
    moved = square.loc[list(order), list(order)].to_numpy()
    permuted = schema.make_rdm(moved[np.triu_indices(6, 1)], list(order))
    assert schema.align(whole, permuted)[1].equals(whole)


def test_an_rdm_needs_its_pairs_in_order():
    shuffled = rdm("abcd").isel(pair=[1, 0, 2, 3, 4, 5])
    with pytest.raises(LabelError, match="not the upper triangle of 4 stimuli"):
        schema.rdm_stimuli(shuffled)
    with pytest.raises(LabelError, match="lacks the pair labels"):
        schema.rdm_stimuli(rdm("abc").drop_vars("stimulus_a"))
    with pytest.raises(ShapeError, match="2 pairs are not"):
        schema.rdm_stimuli(rdm("abc").isel(pair=[0, 1]))
    with pytest.raises(ShapeError, match="needs at least 2 stimuli"):
        schema.rdm_stimuli(rdm("abc").isel(pair=[]))


def test_make_rdm_refuses_a_wrong_number_of_pairs_and_repeated_stimuli():
    with pytest.raises(ShapeError, match="3 stimuli have 3 pairs"):
        schema.make_rdm(np.zeros(4), list("abc"))
    with pytest.raises(LabelError, match="repeated"):
        schema.make_rdm(np.zeros(3), list("aab"))


@given(st.integers(2, 60))
def test_the_number_of_stimuli_follows_from_the_number_of_pairs(n):
    assert schema.n_stimuli_of_pairs(n * (n - 1) // 2) == n


def test_square_is_symmetric_with_the_diagonal_asked_for():
    full = schema.square(np.array([1.0, 2.0, 3.0]), diagonal=9)
    assert full.tolist() == [[9, 1, 2], [1, 9, 3], [2, 3, 9]]


def test_triangle_is_the_inverse_of_square():
    values = np.random.default_rng(0).random((2, 10))
    values[0, 3] = np.nan
    np.testing.assert_array_equal(schema.triangle(schema.square(values)), values)
    np.testing.assert_array_equal(schema.triangle(schema.square(values, diagonal=np.nan)), values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({(0, 1): 5.0}, r"2 entries are not, the first at \(0, 1\): 5 against 1"),
        ({(0, 1): np.nan}, r"2 entries are not, the first at \(0, 1\): nan against 1"),
        ({(1, 1): 1.0, (2, 2): 1.0}, r"2 entries of the diagonal are not 0, the first at \(1,\): 1"),
    ],
    ids=["asymmetric", "one side missing", "diagonal"],
)
def test_triangle_refuses_what_is_no_rdm(change, message):
    full = schema.square(np.array([1.0, 2.0, 3.0]))
    for at, value in change.items():
        full[at] = value
    with pytest.raises(InvalidValueError, match=message):
        schema.triangle(full)


def test_square_matrices_are_pointed_to_triangle():
    with pytest.raises(ShapeError, match=r"must be square, of at least 2 stimuli; got shape \(2, 3\)"):
        schema.triangle(np.zeros((2, 3)))
    for n in (3, 4):
        with pytest.raises(ShapeError, match=r"Pass triangle\(matrix\) for a square matrix"):
            schema.make_rdm(np.zeros((n, n)), list("abcd")[:n])


def test_a_mask_is_flat_with_layer_site_and_index():
    mask = schema.make_mask(np.array([True, False]), layer=["a", "b"], site="block", index=[3, 1], k=1)
    assert schema.check(mask, "mask").attrs == {"k": 1}
    with pytest.raises(ShapeError, match="a mask must be booleans"):
        schema.make_mask(np.array([1.0]), layer=["a"], site="block", index=[0])
    with pytest.raises(ShapeError, match="index must have shape"):
        schema.make_mask(np.array([True]), layer=["a"], site="block", index=[0, 1])
