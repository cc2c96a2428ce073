"""Multidimensional scaling: distances that fit a plane come back, scikit-learn agrees, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.rsa.scaling import mds
from neuroalign.schema import make_rdm, square


def rdm_of(values):
    n = (1 + int(np.sqrt(1 + 8 * len(values)))) // 2
    return make_rdm(np.asarray(values, dtype=float), [f"s{i:02d}" for i in range(n)])


@pytest.mark.parametrize("method", ["smacof", "classical"])
@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_distances_that_fit_come_back(rng, method, n_axes):
    distances = pdist(rng.standard_normal((9, n_axes)))
    found = mds(rdm_of(distances), method, n_axes=n_axes)
    np.testing.assert_allclose(pdist(found.values), distances, atol=1e-7)
    assert found.attrs["stress"] < 1e-7 and found.shape == (9, n_axes)


def test_smacof_ends_where_scikit_learn_does(rng):
    from sklearn.manifold import smacof

    values = rng.random(105)
    found = mds(rdm_of(values), tolerance=1e-12, n_iterations=5000)
    start = mds(rdm_of(values), "classical").values
    theirs, stress = smacof(
        square(values),
        n_components=2,
        init=start,
        n_init=1,
        max_iter=5000,
        eps=1e-12,
        normalized_stress=False,
    )
    ours = ((values - pdist(found.values)) ** 2).sum()
    assert ours == pytest.approx(stress, rel=1e-4)
    np.testing.assert_allclose(pdist(found.values), pdist(theirs), atol=1e-3)


def test_stress_is_the_misfit_as_a_share_of_the_dissimilarities(rng):
    values = rng.random(45)
    found = mds(rdm_of(values))
    expected = np.sqrt(((values - pdist(found.values)) ** 2).sum() / (values**2).sum())
    assert found.attrs["stress"] == pytest.approx(expected, rel=1e-12)
    assert found.attrs["stress"] < mds(rdm_of(values), "classical").attrs["stress"]


def test_axes_are_principal_with_the_largest_place_positive(rng):
    found = mds(rdm_of(rng.random(45))).values
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    gram = found.T @ found
    assert abs(gram[0, 1]) < 1e-10 and gram[0, 0] > gram[1, 1]
    assert (found[np.abs(found).argmax(axis=0), [0, 1]] > 0).all()


def test_stimuli_at_one_place_stay_there(rng):
    x = rng.standard_normal((6, 2))
    x[3] = x[1]
    found = mds(rdm_of(pdist(x)))
    np.testing.assert_allclose(found[3], found[1], atol=1e-6)


def test_what_cannot_be_placed_is_refused(rng):
    with pytest.raises(InvalidValueError, match="1 of 6 dissimilarities are negative"):
        mds(rdm_of([0.1, 0.2, -0.1, 0.3, 0.1, 0.2]))
    with pytest.raises(InvalidValueError, match="all dissimilarities are 0"):
        mds(rdm_of(np.zeros(6)))
    with pytest.raises(InvalidValueError, match="rdm must be finite"):
        mds(rdm_of([0.1, 0.2, np.nan, 0.3, 0.1, 0.2]))
    with pytest.raises(ShapeError, match="n_axes must be from 1 to 3 for 4 stimuli; got 4"):
        mds(rdm_of(np.ones(6)), n_axes=4)
    with pytest.raises(ShapeError, match="takes one RDM"):
        mds(rdm_of(np.ones(6)).expand_dims("subject"))
    with pytest.raises(InvalidValueError, match="method must be one of 'smacof', 'classical'"):
        mds(rdm_of(np.ones(6)), "tsne")


def test_steps_go_on_while_the_stress_falls_and_end_where_it_does_not(rng):
    rdm = rdm_of(rng.random(45))

    def squares(n_iterations):
        found = mds(rdm, n_iterations=n_iterations, tolerance=0.0)
        return ((rdm.values - pdist(found.values)) ** 2).sum()

    found = mds(rdm, tolerance=1e-3)
    last = found.attrs["n_iterations"]
    assert 2 < last < 100
    falls = [(squares(k - 1) - squares(k)) / squares(k - 1) for k in range(2, last + 1)]
    assert min(falls[:-1]) > 1e-3 >= falls[-1] >= 0
    assert mds(rdm, n_iterations=4, tolerance=0.0).attrs["n_iterations"] == 4
