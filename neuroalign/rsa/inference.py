"""Which model explains the data, how well any could, and how sure that is: bootstrap, ceilings, tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from .. import stats
from ..errors import InvalidValueError, ShapeError, choice, listing
from ..schema import check, labels, n_stimuli_of_pairs
from ..seeds import generator
from .compare import aligned, as_rows, check_method
from .draws import LEAST, draw, recorded
from .evaluation import POOLING, noise_ceiling, permuted_means
from .folds import Part, check_folds
from .models import Model, as_models
from .resampling import BOOTSTRAPS, Resampling
from .summary import RECORDED, summarised

__all__ = ["BOOTSTRAPS", "infer", "merge_draws"]

# What must be the same for results to be parts of one.
CHOICES = (
    "metric",
    "bootstrap",
    "n_subjects",
    "n_stimuli",
    "folds_subject",
    "folds_stimulus",
    "pooling",
    "level",
    "alternative",
    "seed",
)
TAILS = ("greater", "less", "two-sided")
# Copies of a stimulus make a second moment singular, which has no Riemannian distance.
WITHOUT_COPIES = ("riemannian",)


def infer(
    models: xr.DataArray | Sequence[Model],
    data: xr.DataArray,
    *,
    method: str = "spearman",
    bootstrap: str | None = "both",
    n: int = 1000,
    rng: np.random.Generator | None = None,
    first: int = 0,
    draws: Mapping[str, Any] | xr.Dataset | None = None,
    folds: Mapping[str, int] | None = None,
    n_repeats: int = 2,
    n_permutations: int = 0,
    ceiling: bool = True,
    pooling: str = "best",
    level: float = 0.95,
    alternative: str = "greater",
    progress: bool = False,
) -> xr.Dataset:
    r"""Return how well models predict RDMs, with noise ceiling, variances, intervals and tests.

    A bootstrap sample holds a stimulus as often as it was drawn; its pairs with itself say nothing and are
    left out. With ``bootstrap="both"`` the same draws are taken of subjects and stimuli, of subjects only and
    of stimuli only, and the variance over new subjects and new stimuli is ``stats.dual_variance`` of the
    three; with one factor it is n / (n - 1) times that of the draws. Samples with fewer than 3 distinct
    stimuli a fold are drawn again and counted. A score that a sample leaves undefined (a constant RDM) is
    left out of that model's variance and tests, and counted.

    Draw i depends on the generator's state when it is passed, and on i: 500 draws, and 500 from
    ``first=500`` of a generator in the same state, merge to the result of 1,000, to rounding
    (``merge_draws``).

    Parameters
    ----------
    models : DataArray (model, pair) or sequence of models
        RDMs, each a fixed model, or what ``rsa.models`` makes. Aligned to ``data`` by stimulus label.
    data : DataArray (subject, pair)
        One RDM a subject, unique labels. Missing pairs (NaN) are let through for fixed models, slowly.
    method : str
        As in ``compare``. ``tau-a``, ``tau-b``, ``bures`` and missing pairs take the slow path of one sample
        at a time; ``riemannian`` can only resample subjects.
    bootstrap : {"both", "subject", "stimulus", None}
        What new samples are imagined of. None tests over the subjects themselves, by t and by sign flips.
    n : int
        Draws. Degrees of freedom count that the variance of few draws is uncertain (``stats.effective_dof``).
    rng : numpy.random.Generator, optional
        Needed for draws, folds and permutations; one number is taken from it.
    first : int
        Number of the first draw and permutation.
    draws : mapping or Dataset, optional
        Recorded draws instead of new ones: index arrays ``subject`` (n, n_subjects) and ``stimulus``
        (n, n_stimuli), or a result of this function.
    folds : mapping, optional
        Folds over ``"subject"`` and ``"stimulus"``. Needed for models with parameters, which are fitted to
        the other subjects and stimuli, in every sample.
    n_repeats : int
        Random assignments to folds a sample. With at least 2 their variance is taken out of that over draws;
        where too few draws leave nothing above 0, there is no test (NaN).
    n_permutations : int
        Orders of the stimuli for an exact test of no relation (fixed models).
    ceiling : bool
        Whether to compute noise ceilings; without, one subject is enough for a bootstrap over stimuli.
    pooling : {"best", "plain"}
        As in ``noise_ceiling``.
    level : float
        Of intervals.
    alternative : {"greater", "less", "two-sided"}
        Of the tests against 0 and of the permutation test; tests of differences are two-sided.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    Dataset
        - ``score`` (model, subject), ``estimate`` (model,), ``noise_ceiling`` (bound,): of the data as they
          are; with folds held-out, averaged over folds and repeats;
        - ``variance`` (model,), ``variance_difference`` (model, model_b), ``variance_ceiling`` (model,
          bound), the last of the difference from either bound;
        - ``interval`` and ``interval_bootstrap`` (bound, model); ``ceiling_interval`` (end, bound);
        - ``zero_*`` (model,) tests against 0, ``ceiling_*`` (model,) against the lower bound, ``pairwise_*``
          (model, model_b) of estimate less estimate_b: ``t``, ``p``, ``p_fdr``, ``p_holm``, and from the
          draws ``p_bootstrap``, ``p_max`` (see ``stats.resampled_tests``). ``ceiling_*`` are two-sided: a
          model falls short of the bound where ``ceiling_t`` is below 0, and the true model lies above it, for
          the bound is what the mean of fewer subjects reaches. A bootstrap makes them conservative, since its
          draws hold fewer distinct subjects;
        - without draws, of the subjects' scores: ``zero_p_flip``, ``pairwise_p_flip``, exact p under flips of
          the subjects' signs, and ``*_p_flip_max``, family-wise (``stats.sign_flips``). All patterns of up to
          12 subjects; of more, 9,999 are drawn where there is an ``rng``, else these four are left out;
        - ``permutation_p``, ``permutation_p_fdr``, ``permutation_p_max`` (model,);
        - ``draw_estimate`` (draw, repeat, kind, model), ``draw_ceiling`` (draw, repeat, kind, bound), the
          draws themselves (``draw_subject``, ``draw_stimulus``, ``draw_redrawn``) and ``n_undefined_draws``
          (model,).

    Raises
    ------
    ShapeError
        If dims are other ones, there is one subject for a ceiling, or too few items to resample.
    LabelError
        If stimuli differ, or a label comes twice.
    InvalidValueError
        If a choice is unknown, a fitted model has no folds, or ``rng`` is missing.

    References
    ----------
    Schuett, Kipnis, Diedrichsen & Kriegeskorte 2023, eLife 12:e82566; Nili et al. 2014, PLoS Comput Biol
    10:e1003553. rsatoolbox 0.3.2 tests the mean over draws instead of the estimate, and its bootstrap tests
    take the uncorrected draws.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> rng = np.random.default_rng(0)
    >>> true, names = rng.random(28), [f"s{i}" for i in range(8)]
    >>> data = make_rdm(true + 0.3 * rng.random((6, 28)), names, dims=["subject"],
    ...                 coords={"subject": list("abcdef")})
    >>> models = make_rdm(np.stack([true, rng.random(28)]), names, dims=["model"],
    ...                   coords={"model": ["true", "other"]})
    >>> found = infer(models, data, n=50, rng=rng)
    >>> (found["zero_p"] < 0.05).values.tolist()
    [True, False]
    """
    _check_choices(method, bootstrap, pooling, alternative)
    k, first = check_folds(folds), _whole(first, "first", 0)
    parts, names, rows, subjects = _inputs(models, data)
    _refuse_unfit(parts, names, rows, k, n_permutations)
    if len(rows) < 2 and (ceiling or bootstrap != "stimulus"):
        raise ShapeError(
            f"a noise ceiling and tests over subjects need at least 2 subjects; got {len(rows)}. For one, "
            "pass bootstrap='stimulus' and ceiling=False."
        )
    repeats = _whole(n_repeats, "n_repeats", 1) if max(k) > 1 else 0
    sizes = (len(rows), n_stimuli_of_pairs(rows.shape[1]))
    flips = bootstrap is None and rng is not None and len(rows) > stats.ENUMERATED
    needs = (bootstrap is not None and draws is None) or repeats or n_permutations or flips
    seed = _seed(rng, draws) if needs else -1
    run = Resampling(parts, rows, method, k, repeats, pooling, ceiling)
    found = run.estimate(seed).assign_coords(model=names, subject=subjects)
    values = (method, bootstrap or "none", *sizes, *k, pooling, float(level), alternative, seed)
    found.attrs = dict(zip(CHOICES, values, strict=True))
    found.attrs["n_undefined"] = int(np.isnan(found["score"]).sum())
    if bootstrap is not None:
        if draws is None:
            size = _whole(n, "n", 1)
            drawn = draw(
                size, first=first, seed=seed, sizes=sizes, resampled=bootstrap, folds=k, n_repeats=repeats
            )
        else:
            drawn = recorded(draws, sizes=sizes, resampled=bootstrap, n_repeats=repeats)
        found = found.merge(run.resampled(drawn, bootstrap, progress))
    elif ceiling and not repeats:
        found["subject_ceiling"] = noise_ceiling(data, method, per_subject=True, pooling=pooling)
    if n_permutations:
        _whole(n_permutations, "n_permutations", 1)
        found = found.merge(_permuted(parts, rows, method, n_permutations, first, seed, progress))
    return summarised(found)


def merge_draws(*results: xr.Dataset) -> xr.Dataset:
    """Return one result of the draws of several, as if they had been drawn at once.

    Parameters
    ----------
    *results : Dataset
        Of ``infer`` with the same data, models and choices, from a generator in the same state, and other
        draws each (``first``). Results read with ``io.load`` will do.

    Returns
    -------
    Dataset
        Draws in order of their number, everything else computed anew.

    Raises
    ------
    InvalidValueError
        If the results are not of one analysis, or a draw comes twice.
    """
    if len(results) < 2:
        raise InvalidValueError(f"merge_draws needs at least 2 results; got {len(results)}.")
    one = results[0]
    for i, other in enumerate(results[1:], 1):
        for name in CHOICES:
            if other.attrs.get(name) != one.attrs.get(name):
                raise InvalidValueError(
                    f"result {i} has {name} {other.attrs.get(name)!r}, the first {one.attrs.get(name)!r}: "
                    "they are not parts of one analysis."
                )
        for name in ("score", "estimate"):
            same = name in other and one[name].shape == other[name].shape
            if not same or not np.allclose(one[name], other[name], rtol=1e-9, equal_nan=True):
                raise InvalidValueError(f"result {i} has another {name!r} than the first: the data differ.")
    fixed = [name for name in ("score", "estimate", "noise_ceiling", "subject_ceiling") if name in one]
    merged = one[fixed].copy()
    for dim in ("draw", "permutation"):
        if dim in one.dims:
            merged = merged.merge(_joined(results, dim))
    merged.attrs = {name: one.attrs[name] for name in (*CHOICES, "n_undefined")}
    return summarised(merged)


def _inputs(
    models: xr.DataArray | Sequence[Model], data: xr.DataArray
) -> tuple[list[Part], list[Any], np.ndarray, np.ndarray]:
    """Return models as rows in the order of the data's stimuli, their names, the data's rows and subjects."""
    check(data, "rdm", name="data")
    if data.dims != ("subject", "pair"):
        raise ShapeError(
            f"data must have dims ('subject', 'pair'); got {data.dims}. Average the others first."
        )
    subjects = labels(data, on="subject", name="data")
    rows = as_rows(data, "data")[0]
    if isinstance(models, xr.DataArray):
        found = as_models(models)
        _, moved = aligned(data, models, ("data", "models"))
        each = [Part("fixed", row[None]) for row in as_rows(moved, "models")[0]]
        return each, [model.name for model in found], rows, subjects
    found, each = as_models(models), []
    for model in found:
        _, moved = aligned(data, model.rdms, ("data", model.name))
        each.append(Part(model.kind, as_rows(moved, model.name)[0], model.ridge))
    return each, [model.name for model in found], rows, subjects


def _check_choices(method: str, bootstrap: str | None, pooling: str, alternative: str) -> None:
    check_method(method)
    for name, value, allowed in (
        ("bootstrap", bootstrap, (*BOOTSTRAPS, None)),
        ("pooling", pooling, POOLING),
        ("alternative", alternative, TAILS),
    ):
        if value not in allowed:
            raise choice(value, allowed, name=name)
    if method in WITHOUT_COPIES and bootstrap in ("both", "stimulus"):
        raise InvalidValueError(
            f"{method} is undefined for samples in which a stimulus comes twice. Pass bootstrap='subject'."
        )


def _refuse_unfit(
    parts: Sequence[Part], names: Sequence[Any], rows: np.ndarray, folds: tuple[int, int], n_permutations: int
) -> None:
    fitted = [name for part, name in zip(parts, names, strict=True) if part.kind != "fixed"]
    if fitted and max(folds) == 1:
        raise InvalidValueError(
            f"{listing(fitted)} have parameters: scores on the data that they are fitted to say nothing. "
            "Pass folds={'subject': 4, 'stimulus': 3} or the like."
        )
    if fitted and n_permutations:
        raise InvalidValueError(f"permutation tests are of fixed models; {listing(fitted)} are fitted.")
    if fitted and any(np.isnan(x).any() for x in (rows, *(part.components for part in parts))):
        raise InvalidValueError(f"{listing(fitted)}: fitting needs RDMs without missing pairs.")
    least = (folds[0], LEAST * folds[1])
    sizes = (len(rows), n_stimuli_of_pairs(rows.shape[1]))
    for name, k, size, few in zip(("subject", "stimulus"), folds, sizes, least, strict=True):
        if size < few:
            raise ShapeError(f"{k} folds over {name} need at least {few}; got {size}.")


def _permuted(
    parts: Sequence[Part], rows: np.ndarray, method: str, n: int, first: int, seed: int, progress: bool
) -> xr.Dataset:
    n_stimuli = n_stimuli_of_pairs(rows.shape[1])
    numbers = iter(range(first, first + n))
    null = stats.permutation(
        permuted_means(np.concatenate([part.components for part in parts]), rows, method),
        n,
        # Order i depends on the seed and on i only, so that runs can be merged.
        permute=lambda _: generator(seed, "permutation", next(numbers)).permutation(n_stimuli),
        rng=generator(seed, "permutation"),
        progress=progress,
    )
    return xr.Dataset(
        {"permutation_estimate": (("permutation", "model"), null)},
        coords={"permutation": np.arange(first, first + n)},
    )


def _joined(results: Sequence[xr.Dataset], dim: str) -> xr.Dataset:
    """Return the variables that have draws, of all results, in order of the draws' numbers."""
    names = [name for name in RECORDED if name in results[0] and dim in results[0][name].dims]
    together = xr.concat([result[names] for result in results], dim).sortby(dim)
    numbers = together[dim].values
    if len(np.unique(numbers)) < len(numbers):
        twice = numbers[1:][numbers[1:] == numbers[:-1]]
        raise InvalidValueError(f"{dim} {listing(twice)} come twice: pass first= to go on where a run ended.")
    return together


def _seed(rng: np.random.Generator | None, draws: Any) -> int:
    """Return the number that all draws follow from: recorded, or one taken from the generator."""
    if isinstance(draws, xr.Dataset) and rng is None and draws.attrs.get("seed", -1) >= 0:
        return int(draws.attrs["seed"])
    if not isinstance(rng, np.random.Generator):
        raise InvalidValueError(
            f"rng: draws, folds and permutations need a numpy.random.Generator; got {type(rng).__name__}."
        )
    return int(rng.integers(2**63))


def _whole(value: int, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InvalidValueError(f"{name} must be an integer of at least {least}; got {value!r}.")
    return int(value)
