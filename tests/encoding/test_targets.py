"""Targets on disk, in blocks, and with missing rows."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from neuroalign.encoding.ridge import RidgeCV
from neuroalign.encoding.splits import contiguous_splits
from neuroalign.encoding.targets import Targets, patterns
from neuroalign.errors import FileError, InvalidValueError, ShapeError

ALPHAS = [0.1, 1.0, 10.0, 100.0]


def make(n=60, p=8, t=11, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X @ rng.standard_normal((p, t)) + 2 * rng.standard_normal((n, t)) + 3


def ridge(**kwargs):
    return RidgeCV(ALPHAS, edge_tolerance=1, device="cpu", **kwargs)


class Sliced:
    """An array that is never to be read as a whole."""

    def __init__(self, values, widest):
        self.values, self.widest = values, widest
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, key):
        found = self.values[key]
        assert found.shape[1] <= self.widest
        return found


@pytest.mark.parametrize("kind", ["memmap", "h5py", "sliced"])
def test_targets_on_disk_give_what_targets_in_memory_give(tmp_path, kind):
    X, Y = make()
    if kind == "memmap":
        stored = np.memmap(tmp_path / "y", dtype=float, mode="w+", shape=Y.shape)
        stored[:] = Y
    elif kind == "h5py":
        stored = h5py.File(tmp_path / "y.h5", "w").create_dataset("y", data=Y)
    else:
        stored = Sliced(Y, widest=4)
    a, b = ridge(target_block=4).fit(X, stored), ridge().fit(X, Y)
    np.testing.assert_array_equal(a.alpha_, b.alpha_)
    np.testing.assert_allclose(a.coef_, b.coef_, atol=1e-12)
    np.testing.assert_allclose(a.intercept_, b.intercept_, atol=1e-12)


def test_weights_go_to_the_array_that_is_given(tmp_path):
    X, Y = make()
    out = np.memmap(tmp_path / "w", dtype="float32", mode="w+", shape=(11, 8))
    model = ridge(target_block=3).fit(X, Y, coef_out=out)
    assert model.coef_ is out
    plain = ridge().fit(X, Y)
    np.testing.assert_allclose(np.fromfile(tmp_path / "w", "float32").reshape(11, 8), plain.coef_, atol=1e-6)
    np.testing.assert_allclose(model.predict(X), plain.predict(X), atol=1e-5)
    with pytest.raises(
        ShapeError, match=r"coef_out must be a writable array of shape \(11, 8\); got \(8, 11\)"
    ):
        ridge().fit(X, Y, coef_out=out.T)
    with pytest.raises(InvalidValueError, match="coef_out must hold floats; got dtype int64"):
        ridge().fit(X, Y, coef_out=np.zeros((11, 8), dtype=np.int64))


def test_a_file_of_targets_that_was_cut_short_is_refused(tmp_path):
    X, Y = make()
    path = tmp_path / "y"
    stored = np.memmap(path, dtype=float, mode="w+", shape=Y.shape)
    stored[:] = Y
    stored.flush()
    with path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(FileError, match=r"has 1,000 bytes where its .* need 5,280; it was cut short"):
        ridge().fit(X, stored)


def test_a_block_of_another_shape_is_refused():
    X, Y = make()
    short = Sliced(Y[:50], widest=11)
    short.shape = Y.shape
    with pytest.raises(FileError, match=r"have shape \(50, 11\), not \(60, 11\); the file is cut short"):
        ridge().fit(X, short)


def test_a_value_on_disk_that_is_not_finite_is_refused_with_its_place():
    X, Y = make()
    Y[7, 9] = np.inf
    with pytest.raises(InvalidValueError, match=r"Y must be finite.*position \(7, 9\)"):
        ridge(target_block=4).fit(X, Sliced(Y, widest=4))


def missing_rows():
    X, Y = make()
    Y[5:9, 2] = np.nan
    Y[5:9, 6] = np.nan
    Y[40:, 4] = np.nan
    Y[:, 7] = np.nan
    return X, Y


def test_patterns_are_found_in_the_order_in_which_they_come():
    found = patterns(Targets(missing_rows()[1]))
    assert [columns.tolist() for _, columns in found] == [[0, 1, 3, 5, 8, 9, 10], [2, 6], [4], [7]]
    assert [len(rows) for rows, _ in found] == [60, 56, 40, 0]


@pytest.mark.parametrize("solver", ["primal", "kernel"])
def test_targets_with_missing_rows_are_fitted_on_their_known_rows(solver):
    X, Y = missing_rows()
    splits = contiguous_splits(60, 5)
    model = ridge(missing="group", cv=splits, solver=solver, target_block=2).fit(X, Y)
    for i in (0, 2, 4, 6):
        rows = np.flatnonzero(~np.isnan(Y[:, i]))
        known = [(np.flatnonzero(np.isin(rows, a)), np.flatnonzero(np.isin(rows, b))) for a, b in splits]
        alone = ridge(cv=[pair for pair in known if len(pair[1])]).fit(X[rows], Y[rows, i])
        theirs = Ridge(alpha=alone.alpha_[0]).fit(X[rows], Y[rows, i])
        assert model.alpha_[i] == alone.alpha_[0]
        np.testing.assert_allclose(model.coef_[i], theirs.coef_, atol=1e-9)
        np.testing.assert_allclose(model.intercept_[i], theirs.intercept_, atol=1e-9)
        assert model.cv_scores_[i] == pytest.approx(alone.cv_scores_[0], abs=1e-10)


def test_a_target_without_known_rows_is_nan_and_counted():
    model = ridge(missing="group").fit(*missing_rows())
    assert model.n_missing_ == model.n_undefined_ == 1
    assert np.isnan(model.coef_[7]).all()
    assert np.isnan([model.alpha_[7], model.intercept_[7], model.cv_scores_[7]]).all()
    assert np.isfinite(np.delete(model.coef_, 7, axis=0)).all()


def test_missing_values_are_refused_unless_asked_for():
    X, Y = missing_rows()
    with pytest.raises(InvalidValueError, match=r"Y must be finite.*position \(0, 7\).*missing='group'"):
        ridge().fit(X, Y)
    with pytest.raises(InvalidValueError, match="missing must be one of 'refuse', 'group'"):
        ridge(missing="drop").fit(X, Y)
    Y[0, 0] = np.inf
    with pytest.raises(InvalidValueError, match=r"Y must hold no infinity; got one at position \(0, 0\)"):
        ridge(missing="group").fit(X, Y)


def test_a_file_of_targets_that_cannot_be_read_is_said_with_its_columns():
    class Torn(Sliced):
        def __getitem__(self, key):
            raise OSError("input/output error")

    X, Y = make()
    with pytest.raises(FileError, match=r"Y: .*cannot be read: input/output error"):
        ridge().fit(X, Torn(Y, widest=11))


def test_targets_of_three_dims_are_refused():
    X, Y = make()
    with pytest.raises(ShapeError, match=r"Y must have 1 or 2 dimension\(s\); got shape \(60, 11, 1\)"):
        ridge().fit(X, Y[:, :, None])


def test_one_target_with_missing_rows_is_fitted_on_its_known_rows():
    X, Y = make()
    y = Y[:, 3].copy()
    y[[4, 30]] = np.nan
    known = ~np.isnan(y)
    found = RidgeCV([2.0], missing="group", edge_tolerance=1, device="cpu").fit(X, y)
    theirs = Ridge(alpha=2.0).fit(X[known], y[known])
    np.testing.assert_allclose(found.coef_.ravel(), theirs.coef_, atol=1e-9)
    np.testing.assert_allclose(found.intercept_, theirs.intercept_, atol=1e-9)


def test_one_decomposition_of_all_rows_gives_way_where_rows_are_missing():
    X, Y = missing_rows()
    options = {"missing": "group", "solver": "kernel", "cv": contiguous_splits(60, 5)}
    one, folds = (ridge(decomposition=name, **options).fit(X, Y) for name in ("one", "folds"))
    np.testing.assert_array_equal(one.alpha_, folds.alpha_)
    np.testing.assert_allclose(one.coef_, folds.coef_, atol=1e-8)
    assert np.isnan(one.coef_[7]).all() and np.isfinite(one.coef_[2]).all()
