"""Figure 20: people's similarity judgements against human IT, monkey IT and model RDMs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from ... import datasets, io, rsa, stats
from ...rsa.compare import unit_rows
from ...rsa.evaluation import permuted_means
from ...schema import align, rdm_stimuli
from ...seeds import generator
from ..paths import Paths
from ..sections import Behaviour
from .common import write_values

__all__ = ["Shuffled", "behaviour", "corrected", "pair_sets", "shuffled_within"]

FIGURE = 20
HUMAN, MONKEY = "human IT", "monkey IT"
# Sets of pairs are compared by ranks: what is near and what is far inside them.
BY_RANK = "spearman"
# A mean that varies by no more than this over orders does not vary.
ROUNDING = 1e-9
ENDS = {"low": 0.025, "high": 0.975}


class Shuffled(NamedTuple):
    """Mean scores under orders of the stimuli inside their categories: (n, set, model); what is observed."""

    null: np.ndarray
    observed: np.ndarray


def behaviour(paths: Paths) -> None:
    """Write the values of figure 20: the judgements, who predicts them, and from which pairs."""
    section, seed = paths.study.behaviour or Behaviour(), paths.study.seed
    judges = datasets.load(section.responses, what="behaviour")
    table = datasets.load(section.responses, what="stimuli")
    categories = dict(zip(table["stimulus"], table["category"], strict=True))
    judges, candidates = align(judges, _candidates(section), names=["judges", "candidates"])
    rows = [_map(judges, categories)]
    for method in tqdm(section.methods, desc="inference", unit="comparator"):
        found = rsa.infer(
            candidates,
            judges,
            method=method,
            bootstrap=section.resample,
            n=section.n_draws,
            n_permutations=section.n_permutations,
            rng=generator(seed, "behaviour", "inference", method),
        )
        io.save(
            found.drop_attrs(deep=True), paths.inference(method), inputs=_digests(judges, table), seed=seed
        )
        rows.append(_inferred(found, method))
    sets = pair_sets(judges, categories)
    rows += _of_sets(candidates, judges, categories, sets, section, seed)
    rows.append(_partial(candidates, judges, generator(seed, "behaviour", "partial")))
    notes = {
        "stimuli": "92 object images",
        "n_people": judges.sizes["subject"],
        "n_candidates": candidates.sizes["model"],
        "n_scanned": 4,
        "n_pairs": {name: int(mask.sum()) for name, mask in sets.items()},
        "brains": float(rsa.compare(candidates.sel(model=[HUMAN]), candidates.sel(model=[MONKEY]))[0, 0]),
        "licence": judges.attrs["licence"],
        "cite": judges.attrs["cite"],
    }
    values = pd.concat(rows, ignore_index=True)[["quantity", "set", "method", "model", "other", "value"]]
    write_values(paths, FIGURE, values, inputs=_digests(judges, table), section=section, notes=notes)


def pair_sets(rdm: xr.DataArray, categories: dict[str, str]) -> dict[str, np.ndarray]:
    """Return which pairs are of all, between and within categories, and within each one, as (n_pairs,) masks.

    Categories of fewer than 3 stimuli have no set of their own.
    """
    first, second = (np.array([categories[name] for name in rdm[f"stimulus_{x}"].values]) for x in "ab")
    same = first == second
    each = {
        f"within {name}": same & (first == name)
        for name in dict.fromkeys(categories.values())
        if (same & (first == name)).sum() >= 3
    }
    return {"all": np.ones(len(same), dtype=bool), "between": ~same, "within": same, **each}


def shuffled_within(
    candidates: xr.DataArray,
    judges: xr.DataArray,
    categories: dict[str, str],
    sets: dict[str, np.ndarray],
    *,
    n: int,
    rng: np.random.Generator,
) -> Shuffled:
    """Return mean rank correlations by set of pairs when stimuli change places inside their categories.

    Such an order maps every set of ``pair_sets`` to itself, so that it moves the ranks within each and
    changes no rank: what the categories alone explain stays, what the images in them explain goes.

    Parameters
    ----------
    candidates : DataArray (model, pair)
    judges : DataArray (subject, pair)
        Of the same stimuli in the same order, without missing pairs.
    categories : dict of stimulus to category
    sets : dict of name to array (n_pairs,) of bool
    n : int
        Orders.
    rng : numpy.random.Generator
    """
    kinds = np.array([categories[name] for name in rdm_stimuli(judges)])
    members = [np.flatnonzero(kinds == kind) for kind in dict.fromkeys(kinds.tolist())]
    means = []
    for mask in sets.values():
        left, right = (_padded(x.values, mask) for x in (candidates, judges))
        constant = np.isnan(left).any(axis=1)
        mean = permuted_means(np.where(constant[:, None], 1.0, left), right, "cosine")
        means.append((mean, np.where(constant, np.nan, 0.0)))

    def order(rng: np.random.Generator) -> np.ndarray:
        found = np.arange(len(kinds))
        for own in members:
            found[own] = own[stats.shuffle(len(own), rng)]
        return found

    def statistic(drawn: np.ndarray) -> np.ndarray:
        return np.stack([mean(drawn) + undefined for mean, undefined in means])

    null = stats.permutation(statistic, n, permute=order, rng=rng)
    return Shuffled(null, statistic(np.arange(len(kinds))))


def corrected(shuffled: Shuffled) -> np.ndarray:
    """Return p (set, model), family-wise over all sets and candidates.

    Sets differ in what categories give and in how much few pairs vary: each statistic is first taken in
    standard deviations from the mean of its own draws, the observed one among them, so that the test is
    exact. A candidate that such orders do not change (categories are all that it knows) has no test: NaN.
    """
    together = np.concatenate([shuffled.observed[None], shuffled.null])
    spread = together.std(axis=0)
    scaled = (together - together.mean(axis=0)) / np.where(spread > ROUNDING, spread, np.nan)
    return stats.max_p(scaled[0], scaled[1:])


def _padded(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return rows whose dot products are the rank correlations over the pairs of the mask."""
    found = np.zeros(values.shape)
    found[:, mask] = unit_rows(values[:, mask].astype(np.float64), BY_RANK)
    return found


