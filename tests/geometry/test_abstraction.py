"""Parallelism, generalisation to unseen conditions, shattering: planted geometries, nulls, leaks."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import ortho_group
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from neuroalign.errors import InvalidValueError
from neuroalign.geometry import (
    cross_condition_generalisation,
    parallelism_score,
    shattering_dimensionality,
)
from neuroalign.geometry.conditions import all_dichotomies, random_geometry

CUBE = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
NAMES = np.array(["".join(map(str, corner)) for corner in CUBE])
AXES = {f"axis {i}": NAMES[CUBE[:, i] == 1].tolist() for i in range(3)}
PARITY = {"parity": NAMES[CUBE.sum(axis=1) % 2 == 1].tolist()}


def trials(centres, n=8, noise=0.3, seed=0):
    """Trials (stimulus, unit) around one centre a condition; corner i is a coordinate too."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(len(centres)), n)
    names = (NAMES if len(centres) == 8 else np.array(list("abcdefgh")))[rows]
    values = centres[rows] + noise * rng.standard_normal((len(rows), centres.shape[1]))
    coords = {"stimulus": np.arange(len(rows)), "condition": ("stimulus", names)}
    coords["run"] = ("stimulus", np.tile(np.arange(n) % 4, len(centres)))
    coords["other"] = ("stimulus", rows % 2)
    return xr.DataArray(values, dims=("stimulus", "unit"), coords=coords)


def cube(n_units=20, seed=1):
    """A factorised code: three orthogonal directions of a larger space."""
    return 4.0 * CUBE @ ortho_group.rvs(n_units, random_state=seed)[:3]


def scattered(n_units=60, seed=2):
    """A code of high dimension: conditions at random places."""
    return 1.5 * np.random.default_rng(seed).standard_normal((8, n_units))


def slow_parallelism(means, first, second):
    best = -np.inf
    for order in permutations(second):
        vectors = [means[a] - means[b] for a, b in zip(first, order, strict=True)]
        cosines = [
            u @ v / np.linalg.norm(u) / np.linalg.norm(v)
            for i, u in enumerate(vectors)
            for v in vectors[i + 1 :]
        ]
        best = max(best, np.mean(cosines))
    return best


def test_dichotomies_are_all_ways_of_halving():
    assert len(all_dichotomies(np.array(list("abcd")))) == 3
    found = all_dichotomies(NAMES)
    assert len(found) == 35 and all(side.sum() == 4 and side[0] for side in found.values())


def test_parallelism_is_the_best_mean_cosine_over_matchings():
    x = trials(scattered(6), n=2)
    means = np.stack([x.values[x["condition"].values == name].mean(axis=0) for name in NAMES])
    found = parallelism_score(x, "condition", AXES | PARITY).score
    for name, side in (AXES | PARITY).items():
        inside = np.isin(NAMES, side)
        expected = slow_parallelism(means, np.flatnonzero(inside), np.flatnonzero(~inside))
        assert float(found.sel(dichotomy=name)) == pytest.approx(expected, abs=1e-10)


def test_a_cube_is_parallel_along_its_axes_and_not_in_parity():
    found = parallelism_score(trials(cube(), noise=0), "condition", AXES | PARITY).score
    np.testing.assert_allclose(found[:3], 1, atol=1e-9)
    assert float(found[3]) < 0.01


def test_the_geometric_null_keeps_variance_and_noise_and_breaks_the_arrangement(rng):
    x = trials(cube(), n=5)
    codes = np.unique(x["condition"].values, return_inverse=True)[1]
    drawn = random_geometry(x.values, codes, rng)

    def centres(values):
        return np.stack([values[codes == k].mean(axis=0) for k in range(8)])

    def spread(values):
        return centres(values).var(axis=0).sum()

    assert spread(drawn) == pytest.approx(spread(x.values))
    for k in range(8):
        before, after = (v[codes == k] - v[codes == k].mean(axis=0) for v in (x.values, drawn))
        np.testing.assert_allclose(np.sort(after, axis=1), np.sort(before, axis=1), atol=1e-9)
    found = parallelism_score(x, "condition", AXES | PARITY, n_null=99, rng=rng)
    assert (found.p[:3] == 0.01).all() and float(found.p[3]) > 0.05
    assert found.null.dims == ("draw", "dichotomy")


def test_parallelism_ignores_rotation_scale_shift_and_order(rng):
    x = trials(scattered(10), n=3)
    turned = x.copy(data=5 * x.values @ ortho_group.rvs(10, random_state=3) - 2)
    one = parallelism_score(x, "condition", AXES)
    other = parallelism_score(turned.isel(stimulus=rng.permutation(24)), "condition", AXES)
    np.testing.assert_allclose(one.score, other.score, atol=1e-9)


def test_equal_means_are_undefined_and_counted():
    x = trials(np.zeros((4, 3)), n=1, noise=0)
    found = parallelism_score(x, "condition")
    assert np.isnan(found.score).all() and found.attrs["n_undefined"] == 3


def test_a_cube_generalises_along_its_axes_and_not_in_parity():
    x = trials(cube(), n=6)
    found = cross_condition_generalisation(x, "condition", AXES | PARITY)
    assert (found.accuracy[:3] > 0.95).all() and float(found.accuracy[3]) < 0.5
    assert found.attrs["chance"] == 0.5


