"""R17: how many stimuli, targets or spheres are taken at once, and where is padded, changes nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import xarray as xr
from laws import STIMULI, TEXTS, WORDS, data, estimators, noise, patterns, rdms, series
from tiny import build

from neuroalign import encoding, extraction, rsa, similarity
from neuroalign.extraction import wrap

SIZES = (1, 2, 7)
ALL = 100
# Components of partial least squares are of all targets together: another block is another model.
ESTIMATORS = {name: make for name, make in estimators().items() if name != "PLSCV"}
QUIET = {"progress": False}
EXTRACTIONS = {
    "extract, last": lambda m, n: extraction.extract(m, STIMULI, batch_size=n, **QUIET),
    "extract, mean": lambda m, n: extraction.extract(m, STIMULI, pool="mean", batch_size=n, **QUIET),
    "extract_moments": lambda m, n: extraction.extract_moments(m, STIMULI, batch_size=n, **QUIET),
    "extract_words": lambda m, n: extraction.extract_words(
        m, WORDS, context=16, stride=8, batch_size=n, **QUIET
    ),
    "extract_attention": lambda m, n: extraction.extract_attention(m, STIMULI, batch_size=n, **QUIET),
    "sentence_log_probs": lambda m, n: extraction.sentence_log_probs(
        m, extraction.prepare_sentences(m, TEXTS, batch_tokens=max(1, 20 * n)), **QUIET
    ),
}


def arrays_of(found):
    """Every array of floating point numbers in a result, by name."""
    if isinstance(found, xr.Dataset | dict):
        return {str(k): np.asarray(v) for k, v in found.items() if np.asarray(v).dtype.kind == "f"}
    return {"": np.asarray(found)}


def apart(a, b, tolerance):
    return [
        f"{name} by {np.nanmax(abs(value - b[name])):.1e}"
        for name, value in a.items()
        if not np.allclose(value, b[name], rtol=tolerance, atol=tolerance, equal_nan=True)
    ]


@pytest.fixture(scope="module")
def padded():
    """The same network with its tokenizer padding on the right and on the left."""
    torch.set_num_threads(1)
    right = build()
    tokenizer = copy.deepcopy(right.tokenizer)
    tokenizer.padding_side = "left"
    return {"right": right, "left": wrap(right.module, tokenizer, name="tiny")}


@pytest.mark.parametrize("call", list(EXTRACTIONS))
def test_rows_of_an_extraction_are_the_same_in_any_batch(padded, call, tried):
    expected = arrays_of(EXTRACTIONS[call](padded["right"], 1))
    bad, n = [], 0
    for side, model in padded.items():
        for size in (*SIZES, ALL):
            found = arrays_of(EXTRACTIONS[call](model, size))
            bad += [f"{side} padding, batches of {size}: {what}" for what in apart(expected, found, 1e-5)]
            n += 1
    tried("R17", f"batch sizes and padding of {call.split(',')[0]}", n, bad)


def test_rows_of_an_image_extraction_are_the_same_in_any_batch(tried):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU()).eval()
    images = xr.DataArray(
        noise(9, 1, 6, 6).astype(np.float32),
        dims=("stimulus", "channel", "y", "x"),
        coords={"stimulus": list("abcdefghi")},
    )
    every = {
        n: arrays_of(extraction.extract_arrays(module, images, ["0", "1"], batch_size=n, **QUIET))
        for n in (*SIZES, ALL)
    }
    bad = [f"batches of {n}: {what}" for n, one in every.items() for what in apart(every[1], one, 1e-5)]
    tried("R17", "batch sizes of extract_arrays", len(every), bad)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_targets_are_the_same_in_any_block(name, dtype, tried):
    X, Y = (x.astype(dtype) for x in data(60, 6, 9))
    whole = ESTIMATORS[name](6).fit(X, Y).predict(X)
    bad, n = [], 0
    for size in SIZES:
        parts = [ESTIMATORS[name](6).fit(X, Y[:, i : i + size]).predict(X) for i in range(0, 9, size)]
        gap = float(np.abs(np.concatenate(parts, axis=1) - whole).max())
        bad += [f"blocks of {size}: off by {gap:.1e}"] if gap > (1e-5 if dtype == "float32" else 1e-9) else []
        n += 1
    tried("R17", f"blocks of targets, {dtype}", n, bad)


@pytest.mark.parametrize("solver", ["primal", "kernel"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_inside_a_solver_change_nothing(solver, dtype, tried):
    X, Y = (x.astype(dtype) for x in data(60, 6, 9))
    options = {"solver": solver, "cv": 3, "edge_tolerance": 1.0}
    fits = [encoding.RidgeCV([1.0, 100.0], target_block=n, **options).fit(X, Y).coef_ for n in (None, *SIZES)]
    limit = 1e-5 if dtype == "float32" else 1e-10
    bad = [
        f"blocks of {n}"
        for n, one in zip(SIZES, fits[1:], strict=True)
        if np.abs(one - fits[0]).max() > limit
    ]
    tried("R17", f"target_block of RidgeCV, {dtype}", len(SIZES), bad)


def test_chunks_of_spheres_and_of_permutations_change_nothing(tried):
    n_places = 9
    around = [np.arange(max(0, i - 1), min(n_places, i + 2)) for i in range(n_places)]
    features, responses = patterns(noise(24, 2)), patterns(noise(24, n_places, seed=1), "neuroid")
    splits = encoding.contiguous_splits(24, 3)
    found = {
        n: encoding.searchlight(features, responses, around, splits=splits, chunk=n).values
        for n in (*SIZES, ALL)
    }
    prediction, truth = series(noise(40, 9), "neuroid"), series(noise(40, 9, seed=1), "neuroid")
    tested = {
        n: encoding.score_tests(prediction, truth, n=19, rng=np.random.default_rng(0), block=4, chunk=n)[
            "p"
        ].values
        for n in (*SIZES, ALL)
    }
    bad = [f"spheres in chunks of {n}" for n in SIZES if not np.allclose(found[n], found[ALL], atol=1e-10)]
    bad += [f"targets in chunks of {n}" for n in SIZES if not np.array_equal(tested[n], tested[ALL])]
    tried("R17", "chunks of spheres and of tested targets", 2 * len(SIZES), bad)


def test_streamed_sums_are_those_of_all_rows(tried):
    x, y = noise(15, 4), noise(15, 3, seed=1)
    bad = []
    for size in (*SIZES, ALL):
        for make in (similarity.StreamedCKA, similarity.StreamedUnitCorrelation):
            found, whole = make(), make()
            whole.update(x, y)
            for start in range(0, 15, size):
                found.update(x[start : start + size], y[start : start + size])
            ours, expected = (arrays_of(one.value()) for one in (found, whole))
            bad += [f"{make.__name__}, {size} rows: {what}" for what in apart(expected, ours, 1e-10)]
    tried("R17", "rows at once of streamed measures", 2 * (len(SIZES) + 1), bad)


def test_rdms_beside_an_rdm_change_nothing_of_it(tried):
    a, b = rdms(6, 7), rdms(6, 3, seed=1)
    whole = rsa.compare(a, b, "spearman").values
    bad = []
    for size in SIZES:
        parts = [rsa.compare(a[i : i + size], b, "spearman").values for i in range(0, 7, size)]
        bad += [] if np.allclose(np.concatenate(parts), whole, atol=1e-12) else [f"{size} at once"]
    tried("R17", "RDMs compared at once", len(SIZES), bad)