def _candidates(section: Behaviour) -> xr.DataArray:
    """Return human IT (the mean of people and sessions), monkey IT and the models (model, pair)."""
    brains = datasets.load(section.responses, what="human_it").mean(("subject", "session"))
    models = datasets.load(section.responses, what="models")
    names = [MONKEY if name == "monkeyIT" else name for name in models["model"].values.tolist()]
    together = xr.concat(
        [brains.expand_dims(model=[HUMAN]), models.assign_coords(model=names).drop_attrs()], "model"
    )
    rest = [name for name in names if name != MONKEY]
    return together.sel(model=[HUMAN, MONKEY, *rest])


def _digests(judges: xr.DataArray, table: pd.DataFrame) -> dict[str, str]:
    return {"judgements": judges.attrs["digest"], "stimuli": table.attrs["digest"]}


def _map(judges: xr.DataArray, categories: dict[str, str]) -> pd.DataFrame:
    """Return the mean RDM (each person's over its root mean square) by pair, and each stimulus's category."""
    mean = rsa.mean_rdm(judges, "subject", scale="rms")
    pairs = {"model": mean["stimulus_a"].values, "other": mean["stimulus_b"].values, "value": mean.values}
    stimuli = {"model": list(categories), "other": list(categories.values()), "value": 1.0}
    found = [pd.DataFrame(pairs).assign(quantity="dissimilarity")]
    found.append(pd.DataFrame(stimuli).assign(quantity="category"))
    return pd.concat(found).assign(set="all", method="")


def _long(values: xr.DataArray, quantity: str, **more: str) -> pd.DataFrame:
    """Return an array over models, and at most one other dim, as rows."""
    other = [dim for dim in values.dims if dim != "model"]
    bare = values.drop_vars(set(values.coords) - set(values.dims)).rename("value")
    table = bare.to_dataframe().reset_index()
    table["other"] = table[other[0]].astype(str) if other else ""
    if "model" not in table:
        table["model"] = ""
    return table[["model", "other", "value"]].assign(quantity=quantity, **more)


def _inferred(found: xr.Dataset, method: str) -> pd.DataFrame:
    """Return estimates, intervals, ceilings, family-wise tests, and what shuffled labels give."""
    null = found["permutation_estimate"]
    parts = {
        "estimate": found["estimate"],
        "score": found["score"],
        "noise ceiling": found["noise_ceiling"],
        "p_max against 0": found["zero_p_max"],
        "p_max of permutation": found["permutation_p_max"],
        "p_max pairwise": found["pairwise_p_max"],
        **{end: found["interval"].sel(bound=side) for end, side in (("low", "lower"), ("high", "upper"))},
        **{f"shuffled {end}": null.quantile(q, "permutation", skipna=False) for end, q in ENDS.items()},
    }
    return pd.concat([_long(part, name, set="all", method=method) for name, part in parts.items()])


def _of_sets(
    candidates: xr.DataArray,
    judges: xr.DataArray,
    categories: dict[str, str],
    sets: dict[str, np.ndarray],
    section: Behaviour,
    seed: int,
) -> list[pd.DataFrame]:
    """Return scores, ceilings, shuffles inside categories and tests between candidates by set of pairs."""
    rng = generator(seed, "behaviour", "within categories")
    shuffled = shuffled_within(candidates, judges, categories, sets, n=section.n_permutations, rng=rng)
    names = list(sets)
    coords = {"set": names, "model": candidates["model"].values}
    p_max = xr.DataArray(corrected(shuffled), dims=("set", "model"), coords=coords)
    rows = []
    for i, (name, mask) in enumerate(sets.items()):
        found = rsa.infer(
            candidates,
            judges.where(xr.DataArray(mask, dims="pair")),
            method=BY_RANK,
            bootstrap=None,
            rng=generator(seed, "behaviour", "flips", name),
        )
        drawn = xr.DataArray(shuffled.null[:, i], dims=("draw", "model"), coords={"model": coords["model"]})
        parts = {
            "estimate": found["estimate"],
            "score": found["score"],
            "noise ceiling": found["noise_ceiling"],
            "p_max of shuffle": p_max.isel(set=i).drop_vars("set"),
            "p_max pairwise": found["pairwise_p_flip_max"],
            **{f"shuffled {end}": drawn.quantile(q, "draw", skipna=False) for end, q in ENDS.items()},
        }
        rows += [_long(part, what, set=name, method="by set") for what, part in parts.items()]
    return rows


def _partial(candidates: xr.DataArray, judges: xr.DataArray, rng: np.random.Generator) -> pd.DataFrame:
    """Return what either brain explains of the judgements that the other does not, tested over people."""
    brains = candidates.sel(model=[HUMAN, MONKEY])
    found = rsa.partial_compare(brains, judges, BY_RANK).transpose("subject", "model")
    null = stats.sign_flips(found.values, n=9_999, rng=rng)
    p_max = found.mean("subject").copy(data=stats.max_p(found.values.mean(axis=0), null))
    rows = [_long(found, "score"), _long(found.mean("subject"), "estimate"), _long(p_max, "p_max of flips")]
    return pd.concat(rows).assign(set="all", method="partial")