def test_scattered_conditions_shatter_and_do_not_generalise_and_a_cube_the_other_way_round():
    few = dict(list(all_dichotomies(NAMES).items())[::6])
    few = {name: NAMES[side].tolist() for name, side in few.items()} | AXES | PARITY
    high, low = trials(scattered()), trials(cube(n_units=3), noise=0.6)
    shattered, flat = (shattering_dimensionality(x, "condition", few, folds=4) for x in (high, low))
    assert float(shattered["mean"]) > 0.95 > float(flat["mean"])
    assert float(flat.accuracy.sel(dichotomy="parity")) < 0.65
    general = cross_condition_generalisation(high, "condition", AXES)
    assert float(general.accuracy.mean()) < 0.75


def test_a_square_has_three_quarters_without_contexts_and_one_with_them():
    corners = np.array([[0.0, 0], [0, 6], [6, 0], [6, 6]])
    squares = [trials(corners, n=4, seed=seed) for seed in range(60)]
    square, side = squares[0], {"first": ["a", "b"]}
    without = [cross_condition_generalisation(each, "condition", side).accuracy for each in squares]
    assert float(np.mean(without)) == pytest.approx(0.75, abs=0.08)
    context = cross_condition_generalisation(square, "condition", side, contexts="other")
    assert float(context.accuracy[0]) == 1
    same = cross_condition_generalisation(square, "condition", {"other": ["a", "c"]}, contexts="other")
    assert np.isnan(same.accuracy[0]) and same.attrs["n_undefined"] == 1
    # The trap: the other unit is nothing but noise in training, and is blown up where it varies.
    scaled = make_pipeline(StandardScaler(), LinearSVC(dual=False))
    blown = [
        cross_condition_generalisation(each, "condition", side, classifier=scaled, contexts="other").accuracy
        for each in squares[:20]
    ]
    assert float(np.mean(blown)) < 0.9


class Spy(ClassifierMixin, BaseEstimator):
    """Notes which stimuli it is fitted to and tested on; units hold the number of the stimulus."""

    seen: list = []  # noqa: RUF012

    def fit(self, x, y):
        self.classes_ = [False, True]
        self.train_ = set(x[:, 0].astype(int).tolist())
        return self

    def predict(self, x):
        Spy.seen.append((self.train_, set(x[:, 0].astype(int).tolist())))
        return np.zeros(len(x), dtype=bool)


def test_nothing_of_a_held_out_condition_or_run_is_ever_trained_on():
    x = trials(cube(), n=4)
    x = x.copy(data=np.tile(np.arange(32.0)[:, None], (1, 20)))
    condition, run = x["condition"].values, x["run"].values
    Spy.seen.clear()
    cross_condition_generalisation(x, "condition", AXES, classifier=Spy())
    assert len(Spy.seen) == 3 * 16
    for train, test in Spy.seen:
        assert not set(condition[list(train)]) & set(condition[list(test)])
        assert len(set(condition[list(test)])) == 2 and len(train) + len(test) == 32
    Spy.seen.clear()
    shattering_dimensionality(x, "condition", AXES, classifier=Spy(), folds="run")
    assert len(Spy.seen) == 3 * 4
    for train, test in Spy.seen:
        assert not set(run[list(train)]) & set(run[list(test)]) and len(set(run[list(test)])) == 1


def test_accuracy_is_the_mean_over_halves_so_that_one_answer_is_chance():
    x = trials(cube(), n=4).isel(stimulus=slice(0, 30))
    Spy.seen.clear()
    assert (shattering_dimensionality(x, "condition", AXES, classifier=Spy(), folds=2).accuracy == 0.5).all()


def test_nulls_are_at_chance_and_p_finds_the_planted_axis(rng):
    x = trials(cube(n_units=5), n=4)
    fast = LogisticRegression(C=1.0)
    axis = {"axis 0": AXES["axis 0"]}
    shuffled = shattering_dimensionality(
        x, "condition", axis, classifier=fast, folds="run", n_null=19, rng=rng
    )
    assert float(shuffled.p[0]) == 0.05 and float(shuffled.p_mean) == 0.05
    assert float(shuffled.null.mean()) == pytest.approx(0.5, abs=0.06)
    geometric = cross_condition_generalisation(x, "condition", axis, classifier=fast, n_null=19, rng=rng)
    assert float(geometric.p[0]) == 0.05
    assert float(geometric.null.mean()) == pytest.approx(0.5, abs=0.12)


def test_bad_input_is_refused(rng):
    x = trials(cube(), n=2)
    odd = x.isel(stimulus=slice(0, 14))
    with pytest.raises(
        InvalidValueError, match="conditions must be even in number, to be split in halves; got 7"
    ):
        parallelism_score(odd, "condition")
    with pytest.raises(InvalidValueError, match="conditions must be 4 to 14 in number; got 2"):
        parallelism_score(x.isel(stimulus=slice(0, 4)), "condition")
    with pytest.raises(InvalidValueError, match="dichotomy 'x': 'z' are no conditions"):
        parallelism_score(x, "condition", {"x": ["z"]})
    with pytest.raises(InvalidValueError, match="must hold 4 of the 8 conditions; got 1"):
        cross_condition_generalisation(x, "condition", {"x": ["000"]})
    with pytest.raises(InvalidValueError, match="n_held_out must be from 1 to 3"):
        cross_condition_generalisation(x, "condition", n_held_out=4)
    with pytest.raises(InvalidValueError, match=r"the smallest has 2\. Pass fewer folds"):
        shattering_dimensionality(x, "condition", folds=3)
    with pytest.raises(InvalidValueError, match="null must be one of 'geometric', 'shuffle'"):
        shattering_dimensionality(x, "condition", null="label")
    with pytest.raises(InvalidValueError, match=r"rng must be a numpy\.random\.Generator"):
        parallelism_score(x, "condition", AXES, n_null=5)
