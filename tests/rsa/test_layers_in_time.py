"""Layers of a network over time: courses, the peak layer and its bootstrap, of planted geometry."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neuroalign import rsa, stats
from neuroalign.schema import make_rdm

N_LAYERS, N_STIMULI, N_SUBJECTS = 4, 16, 10


def planted(seed=0):
    """Return layers (layer, pair) and a movie (subject, time, pair): layer l rules at 2 l and 2 l + 1."""
    rng = np.random.default_rng(seed)
    patterns = rng.standard_normal((N_LAYERS, N_STIMULI, 30))
    stimuli = [f"s{i:02d}" for i in range(N_STIMULI)]
    layers = rsa.rdm(
        xr.DataArray(
            patterns,
            dims=("layer", "stimulus", "neuroid"),
            coords={"layer": [f"block{i}" for i in range(N_LAYERS)], "stimulus": stimuli},
        ),
        "correlation",
    )
    ruling = np.repeat(np.arange(N_LAYERS), 2)
    responses = patterns[ruling] + 1.0 * rng.standard_normal((N_SUBJECTS, len(ruling), N_STIMULI, 30))
    movie = rsa.movie(
        xr.DataArray(
            responses,
            dims=("subject", "time", "stimulus", "neuroid"),
            coords={
                "stimulus": stimuli,
                "time": np.arange(len(ruling)) / 10,
                "subject": np.arange(N_SUBJECTS),
            },
        )
    )
    return layers, movie, ruling


def test_each_time_is_most_like_the_layer_that_rules_it_with_an_interval_over_subjects():
    layers, movie, ruling = planted()
    courses = rsa.time_course(layers, movie, "spearman")
    assert courses.dims == ("layer", "subject", "time")
    assert courses["layer"].values.tolist() == layers["layer"].values.tolist()

    def peak(subjects):
        return courses.isel(subject=subjects).mean("subject").argmax("layer").values

    found = stats.bootstrap(peak, N_SUBJECTS, n=200, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(found.estimate, ruling)
    assert (found.lower == ruling).all() and (found.upper == ruling).all()


def test_a_course_is_the_comparison_of_every_layer_with_every_time():
    layers, movie, _ = planted()
    courses = rsa.time_course(layers, movie, "pearson")
    one = rsa.compare(layers[2], movie.isel(subject=3, time=5), "pearson")
    np.testing.assert_allclose(courses[2, 3, 5], float(one.squeeze()))


def test_stimuli_are_aligned_by_label():
    layers, movie, _ = planted()
    order = np.random.default_rng(1).permutation(N_STIMULI)
    stimuli = np.array([f"s{i:02d}" for i in range(N_STIMULI)])
    squares = np.zeros((N_LAYERS, N_STIMULI, N_STIMULI))
    rows, columns = np.triu_indices(N_STIMULI, 1)
    squares[:, rows, columns] = squares[:, columns, rows] = layers.values
    moved = squares[:, order][:, :, order][:, rows, columns]
    shuffled = make_rdm(moved, stimuli[order], dims=["layer"], coords={"layer": layers["layer"].values})
    np.testing.assert_allclose(
        rsa.time_course(shuffled, movie, "spearman"),
        rsa.time_course(layers, movie, "spearman"),
        atol=1e-12,
    )
