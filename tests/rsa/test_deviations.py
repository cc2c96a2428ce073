"""Where rsatoolbox and mne-rsa give other numbers: who is right, by hand. docs/coming-from.md lists them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroalign import rsa
from neuroalign.rsa.transforms import transform
from neuroalign.schema import make_rdm


def make(rows):
    rows = np.asarray(rows, dtype=float)
    n = int((1 + np.sqrt(1 + 8 * rows.shape[1])) / 2)
    return make_rdm(rows, [f"s{i}" for i in range(n)], dims=["rdm"])


def theirs(a, b, method, **options):
    from rsatoolbox.rdm import RDMs, compare

    return compare(RDMs(np.array(a, dtype=float)), RDMs(np.array(b, dtype=float)), method=method, **options)


def test_variances_by_hand_where_rsatoolbox_centres_without_them():
    # Variances 1, 1, 2: C S C' has 2, 3, 3 on its diagonal and 1, -1, 2 off it, so V = [[4, 1, 1], [1, 9, 4],
    # [1, 4, 9]] with determinant 250 and cofactors 65, -5 and 35: the cosine of the first two pairs is
    # -5 / sqrt(65 x 35).
    variances, first, second = np.array([1.0, 1.0, 2.0]), [[1, 0, 0]], [[0, 1, 0]]
    labelled = xr.DataArray(variances, dims="stimulus", coords={"stimulus": ["s0", "s1", "s2"]})
    found = rsa.compare(make(first), make(second), "whitened-cosine", covariance=labelled)
    expected = -5 / np.sqrt(65 * 35)
    assert float(found[0, 0]) == pytest.approx(expected, abs=1e-14)
    as_matrix = theirs(first, second, "cosine_cov", sigma_k=np.diag(variances))
    assert float(as_matrix[0, 0]) == pytest.approx(expected, abs=1e-5)
    as_vector = theirs(first, second, "cosine_cov", sigma_k=variances)
    assert float(as_vector[0, 0]) == pytest.approx(-0.12033, abs=1e-5)


@pytest.mark.parametrize("method", ["pearson", "spearman", "rho-a", "tau-a"])
def test_a_constant_rdm_has_no_correlation_where_rsatoolbox_says_0(method):
    constant, other = [[2, 2, 2]], [[1, 2, 3]]
    assert np.isnan(rsa.compare(make(constant), make(other), method)).all()
    assert theirs(constant, other, {"pearson": "corr"}.get(method, method))[0, 0] == 0.0


def test_bures_of_an_rdm_of_no_patterns_with_itself_is_1_where_rsatoolbox_clips_on_one_side():
    # (1, 9, 1): the second moment is 4.5 along (1, 0, -1) / sqrt 2 and -5/6 along (1, -2, 1) / sqrt 6.
    bad = [[1, 9, 1]]
    assert theirs(bad, bad, "bures")[0, 0] == pytest.approx(4.5 / (4.5 - 5 / 6), abs=1e-7)
    assert np.isnan(rsa.compare(make(bad), make(bad), "bures")).all()
    assert float(rsa.compare(make(bad), make(bad), "bures", nearest=True)[0, 0]) == pytest.approx(
        1.0, abs=1e-12
    )


def test_bures_of_points_on_a_line_with_themselves_is_1_to_the_last_digits():
    line = [[1, 9, 4]]
    assert float(rsa.compare(make(line), make(line), "bures")[0, 0]) == pytest.approx(1.0, abs=1e-14)
    assert theirs(line, line, "bures")[0, 0] == pytest.approx(1.0, abs=1e-7)


def test_missing_pairs_of_one_rdm_leave_the_next_one_alone_where_mne_rsa_keeps_them():
    mne_rsa = pytest.importorskip("mne_rsa", reason="mne-rsa is not installed")

    data = np.array([[np.nan, 2, 3, 1, 5, 4], [1, 2, 3, 4, 6, 5]])
    model = np.array([6.0, 1, 2, 3, 5, 4])
    # Means 3.5; the products of the deviations are -6.25, 3.75, .75, -.25, 3.75 and .75: 2.5 of 17.5.
    found = rsa.compare(make(data), make(model[None]), "pearson")
    assert float(found[1, 0]) == pytest.approx(2.5 / 17.5, abs=1e-14)
    in_turn = mne_rsa.rsa(list(data), model, metric="pearson", ignore_nan=True)
    alone = mne_rsa.rsa([data[1]], model, metric="pearson", ignore_nan=True)
    assert in_turn[1] == pytest.approx(1.0)
    assert alone[0] == pytest.approx(1 / 7)


def test_rsatoolbox_leaves_a_pair_that_one_rdm_lacks_out_of_all():
    data = [[1, 2, 3, 4, 5, np.nan], [1, 3, 2, 4, 6, 5]]
    model = [[6, 2, 3, 4, 5, 1]]
    with pytest.raises(ValueError, match="different nan positions"):
        theirs(data, model, "corr")
    found = rsa.compare(make(data), make(model), "pearson")
    assert float(found[0, 0]) == pytest.approx(np.corrcoef(data[0][:5], model[0][:5])[0, 1], abs=1e-14)
    assert float(found[1, 0]) == pytest.approx(np.corrcoef(data[1], model[0])[0, 1], abs=1e-14)


def test_transforms_leave_their_argument_where_rsatoolbox_edits_it():
    import rsatoolbox.rdm

    values = np.array([[-1.0, 2.0, 4.0]])
    rdms = rsatoolbox.rdm.RDMs(values.copy())
    rsatoolbox.rdm.positive_transform(rdms)
    assert rdms.dissimilarities[0, 0] == 0.0
    ours = make(values)
    assert transform(ours, "positive").values.tolist() == [[0.0, 2.0, 4.0]]
    assert ours.values.tolist() == values.tolist()


def test_minmax_keeps_the_pairs_that_are_there_where_rsatoolbox_loses_them():
    import rsatoolbox.rdm

    values = np.array([[1.0, 3.0, np.nan]])
    assert np.isnan(rsatoolbox.rdm.minmax_transform(rsatoolbox.rdm.RDMs(values.copy())).dissimilarities).all()
    np.testing.assert_array_equal(transform(make(values), "minmax"), [[0.0, 1.0, np.nan]])


def test_two_folds_of_mne_rsa_are_not_cross_validated():
    mne_rsa = pytest.importorskip("mne_rsa", reason="mne-rsa is not installed")

    # One unit; patterns (0, 1) in the first fold and (0, -1) in the second. The distance across folds is
    # (1 - 0) x (-1 - 0) = -1; each fold compared with itself gives 1.
    folds = np.array([[[0.0], [1.0]], [[0.0], [-1.0]]])
    assert mne_rsa.compute_rdm_cv(folds, "sqeuclidean").tolist() == [1.0]
    patterns = xr.DataArray(
        folds, dims=("run", "stimulus", "neuroid"), coords={"run": [1, 2], "stimulus": ["a", "b"]}
    )
    assert rsa.rdm(patterns, "crossnobis", folds="run").values.tolist() == [-1.0]
