"""Draw figure 15 from its table of values: ``python inference.py TABLE``."""

from __future__ import annotations

import sys

import pandas as pd
import xarray as xr

from neuroalign import plotting

RESAMPLED = {"both": "people and stimuli", "subject": "people", "stimulus": "stimuli"}


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("model", "other", "quantity", "method"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    methods = list(dict.fromkeys(table["method"]))
    found = {method: dataset(table[table["method"] == method], method) for method in methods}
    figure, axes = plotting.figure(2, len(methods), height=150)
    for (bars, draws), method in zip(axes.T, methods, strict=True):
        order = found[method]["estimate"].to_series().sort_values(ascending=False).index.tolist()
        plotting.model_bars(bars, found[method], order=order)
        plotting.bootstrap_distributions(draws, found[method].sel(model=order))
        bars.set_title(f"Models, {method}")
        draws.set_title(f"Bootstrap draws, {method}")
    plotting.panel_letters(axes.ravel())
    notes = about["notes"]
    title = f"{notes['stimuli']}: which models differ"
    return figure, title[0].upper() + title[1:], caption(found, about)


def dataset(table: pd.DataFrame, method: str) -> xr.Dataset:
    """Return the values as the inference gave them."""
    one = dict(list(table.groupby("quantity", sort=False)))
    models = one["estimate"]["model"].tolist()

    def of_models(name: str) -> list[float]:
        return one[name].set_index("model")["value"].loc[models].tolist()

    def of_pairs(name: str, columns: list[str]) -> object:
        return one[name].pivot(index="model", columns="other", values="value").loc[models, columns].to_numpy()

    subjects = list(dict.fromkeys(one["score"]["other"]))
    draws = list(dict.fromkeys(one["draw"]["other"]))
    ceiling = one["noise ceiling"].set_index("model")["value"]
    return xr.Dataset(
        {
            "estimate": ("model", of_models("estimate")),
            "score": (("model", "subject"), of_pairs("score", subjects)),
            "interval": (("bound", "model"), [of_models("low"), of_models("high")]),
            "zero_p_fdr": ("model", of_models("p_fdr against 0")),
            "permutation_p_fdr": ("model", of_models("p_fdr of permutation")),
            "pairwise_p_fdr": (("model", "model_b"), of_pairs("p_fdr pairwise", models)),
            "noise_ceiling": ("bound", ceiling.loc[["lower", "upper"]].tolist()),
            "draw_estimate": (("model", "draw"), of_pairs("draw", draws)),
        },
        coords={"model": models, "model_b": models, "bound": ["lower", "upper"]},
        attrs={"metric": method},
    )


def caption(found: dict[str, xr.Dataset], about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    said = []
    for method, one in found.items():
        above = one["model"].values[(one["zero_p_fdr"] < 0.05).values].tolist()
        permuted = one["model"].values[(one["permutation_p_fdr"] < 0.05).values].tolist()
        n_pairs = int((one["pairwise_p_fdr"] < 0.05).sum()) // 2
        n_all = len(one["model"]) * (len(one["model"]) - 1) // 2
        said.append(
            f"{method}: above 0 {', '.join(above) or 'none'}; by permutation {', '.join(permuted) or 'none'}; "
            f"{n_pairs} of {n_all} differences hold"
        )
    return (
        f"{notes['n_models']} model RDMs against the {notes['region']} RDMs of {notes['n_subjects']} people "
        f"({notes['rdms']}). Above: means over people, people as dots, 95 % intervals over new "
        f"{RESAMPLED[params['resample']]} ({params['n_draws']} draws, corrected variance, t), the noise ceiling in grey. "
        "A dot below a bar: above 0; a ring with wedges above the bars: this model is better than those; all FDR q < .05. "
        "Below: the draws; the intervals are not their percentiles. "
        f"{'. '.join(said)}. The permutation test orders the stimuli anew ({notes['n_permutations']} draws) and speaks of "
        f"these people; the tests against 0 speak of new ones, of which there are few here. {notes['remark']} "
        f"Data: {notes['cite']}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
