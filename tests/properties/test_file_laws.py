"""Laws of labelled files, labels, and what data sets and stimuli are made into."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from laws import LABELS, SEEDS, law, noise, patterns, rdms

from neuroalign import datasets, io, schema, stimuli

KINDS = st.sampled_from([np.float32, np.float64, np.int16, np.int64, np.bool_])
UNIQUE = st.lists(LABELS, min_size=1, max_size=5, unique=True)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | LABELS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LABELS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def labelled(draw):
    """Any labelled array: any numbers, any text as labels, any plain attributes."""
    names = draw(UNIQUE)
    width = draw(st.integers(1, 3))
    values = draw(hnp.arrays(draw(KINDS), (len(names), width)))
    layer = draw(st.lists(LABELS, min_size=width, max_size=width))
    attrs = draw(st.dictionaries(st.from_regex("[a-z]{1,6}", fullmatch=True), PLAIN, max_size=3))
    attrs.pop("provenance", None)
    return xr.DataArray(
        values, dims=("stimulus", "unit"), coords={"stimulus": names, "layer": ("unit", layer)}, attrs=attrs
    )


@law(25)
@given(x=labelled())
def test_what_is_saved_is_what_is_loaded(tmp_path_factory, x):
    path = tmp_path_factory.mktemp("law") / "x.nc"
    before = x.copy(deep=True)
    digest = io.save(x, path)
    found = io.load(path)
    found.attrs.pop("provenance")
    assert found.dtype == x.dtype and found.values.tobytes() == x.values.tobytes()
    for name in x.coords:
        assert found[name].values.tolist() == x[name].values.tolist()
    assert found.attrs == x.attrs == before.attrs
    assert digest == io.content_digest(x) == io.stored_digest(path)
    xr.testing.assert_identical(x, before)


@law(25)
@given(x=labelled(), at=st.integers(0, 10**6), row=st.integers(0, 4))
def test_a_changed_label_or_value_changes_the_digest(x, at, row):
    value = x.copy(deep=True)
    flat = value.values.reshape(-1).view(np.uint8)
    if x.dtype == np.bool_:
        flat[at % flat.size] ^= 1
    else:
        flat[at % flat.size] ^= 2
    names = x["stimulus"].values.astype(object)
    names[row % len(names)] = str(names[row % len(names)]) + "'"
    label = x.assign_coords(stimulus=names.astype(str))
    assert len({io.content_digest(one) for one in (x, value, label)}) == 3


@law(30)
@given(names=st.lists(LABELS, min_size=2, max_size=6, unique=True), seed=SEEDS)
def test_aligning_twice_is_aligning_once_and_follows_the_first(names, seed):
    rng = np.random.default_rng(seed)
    one = patterns(noise(len(names), 2, seed=seed), labels=names)
    two = one.isel(stimulus=rng.permutation(len(names)))
    a, b = schema.align(one, two)
    xr.testing.assert_identical(a, one)
    xr.testing.assert_identical(b, one)
    again = schema.align(a, b)
    xr.testing.assert_identical(again[0], a)
    xr.testing.assert_identical(again[1], b)


@law(30)
@given(n=st.integers(3, 8), keep=st.integers(2, 8), seed=SEEDS)
def test_an_inner_alignment_keeps_what_all_share(n, keep, seed):
    keep = min(keep, n)
    one = patterns(noise(n, 2, seed=seed))
    two = one.isel(stimulus=np.random.default_rng(seed).choice(n, keep, replace=False))
    a, b = schema.align(one, two, how="inner")
    assert set(a["stimulus"].values) == set(two["stimulus"].values)
    xr.testing.assert_identical(a, b)


@law(20)
@given(n=st.integers(2, 8), k=st.integers(1, 3), seed=SEEDS)
def test_a_square_and_its_triangle_are_one(n, k, seed):
    x = rdms(n, k, seed=seed)
    full = schema.square(x)
    np.testing.assert_array_equal(schema.triangle(full), x.values)
    assert schema.n_stimuli_of_pairs(x.sizes["pair"]) == n
    xr.testing.assert_identical(schema.align(x, x)[0], x)


@law(20)
@given(words=st.lists(st.text("abcäé語🧠", min_size=1, max_size=6), min_size=1, max_size=8))
def test_words_stand_in_their_text_where_they_are_said_to(words):
    text, spans = stimuli.join_words(words)
    assert [text[start:stop] for start, stop in spans] == words
    assert text.split() == words


@law(20)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=4))
def test_lower_case_is_its_own_fixed_point_and_edits_nothing(texts):
    table = pd.DataFrame({"stimulus": [f"s{i}" for i in range(len(texts))], "text": texts})
    before = table.copy(deep=True)
    once = stimuli.lower_case(table)
    pd.testing.assert_frame_equal(stimuli.lower_case(once), once)
    pd.testing.assert_frame_equal(table, before)


def run(n, seed):
    coords = {"time": 2.0 * np.arange(n), "run": ("time", np.ones(n, dtype=int)), "neuroid": ["a", "b"]}
    return xr.DataArray(
        noise(n, 2, seed=seed).cumsum(axis=0), dims=("time", "neuroid"), coords=coords, attrs={"tr": 2.0}
    )


@law(12)
@given(seed=SEEDS, n=st.integers(20, 40), detrend=st.sampled_from(["linear", "cosine"]))
def test_cleaning_a_clean_series_changes_nothing(seed, n, detrend):
    once = datasets.clean(run(n, seed), detrend=detrend)
    np.testing.assert_allclose(datasets.clean(once, detrend=detrend), once, atol=1e-9)
    np.testing.assert_allclose(datasets.clean(7 * run(n, seed) + 3, detrend=detrend), once, atol=1e-9)


@law(12)
@given(seed=SEEDS, a=st.floats(-3, 3))
def test_convolution_with_a_response_is_linear(seed, a):
    x, y = run(30, seed), run(30, seed + 1)
    found = datasets.convolve_hrf(a * x.values + y.values, 2.0)
    expected = a * datasets.convolve_hrf(x.values, 2.0) + datasets.convolve_hrf(y.values, 2.0)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@law(6)
@given(seed=SEEDS, n=st.integers(5, 12))
def test_generated_stimuli_are_decided_by_their_seed(seed, n):
    first, again, other = (stimuli.sequences(n, s) for s in (seed, seed, seed + 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
