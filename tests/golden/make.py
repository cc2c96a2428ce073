"""Write what other packages make of the inputs in ``inputs.json``: ``python tests/golden/make.py``.

One file a package: its version, the seed of the inputs, and for every value the call that made it. The tests
read these files, so that they hold where a package is not installed, and show when a new version differs.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SEED = 20240601
ALPHAS = [0.1, 1.0, 10.0, 100.0]
Case = tuple[str, Callable[[dict[str, np.ndarray]], Any]]


def inputs() -> dict[str, np.ndarray]:
    """Return small random data, rounded so that their text is their value."""
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((30, 5))
    signal = rng.standard_normal((6, 7))
    times = np.arange(30)
    made = {
        "patterns": rng.standard_normal((8, 6)),
        "counts": rng.poisson(4.0, (8, 6)) + 1.0,
        "runs": signal + 0.5 * rng.standard_normal((3, 6, 7)),
        "residuals": rng.standard_normal((25, 6)) * [1, 2, 1, 0.5, 1, 3],
        "models": np.abs(rng.standard_normal((2, 28))),
        "data": np.abs(rng.standard_normal((3, 28))),
        "squared": squared_distances(rng.standard_normal((3, 8, 10))),
        "X": X,
        "Y": X @ rng.standard_normal((5, 3)) + 2 * rng.standard_normal((30, 3)),
        "x": rng.standard_normal((15, 4)),
        "y": rng.standard_normal((15, 3)),
        "map": rng.gamma(2.0, size=30),
        "other map": rng.standard_normal(30),
        "first": rng.standard_normal(9),
        "second": rng.standard_normal(12) * 2 + 0.5,
        "p": rng.random(8) ** 2,
        "scores": rng.standard_normal((8, 20)) + 1.5 * (np.abs(np.arange(20) - 10) < 3),
        "series": 0.1 * times[:, None] + rng.standard_normal((30, 2)),
    }
    return {name: np.round(value, 6) for name, value in made.items()}


def squared_distances(points: np.ndarray) -> np.ndarray:
    i, j = np.triu_indices(points.shape[1], 1)
    return ((points[:, i] - points[:, j]) ** 2).sum(axis=2)


def of_rsatoolbox() -> dict[str, Case]:
    from rsatoolbox.data import Dataset
    from rsatoolbox.data.noise import cov_from_residuals
    from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
    from rsatoolbox.rdm import RDMs, calc_rdm, compare

    def runs(x: np.ndarray) -> Dataset:
        n_runs, n, _ = x.shape
        about = {"stimulus": np.tile(np.arange(n), n_runs), "run": np.repeat(np.arange(n_runs), n)}
        return Dataset(x.reshape(-1, x.shape[2]), obs_descriptors=about)

    def rdm(data: Any, method: str, **more: Any) -> np.ndarray:
        return calc_rdm(data, method=method, **more).get_vectors()[0]

    def compared(method: str) -> Case:
        return (
            f"compare(RDMs(models), RDMs(data), method={method!r})",
            lambda d: compare(RDMs(d["models"].copy()), RDMs(d["data"].copy()), method=method),
        )

    def covariance(method: str) -> Case:
        return (
            f"cov_from_residuals(residuals, method={method!r})",
            lambda d: cov_from_residuals(d["residuals"], method=method),
        )

    return {
        "euclidean": (
            "calc_rdm(Dataset(patterns), 'euclidean')",
            lambda d: rdm(Dataset(d["patterns"]), "euclidean"),
        ),
        "correlation": (
            "calc_rdm(Dataset(patterns), 'correlation')",
            lambda d: rdm(Dataset(d["patterns"]), "correlation"),
        ),
        "mahalanobis": (
            "calc_rdm(Dataset(patterns), 'mahalanobis', noise=inv(cov_from_residuals(residuals, 'full')))",
            lambda d: rdm(
                Dataset(d["patterns"]),
                "mahalanobis",
                noise=np.linalg.inv(cov_from_residuals(d["residuals"], method="full")),
            ),
        ),
        "poisson": (
            "calc_rdm(Dataset(counts), 'poisson', prior_lambda=1, prior_weight=0.1)",
            lambda d: rdm(Dataset(d["counts"]), "poisson", prior_lambda=1, prior_weight=0.1),
        ),
        "crossnobis": (
            "calc_rdm(runs, 'crossnobis', descriptor='stimulus', cv_descriptor='run')",
            lambda d: rdm(runs(d["runs"]), "crossnobis", descriptor="stimulus", cv_descriptor="run"),
        ),
        **{
            f"compare {name}": compared(name)
            for name in ("cosine", "corr", "spearman", "rho-a", "tau-a", "kendall", "cosine_cov", "corr_cov")
        },
        "compare bures": (
            "compare(RDMs(squared[:1]), RDMs(squared[1:]), method='bures')",
            lambda d: compare(RDMs(d["squared"][:1]), RDMs(d["squared"][1:]), method="bures"),
        ),
        **{
            f"covariance {name}": covariance(name)
            for name in ("full", "diag", "shrinkage_diag", "shrinkage_eye")
        },
        **{
            f"ceiling {name}": (
                f"boot_noise_ceiling(RDMs(data), method={name!r})",
                lambda d, name=name: boot_noise_ceiling(RDMs(d["data"].copy()), method=name),
            )
            for name in ("cosine", "corr")
        },
    }


def of_mne_rsa() -> dict[str, Case]:
    import mne_rsa

    def scored(metric: str) -> Case:
        return (
            f"mne_rsa.rsa(list(data), list(models), metric={metric!r})",
            lambda d: mne_rsa.rsa(list(d["data"]), list(d["models"]), metric=metric),
        )

    names = ("spearman", "pearson", "kendall-tau-a", "partial", "partial-spearman", "regression")
    return {name: scored(name) for name in names}


def of_himalaya() -> dict[str, Case]:
    from himalaya.backend import set_backend
    from himalaya.kernel_ridge import KernelRidgeCV
    from himalaya.ridge import RidgeCV
    from himalaya.scoring import r2_score
    from sklearn.model_selection import KFold

    set_backend("numpy")

    def ridge(d: dict[str, np.ndarray]) -> Any:
        options = {"score_func": r2_score, "warn": False}
        return RidgeCV(alphas=ALPHAS, fit_intercept=True, cv=KFold(5), solver_params=options).fit(
            d["X"], d["Y"]
        )

    def kernel(d: dict[str, np.ndarray]) -> Any:
        options = {"score_func": r2_score}
        return KernelRidgeCV(
            alphas=ALPHAS, kernel="linear", fit_intercept=True, cv=KFold(5), solver_params=options, warn=False
        ).fit(d["X"], d["Y"])

    how = f"RidgeCV(alphas={ALPHAS}, fit_intercept=True, cv=KFold(5), score_func=r2_score).fit(X, Y)"
    return {
        "ridge alphas": (f"{how}.best_alphas_", lambda d: ridge(d).best_alphas_),
        "ridge weights": (f"{how}.coef_.T", lambda d: ridge(d).coef_.T),
        "kernel predictions": (f"Kernel{how}.predict(X)", lambda d: kernel(d).predict(d["X"])),
    }


def of_scikit_learn() -> dict[str, Case]:
    from sklearn.covariance import ledoit_wolf
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.linear_model import Ridge
    from sklearn.metrics import explained_variance_score, r2_score

    return {
        "ridge weights": (
            "Ridge(alpha=3.0).fit(X, Y).coef_",
            lambda d: Ridge(alpha=3.0).fit(d["X"], d["Y"]).coef_,
        ),
        "pls predictions": (
            "PLSRegression(2, tol=1e-28, max_iter=100_000).fit(X, Y).predict(X)",
            lambda d: PLSRegression(2, tol=1e-28, max_iter=100_000).fit(d["X"], d["Y"]).predict(d["X"]),
        ),
        "r2": (
            "r2_score(Y, X[:, :3], multioutput='raw_values')",
            lambda d: r2_score(d["Y"], d["X"][:, :3], multioutput="raw_values"),
        ),
        "explained variance": (
            "explained_variance_score(Y, X[:, :3], multioutput='raw_values')",
            lambda d: explained_variance_score(d["Y"], d["X"][:, :3], multioutput="raw_values"),
        ),
        "ledoit-wolf": ("ledoit_wolf(residuals)[0]", lambda d: ledoit_wolf(d["residuals"])[0]),
    }


def of_statsmodels() -> dict[str, Case]:
    import statsmodels.api as sm
    from statsmodels.stats.multitest import multipletests

    def fits(d: dict[str, np.ndarray]) -> list[Any]:
        return [sm.OLS(y, sm.add_constant(d["X"])).fit() for y in d["Y"].T]

    return {
        "standard errors": (
            "[OLS(y, add_constant(X)).fit().bse[1:] for y in Y.T]",
            lambda d: [f.bse[1:] for f in fits(d)],
        ),
        "t values": (
            "[OLS(y, add_constant(X)).fit().tvalues[1:] for y in Y.T]",
            lambda d: [f.tvalues[1:] for f in fits(d)],
        ),
        "fdr": ("multipletests(p, method='fdr_bh')[1]", lambda d: multipletests(d["p"], method="fdr_bh")[1]),
        "holm": ("multipletests(p, method='holm')[1]", lambda d: multipletests(d["p"], method="holm")[1]),
    }


def of_scipy() -> dict[str, Case]:
    from scipy.optimize import nnls
    from scipy.signal import detrend
    from scipy.spatial import procrustes
    from scipy.stats import spearmanr, ttest_ind

    def positive(d: dict[str, np.ndarray]) -> list[np.ndarray]:
        X, Y = d["X"] - d["X"].mean(0), d["Y"] - d["Y"].mean(0)
        rows = np.vstack([X, np.sqrt(3.0) * np.eye(X.shape[1])])
        return [nnls(rows, np.concatenate([y, np.zeros(X.shape[1])]))[0] for y in Y.T]

    return {
        "welch": (
            "ttest_ind(first, second, equal_var=False, alternative='greater')",
            lambda d: list(ttest_ind(d["first"], d["second"], equal_var=False, alternative="greater")),
        ),
        "spearman": (
            "[spearmanr(a, b)[0] for a, b in zip(X.T, Y.T)]",
            lambda d: [spearmanr(a, b)[0] for a, b in zip(d["X"].T, d["Y"].T, strict=False)],
        ),
        "non-negative ridge": ("nnls of centred X over sqrt(3) I, Y over 0", positive),
        "detrended": ("detrend(series, axis=0)", lambda d: detrend(d["series"], axis=0)),
        "procrustes disparity": (
            "procrustes(x[:, :3], y)[2]",
            lambda d: procrustes(d["x"][:, :3], d["y"])[2],
        ),
    }


def of_esda() -> dict[str, Case]:
    import esda
    from libpysal.weights import lat2W

    def weights() -> Any:
        return lat2W(5, 6, rook=False)

    def moran(d: dict[str, np.ndarray]) -> list[float]:
        found = esda.Moran(d["map"], weights(), "r", permutations=0)
        return [found.I, found.EI, found.VI_norm, found.VI_rand, found.z_rand]

    def geary(d: dict[str, np.ndarray]) -> list[float]:
        found = esda.Geary(d["map"], weights(), "r", permutations=0)
        return [found.C, found.VC_norm, found.VC_rand, found.z_rand]

    return {
        "moran": ("Moran(map, lat2W(5, 6, rook=False), 'r'): I, EI, VI_norm, VI_rand, z_rand", moran),
        "geary": ("Geary(map, lat2W(5, 6, rook=False), 'r'): C, VC_norm, VC_rand, z_rand", geary),
        "bivariate moran": (
            "Moran_BV(map, other map, lat2W(5, 6, rook=False)).I",
            lambda d: esda.Moran_BV(d["map"], d["other map"], weights(), permutations=0).I,
        ),
    }


def of_repsim() -> dict[str, Case]:
    import repsim

    return {
        f"cka {kernel}": (
            f"repsim.cka([x, y], {kernel!r}, 'gretton')[0, 1]",
            lambda d, kernel=kernel: repsim.cka([d["x"], d["y"]], kernel, "gretton")[0, 1],
        )
        for kernel in ("linear", "rbf")
    }


def of_ckatorch() -> dict[str, Case]:
    import ckatorch
    import torch

    def cka(d: dict[str, np.ndarray], *, unbiased: bool) -> float:
        return ckatorch.cka_base(torch.from_numpy(d["x"]), torch.from_numpy(d["y"]), unbiased=unbiased).item()

    return {
        "cka": ("cka_base(x, y, unbiased=False)", lambda d: cka(d, unbiased=False)),
        "cka unbiased": ("cka_base(x, y, unbiased=True)", lambda d: cka(d, unbiased=True)),
    }


def of_mne() -> dict[str, Case]:
    import mne

    def clusters(d: dict[str, np.ndarray]) -> np.ndarray:
        t, found, *_ = mne.stats.permutation_cluster_1samp_test(
            d["scores"], threshold=2.0, tail=1, n_permutations=256, out_type="mask", verbose="error", seed=0
        )
        return np.sort([t[one].sum() for one in found])

    def t_values(d: dict[str, np.ndarray]) -> np.ndarray:
        return mne.stats.ttest_1samp_no_p(d["scores"])

    return {
        "cluster masses": (
            "permutation_cluster_1samp_test(scores, threshold=2.0, tail=1): sums of t, sorted",
            clusters,
        ),
        "t values": ("ttest_1samp_no_p(scores)", t_values),
    }


PEERS = {
    "rsatoolbox": of_rsatoolbox,
    "mne-rsa": of_mne_rsa,
    "himalaya": of_himalaya,
    "scikit-learn": of_scikit_learn,
    "statsmodels": of_statsmodels,
    "scipy": of_scipy,
    "esda": of_esda,
    "repsim": of_repsim,
    "ckatorch": of_ckatorch,
    "mne": of_mne,
}


def write(path: Path, content: dict[str, Any]) -> None:
    """Write beside and rename, so that a file is never half of one."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    beside.replace(path)


def main() -> None:
    given = inputs()
    about = {"package": "numpy", "version": np.__version__, "call": "inputs() of make.py", "seed": SEED}
    write(HERE / "inputs.json", {"made_by": about, "values": {k: v.tolist() for k, v in given.items()}})
    for package in sys.argv[1:] or PEERS:
        version = importlib.metadata.version(package)
        values = {}
        for name, (call, function) in PEERS[package]().items():
            found = np.asarray(function({k: v.copy() for k, v in given.items()}), dtype=np.float64)
            values[name] = {"call": call, "value": found.tolist()}
        made_by = {"package": package, "version": version, "seed": SEED}
        write(HERE / f"{package}.json", {"made_by": made_by, "values": values})
        print(f"{package} {version}: {len(values)} values")  # noqa: T201  (a script's report)


if __name__ == "__main__":
    main()
