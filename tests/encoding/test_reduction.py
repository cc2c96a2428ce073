"""Reduction of bands: scikit-learn by itself, leakage, pipelines, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from neuroalign.encoding import RidgeCV, contiguous_splits, evaluate
from neuroalign.encoding.reduction import BandReduction
from neuroalign.errors import InvalidValueError, LabelError

BANDS = np.array(["sound"] * 8 + ["words"] * 4)[[0, 8, 1, 2, 9, 3, 4, 10, 5, 6, 11, 7]]


@pytest.fixture
def X(rng):
    return rng.standard_normal((40, 12)) @ np.diag(np.arange(1.0, 13.0)) + 5


def test_each_band_gets_its_own_components(X):
    model = BandReduction({"sound": 3, "words": 0.8}, bands=BANDS).fit(X)
    found = model.transform(X)
    for band, wanted in (("sound", 3), ("words", 0.8)):
        alone = PCA(wanted, svd_solver="full").fit(X[:, band == BANDS])
        np.testing.assert_allclose(found[:, model.bands_ == band], alone.transform(X[:, band == BANDS]))
    assert model.bands_[:3].tolist() == ["sound"] * 3
    assert model.get_feature_names_out()[2:4].tolist() == ["sound2", "words0"]


def test_the_share_of_variance_is_reached_and_not_by_one_component_less(X):
    for share in (0.5, 0.9, 0.99):
        model = BandReduction(share, bands=BANDS).fit(X)
        for band, fitted in model.transformers_.items():
            spectrum = np.linalg.svd(X[:, band == BANDS] - X[:, band == BANDS].mean(axis=0))[1] ** 2
            held = spectrum.cumsum() / spectrum.sum()
            assert fitted.n_components_ == 1 + int((held < share).sum())


def test_a_band_of_none_is_left_as_it_is(X):
    model = BandReduction({"sound": None, "words": 2}, bands=BANDS).fit(X)
    np.testing.assert_array_equal(model.transform(X)[:, :8], X[:, BANDS == "sound"])


def test_projections_depend_on_the_seed_and_the_band_only(X, rng):
    model = BandReduction(2, bands=BANDS, method="sparse-projection", seed=3)
    found = model.fit_transform(X)
    other = model.fit(rng.standard_normal((10, 12))).transform(X)
    np.testing.assert_array_equal(found, other)
    words = BandReduction(2, bands=["words"] * 4, method="sparse-projection", seed=3)
    np.testing.assert_array_equal(words.fit_transform(X[:, BANDS == "words"]), found[:, 2:])
    again = BandReduction(2, bands=BANDS, method="sparse-projection", seed=4).fit_transform(X)
    assert (again != found).any()


@pytest.mark.parametrize("method", ["pca", "sparse-projection"])
def test_components_are_fitted_to_training_rows_only(X, rng, method):
    labelled = xr.DataArray(X, dims=("time", "feature"), coords={"time": 2.0 * np.arange(40)})
    Y = xr.DataArray(
        X @ rng.standard_normal((12, 3)), dims=("time", "neuroid"), coords={"time": labelled.time}
    )
    splits = contiguous_splits(40, 4, purge=1)
    model = make_pipeline(
        BandReduction(2, bands=BANDS, method=method), RidgeCV([0.1, 1.0, 10.0], edge_tolerance=1.0)
    )
    found = evaluate(model, labelled, Y, splits=splits)
    for k, (train, test) in enumerate(splits):
        mean, sd = X[train].mean(axis=0), X[train].std(axis=0)
        z = (X - mean) / sd
        parts = [
            BandReduction(2, bands=[band] * int((band == BANDS).sum()), method=method)
            .fit(z[train][:, band == BANDS])
            .transform(z[:, band == BANDS])
            for band in ("sound", "words")
        ]
        z = np.concatenate(parts, axis=1)
        ridge = RidgeCV([0.1, 1.0, 10.0], edge_tolerance=1.0).fit(z[train], Y.values[train])
        expected = [
            np.corrcoef(a, b)[0, 1] for a, b in zip(ridge.predict(z[test]).T, Y.values[test].T, strict=True)
        ]
        np.testing.assert_allclose(found[k], expected, atol=1e-9)
    noisy = X.copy()
    outside = np.setdiff1d(np.arange(40), splits[0][0])
    noisy[outside] = 1e4
    fitted = [BandReduction(2, bands=BANDS, method=method).fit(x[splits[0][0]]) for x in (X, noisy)]
    np.testing.assert_array_equal(fitted[0].transform(X), fitted[1].transform(X))


def test_labelled_features_bring_their_bands_and_keep_their_rows(X):
    array = xr.DataArray(
        X,
        dims=("time", "feature"),
        coords={"time": 2.0 * np.arange(40), "run": ("time", ["a"] * 40), "band": ("feature", BANDS)},
    )
    found = BandReduction(2, labelled=True).fit(array).transform(array)
    assert found.band.values.tolist() == ["sound", "sound", "words", "words"]
    assert found.run.values.tolist() == ["a"] * 40
    np.testing.assert_array_equal(found, BandReduction(2, bands=BANDS).fit_transform(X))
    with pytest.raises(LabelError, match="differ, first at feature 1"):
        BandReduction(2, bands=np.roll(BANDS, 1)).fit(array)


def test_what_cannot_be_reduced_is_refused(X):
    with pytest.raises(InvalidValueError, match="band 'words' has 4 features in 40 rows, so at most 4"):
        BandReduction(5, bands=BANDS).fit(X)
    with pytest.raises(InvalidValueError, match=r"no share of variance; got n_components 0.5 for band 'so"):
        BandReduction(0.5, bands=BANDS, method="sparse-projection").fit(X)
    with pytest.raises(InvalidValueError, match="band 'words' has 4 features; 5 projections"):
        BandReduction(5, bands=BANDS, method="sparse-projection").fit(X)
    with pytest.raises(InvalidValueError, match="must be one of 'pca', 'sparse-projection'; got 'ica'"):
        BandReduction(method="ica").fit(X)
    with pytest.raises(LabelError, match="it lacks 'words' and has the unknown 'text'"):
        BandReduction({"sound": 2, "text": 3}, bands=BANDS).fit(X)
    for wrong in (0, 1.5, True, "two"):
        with pytest.raises(InvalidValueError, match="a share between 0 and 1, or None; got"):
            BandReduction(wrong, bands=BANDS).fit(X)
    with pytest.raises(ValueError, match="expecting 12 features"):
        BandReduction(2, bands=BANDS).fit(X).transform(X[:, :5])


def test_the_transformer_keeps_scikit_learns_contract():
    found = check_estimator(BandReduction(), on_skip=None)
    assert sum(check["status"] == "passed" for check in found) > 30
    assert {check["status"] for check in found} <= {"passed", "xfail", "skipped"}


def test_plain_rows_in_labelled_projections_have_bands_and_nothing_else(X):
    found = BandReduction(2, bands=BANDS, labelled=True).fit_transform(X)
    assert found.dims == ("row", "feature") and set(found.coords) == {"band"}
    assert found.band.values.tolist() == ["sound", "sound", "words", "words"]
    np.testing.assert_array_equal(found, BandReduction(2, bands=BANDS).fit_transform(X))
