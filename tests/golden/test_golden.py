"""Our functions give the numbers that other packages gave, also where these are not installed.

``make.py`` writes the files beside this one; each says by which version and which call its values were made.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neuroalign import encoding, rsa, similarity, spatial, stats
from neuroalign.localization import welch_t
from neuroalign.schema import make_rdm

HERE = Path(__file__).parent
FILES = sorted(path for path in HERE.glob("*.json") if path.name != "inputs.json")
PEERS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
INPUTS = {
    name: np.asarray(value)
    for name, value in json.loads((HERE / "inputs.json").read_text(encoding="utf-8"))["values"].items()
}
QUIET = {"edge_tolerance": 1.0}
FOLDS = [(np.setdiff1d(np.arange(30), test), test) for test in np.array_split(np.arange(30), 5)]
X, Y = INPUTS["X"], INPUTS["Y"]


def patterns(name: str, dims: tuple[str, ...] = ("stimulus", "unit")) -> xr.DataArray:
    found = xr.DataArray(INPUTS[name], dims=dims)
    return found.assign_coords({dim: np.arange(found.sizes[dim]) for dim in dims})


def residuals() -> xr.DataArray:
    return patterns("residuals", ("time", "unit"))


def compared(method: str) -> np.ndarray:
    labels = list(range(8))
    a, b = (make_rdm(INPUTS[key], labels, dims=[key]) for key in ("models", "data"))
    return rsa.compare(a, b, method).values


def bures() -> np.ndarray:
    rdms = make_rdm(INPUTS["squared"], list(range(8)), dims=["rdm"])
    return rsa.compare(rdms[:1], rdms[1:], "bures").values


def of_models(call, **options) -> np.ndarray:
    labels = list(range(8))
    models = make_rdm(INPUTS["models"], labels, dims=["model"], coords={"model": ["a", "b"]})
    data = make_rdm(INPUTS["data"], labels, dims=["subject"], coords={"subject": list(range(3))})
    found = call(models, data, **options)
    return np.transpose(found["weight"].values if isinstance(found, xr.Dataset) else found.values)


def ceiling(method: str) -> np.ndarray:
    data = make_rdm(INPUTS["data"], list(range(8)), dims=["subject"], coords={"subject": list(range(3))})
    return rsa.noise_ceiling(data, method, pooling="plain").sel(bound=["lower", "upper"]).values


def least_squares() -> encoding.OLS:
    return encoding.OLS(standard_errors=True).fit(X, Y)


def autocorrelation(function, names: tuple[str, ...]) -> list[float]:
    found = function(INPUTS["map"], spatial.lattice((5, 6), neighbours="queen"))
    return [float(found[name]) for name in names]


def scores() -> xr.DataArray:
    coords = {"subject": np.arange(8), "time": np.arange(20) / 10}
    return xr.DataArray(INPUTS["scores"], dims=("subject", "time"), coords=coords)


def masses() -> np.ndarray:
    found = stats.cluster_test(scores(), threshold=2.0, tail="greater", n=20, rng=np.random.default_rng(0))
    return np.sort(found["mass"].values)


RIDGE = {"alphas": [0.1, 1.0, 10.0, 100.0], "cv": FOLDS, **QUIET}
THEIRS = {"cosine": "cosine", "corr": "pearson", "spearman": "spearman", "rho-a": "rho-a", "tau-a": "tau-a"}
THEIRS |= {"kendall": "tau-b", "cosine_cov": "whitened-cosine", "corr_cov": "whitened-pearson"}
COVARIANCES = {"full": "full", "diag": "diagonal", "shrinkage_diag": "shrinkage-diagonal"}
COVARIANCES |= {"shrinkage_eye": "shrinkage-identity"}
RUNS = ("run", "stimulus", "unit")
# Package and name of a value: what we make of the same inputs, and to which relative tolerance it is theirs.
OURS = {
    ("rsatoolbox", "euclidean"): (
        lambda: rsa.rdm(patterns("patterns"), "sqeuclidean", normalize="neuroids"),
        1e-10,
    ),
    ("rsatoolbox", "correlation"): (lambda: rsa.rdm(patterns("patterns")), 1e-10),
    ("rsatoolbox", "mahalanobis"): (
        lambda: rsa.rdm(patterns("patterns"), "mahalanobis", noise=rsa.noise_precision(residuals(), "full")),
        1e-9,
    ),
    ("rsatoolbox", "poisson"): (lambda: rsa.rdm(patterns("counts"), "poisson"), 1e-9),
    ("rsatoolbox", "crossnobis"): (lambda: rsa.rdm(patterns("runs", RUNS), "crossnobis"), 1e-9),
    **{
        ("rsatoolbox", f"compare {name}"): (lambda ours=ours: compared(ours), 1e-9)
        for name, ours in THEIRS.items()
    },
    # Theirs takes the root of a root of an eigenvalue that is 0, which costs it half of its digits.
    ("rsatoolbox", "compare bures"): (lambda: bures(), 1e-6),
    **{
        ("rsatoolbox", f"covariance {name}"): (
            lambda ours=ours: rsa.noise_covariance(residuals(), ours),
            1e-9,
        )
        for name, ours in COVARIANCES.items()
    },
    ("rsatoolbox", "ceiling cosine"): (lambda: ceiling("cosine"), 1e-9),
    ("rsatoolbox", "ceiling corr"): (lambda: ceiling("pearson"), 1e-9),
    ("mne-rsa", "spearman"): (lambda: compared("spearman").T, 1e-9),
    ("mne-rsa", "pearson"): (lambda: compared("pearson").T, 1e-9),
    ("mne-rsa", "kendall-tau-a"): (lambda: compared("tau-a").T, 1e-9),
    ("mne-rsa", "partial"): (lambda: of_models(rsa.partial_compare, method="pearson"), 1e-9),
    ("mne-rsa", "partial-spearman"): (lambda: of_models(rsa.partial_compare, method="spearman"), 1e-9),
    ("mne-rsa", "regression"): (lambda: of_models(rsa.regress), 1e-9),
    ("himalaya", "ridge alphas"): (lambda: encoding.RidgeCV(**RIDGE).fit(X, Y).alpha_, 1e-12),
    ("himalaya", "ridge weights"): (lambda: encoding.RidgeCV(**RIDGE).fit(X, Y).coef_, 1e-8),
    ("himalaya", "kernel predictions"): (lambda: encoding.KernelRidgeCV(**RIDGE).fit(X, Y).predict(X), 1e-8),
    ("scikit-learn", "ridge weights"): (lambda: encoding.RidgeCV([3.0], cv=2, **QUIET).fit(X, Y).coef_, 1e-9),
    ("scikit-learn", "pls predictions"): (lambda: encoding.PLSCV([2], cv=2).fit(X, Y).predict(X), 1e-9),
    ("scikit-learn", "r2"): (lambda: stats.r2(Y, X[:, :3]), 1e-12),
    ("scikit-learn", "explained variance"): (lambda: stats.explained_variance(Y, X[:, :3]), 1e-12),
    ("scikit-learn", "ledoit-wolf"): (
        lambda: rsa.noise_covariance(residuals(), "shrinkage-identity", dof=25),
        1e-9,
    ),
    ("statsmodels", "standard errors"): (lambda: least_squares().standard_errors_, 1e-9),
    ("statsmodels", "t values"): (lambda: least_squares().t_, 1e-9),
    ("statsmodels", "fdr"): (lambda: stats.fdr(INPUTS["p"]), 1e-12),
    ("statsmodels", "holm"): (lambda: stats.holm(INPUTS["p"]), 1e-12),
    ("scipy", "welch"): (
        lambda: np.ravel(welch_t(INPUTS["first"][:, None], INPUTS["second"][:, None])),
        1e-10,
    ),
    ("scipy", "spearman"): (lambda: stats.spearman(X[:, :3], Y), 1e-12),
    ("scipy", "non-negative ridge"): (
        lambda: encoding.NonNegativeRidgeCV(3.0, cv=2, **QUIET).fit(X, Y).coef_,
        1e-8,
    ),
    ("scipy", "detrended"): (lambda: stats.detrend_linear(INPUTS["series"]), 1e-10),
    ("scipy", "procrustes disparity"): (
        lambda: 1 - similarity.procrustes(INPUTS["x"][:, :3], INPUTS["y"]) ** 2,
        1e-9,
    ),
    ("esda", "moran"): (
        lambda: autocorrelation(
            spatial.moran, ("statistic", "expected", "variance_normal", "variance_random", "z_random")
        ),
        1e-9,
    ),
    ("esda", "geary"): (
        lambda: autocorrelation(
            spatial.geary, ("statistic", "variance_normal", "variance_random", "z_random")
        ),
        1e-9,
    ),
    ("esda", "bivariate moran"): (
        lambda: spatial.bivariate_moran(
            INPUTS["map"], INPUTS["other map"], spatial.lattice((5, 6), neighbours="queen")
        ),
        1e-9,
    ),
    ("repsim", "cka linear"): (lambda: similarity.cka(INPUTS["x"], INPUTS["y"]), 1e-9),
    ("repsim", "cka rbf"): (lambda: similarity.cka(INPUTS["x"], INPUTS["y"], kernel="rbf"), 1e-9),
    ("ckatorch", "cka"): (lambda: similarity.cka(INPUTS["x"], INPUTS["y"]), 1e-9),
    ("ckatorch", "cka unbiased"): (
        lambda: similarity.cka(INPUTS["x"], INPUTS["y"], estimator="unbiased"),
        1e-9,
    ),
    ("mne", "cluster masses"): (masses, 1e-9),
    ("mne", "t values"): (lambda: stats.mean_tests(scores(), n=5, rng=np.random.default_rng(0))["t"], 1e-9),
}


@pytest.mark.parametrize(("package", "name"), list(OURS), ids=lambda one: one)
def test_we_give_the_number_that_the_other_package_gave(package, name):
    ours, tolerance = OURS[package, name]
    kept = PEERS[package]["values"][name]
    expected, found = np.asarray(kept["value"]), np.asarray(ours(), dtype=np.float64)
    assert found.shape == expected.shape, kept["call"]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale, err_msg=kept["call"])


def test_every_kept_value_is_compared_and_says_how_it_was_made():
    kept = {(package, name) for package, content in PEERS.items() for name in content["values"]}
    assert kept == set(OURS)
    for package, content in PEERS.items():
        assert content["made_by"]["package"] == package
        assert {"version", "seed"} <= set(content["made_by"])
        assert all(len(value["call"]) > 10 for value in content["values"].values())
