"""Draw figure 20 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from neuroalign import plotting
from neuroalign.schema import make_rdm

HUMAN, MONKEY, THIRD = "human IT", "monkey IT", "animacy"
SHADES = {HUMAN: "blue", MONKEY: "orange", THIRD: "green"}
COLOURS = {name: plotting.COLOURS[shade] for name, shade in SHADES.items()}
SETS = ("all", "between", "within")
RESAMPLED = {"both": "people and stimuli", "subject": "people", "stimulus": "stimuli"}


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("quantity", "set", "method", "model", "other"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    methods = about["provenance"]["params"]["methods"][:2]
    figure, axes = plotting.figure(2, 3, height=150, gridspec_kw={"width_ratios": (1, 1.1, 1.1)})
    flat = axes.ravel()
    judgements(flat[0], table)
    order = dataset(table, methods[0])["estimate"].to_series().sort_values(ascending=False).index.tolist()
    for ax, method in zip(flat[1:], methods, strict=False):
        bars(ax, dataset(table, method), order)
    if len(methods) < 2:
        flat[2].set_axis_off()
    by_set(flat[3], table, SETS, "Between, within categories")
    person_by_person(flat[4], table)
    inside = [name for name in dict.fromkeys(table["set"]) if name.startswith("within ")]
    by_set(flat[5], table, inside, "Inside each category")
    legend(figure)
    plotting.panel_letters(flat)
    return figure, "People's similarity judgements, brains and models", caption(table, about)


def judgements(ax: object, table: pd.DataFrame) -> None:
    pairs, kinds = (table[table["quantity"] == name] for name in ("dissimilarity", "category"))
    rdm = make_rdm(pairs["value"].to_numpy(float), kinds["model"].tolist())
    plotting.rdm_map(
        ax, rdm, categories=dict(zip(kinds["model"], kinds["other"], strict=True)), scale="percentile"
    )
    ax.set_title("Judgements, mean of people", pad=12)


def of(table: pd.DataFrame, method: str, part: str = "all") -> dict[str, pd.DataFrame]:
    """Return the rows of one comparison by quantity."""
    rows = table[(table["method"] == method) & (table["set"] == part)]
    return dict(list(rows.groupby("quantity", sort=False)))


def dataset(table: pd.DataFrame, method: str) -> xr.Dataset:
    """Return the values as ``plotting.model_bars`` takes them; every p is corrected family-wise."""
    one = of(table, method)
    models = one["estimate"]["model"].tolist()

    def single(name: str) -> list[float]:
        return one[name].set_index("model")["value"].loc[models].tolist()

    def wide(name: str, columns: list[str]) -> np.ndarray:
        return one[name].pivot(index="model", columns="other", values="value").loc[models, columns].to_numpy()

    people = list(dict.fromkeys(one["score"]["other"]))
    ceiling = one["noise ceiling"].set_index("other")["value"]
    return xr.Dataset(
        {
            "estimate": ("model", single("estimate")),
            "score": (("model", "subject"), wide("score", people)),
            "interval": (("bound", "model"), [single("low"), single("high")]),
            "permutation_p": ("model", single("p_max of permutation")),
            "zero_p_fdr": ("model", single("p_max against 0")),
            "pairwise_p_fdr": (("model", "model_b"), wide("p_max pairwise", models)),
            "shuffled": (("bound", "model"), [single("shuffled low"), single("shuffled high")]),
            "noise_ceiling": ("bound", ceiling.loc[["lower", "upper"]].tolist()),
        },
        coords={"model": models, "model_b": models, "bound": ["lower", "upper"]},
        attrs={"metric": method},
    )


def bars(ax: object, found: xr.Dataset, order: list[str]) -> None:
    label = {"spearman": "Spearman r", "pearson": "Pearson r", "cosine": "cosine"}[found.attrs["metric"]]
    plotting.model_bars(ax, found, order=order, label=f"{label} with judgements")
    low, high = found["shuffled"].sel(model=order).values
    ax.vlines(
        np.arange(len(order)) + 0.42, low, high, color=plotting.COLOURS["vermillion"], linewidth=1.6, zorder=5
    )
    rank = "ranks" if found.attrs["metric"] == "spearman" else "as judged"
    ax.set_title(f"All pairs, {rank}")
    ax.set_xticks(range(len(order)), order, rotation=55, ha="right", rotation_mode="anchor")


def by_set(ax: object, table: pd.DataFrame, sets: list[str] | tuple[str, ...], title: str) -> None:
    """Draw three candidates for each set of pairs: people, mean, shuffles inside categories, ceiling."""
    wide = 0.25
    for i, part in enumerate(sets):
        one = of(table, "by set", part)
        ceiling = one["noise ceiling"].set_index("other")["value"]
        plotting.ceiling_band(ax, ceiling["lower"], ceiling["upper"], label=None, x=(i - 0.42, i + 0.42))
        for j, (name, colour) in enumerate(COLOURS.items()):
            x = i + (j - 1) * wide
            own = {quantity: rows[rows["model"] == name] for quantity, rows in one.items()}
            people = own["score"]["value"].to_numpy(float)
            low, high = (own[f"shuffled {end}"]["value"].item() for end in ("low", "high"))
            mean = own["estimate"]["value"].item()
            if np.isnan(mean):
                continue
            ax.scatter(
                x + np.linspace(-0.08, 0.08, len(people)), people, s=2.5, color=colour, alpha=0.6, linewidth=0
            )
            ax.plot([x - 0.1, x + 0.1], [mean, mean], color="black", linewidth=1.4, zorder=4)
            ax.vlines(x + 0.11, low, high, color=plotting.COLOURS["vermillion"], linewidth=1.4, zorder=3)
            if own["p_max of shuffle"]["value"].item() < 0.05:
                ax.text(x, max(people.max(), mean) + 0.01, "*", ha="center", va="bottom", color=colour)
    ax.axhline(0, color="black", linewidth=0.6)
    names = [part.removeprefix("within ") if len(sets) > len(SETS) else part for part in sets]
    tilt = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(sets) > len(SETS) else {}
    ax.set_xticks(range(len(sets)), names, **tilt)
    ax.set(ylabel="Spearman r with judgements", title=title)


def legend(figure: object) -> None:
    """Say below all panels what colours mean."""
    marks = [
        Line2D([], [], linestyle="", marker="o", markersize=3.5, color=colour, label=f"{name} (d, f)")
        for name, colour in COLOURS.items()
    ]
    red = plotting.COLOURS["vermillion"]
    marks.append(Line2D([], [], color=red, linewidth=1.6, label="95 % of shuffled means"))
    marks.append(Patch(color=plotting.GREY, alpha=0.25, linewidth=0, label="noise ceiling"))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))


def person_by_person(ax: object, table: pd.DataFrame) -> None:
    for part, shade, marker in zip(SETS[1:], ("sky", "purple"), ("o", "^"), strict=True):
        score = of(table, "by set", part)["score"].pivot(index="other", columns="model", values="value")
        ax.scatter(
            score[MONKEY],
            score[HUMAN],
            s=12,
            marker=marker,
            linewidth=0,
            color=plotting.COLOURS[shade],
            label=f"{part} categories",
        )
    low, high = min(ax.get_xlim()[0], ax.get_ylim()[0], 0), 0.1 + max(ax.get_xlim()[1], ax.get_ylim()[1])
    ax.plot([low, high], [low, high], color="black", linewidth=0.6)
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", title="Person by person")
    ax.set(xlabel="Spearman r with monkey IT", ylabel="Spearman r with human IT")
    ax.legend(loc="upper left", handlelength=1)


def caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    said = [sentence(dataset(table, method), method) for method in params["methods"][:2]]
    ceilings = []
    for part in SETS:
        bounds = of(table, "by set", part)["noise ceiling"].set_index("other")["value"]
        mean = of(table, "by set", part)["estimate"].set_index("model")["value"]
        p = of(table, "by set", part)["p_max pairwise"].set_index(["model", "other"])["value"]
        ceilings.append(
            f"{part} ({notes['n_pairs'][part]:,} pairs) human IT {mean[HUMAN]:.3f}, monkey IT {mean[MONKEY]:.3f} (p of the "
            f"difference {p[HUMAN, MONKEY]:.3f}), {THIRD} {shown(mean[THIRD])}, ceiling {bounds['lower']:.2f} to "
            f"{bounds['upper']:.2f}"
        )
    partial = of(table, "partial")
    alone = partial["estimate"].set_index("model")["value"]
    p = partial["p_max of flips"].set_index("model")["value"]
    return (
        f"Similarity judgements of {notes['n_people']} people, {notes['stimuli']}. a, mean RDM (each person's over its root "
        f"mean square). b and c, {notes['n_candidates']} RDMs against each person's: bars, means; dots, people; lines, 95 % "
        f"intervals over new {RESAMPLED[params['resample']]} ({params['n_draws']:,} draws, corrected variance, t); grey, "
        "noise ceiling, leave-one-out lower to pooled upper; red, 95 % of the means under other orders of the stimuli "
        f"({params['n_permutations']:,} draws); a dot below a bar: above 0; a ring with wedges: better than those; both from "
        "the draws, family-wise over the tests of a panel (max statistic, p < .05). c is b without ranks. "
        f"{'; '.join(said)}. d to f, Spearman: dots, people; black, mean; red, 95 % of the means when images change places "
        f"inside their category ({params['n_permutations']:,} draws), which keeps what categories explain; stars, above that, "
        "p < .05, family-wise over all sets of d and f and all candidates (maximum of standardised means). "
        f"Differences of candidates inside a set by sign flips over people (9,999 drawn, family-wise over the differences of "
        f"the set): {'; '.join(ceilings)}. A model of categories alone, which these orders do not change, has no such test, and no score where it is constant. Human IT holding monkey "
        f"IT fixed, partial Spearman: {alone[HUMAN]:.3f} (p {p[HUMAN]:.4f}); monkey IT holding human IT fixed: "
        f"{alone[MONKEY]:.3f} (p {p[MONKEY]:.4f}; sign flips, family-wise over the two); the two brains with one another "
        f"{notes['brains']:.2f}. Human IT is the mean of {notes['n_scanned']} people who judged nothing here, a fixed "
        "candidate: no interval speaks of other brains. No photograph is shown. "
        f"Data: {notes['cite']}"
    )


def sentence(found: xr.Dataset, method: str) -> str:
    better = int((found["pairwise_p_fdr"] < 0.05).sum()) // 2
    count = found.sizes["model"] * (found.sizes["model"] - 1) // 2
    above = found["model"].values[(found["zero_p_fdr"] < 0.05).values].tolist()
    permuted = found["model"].values[(found["permutation_p"] < 0.05).values].tolist()
    low, high = found["noise_ceiling"].values
    mean = found["estimate"].to_series()
    return (
        f"{method}: ceiling {low:.3f} to {high:.3f}, human IT {mean[HUMAN]:.3f}, monkey IT {mean[MONKEY]:.3f}; above 0 "
        f"{', '.join(above) or 'none'}; above other orders {', '.join(permuted) or 'none'}; {better} of {count} differences hold"
    )


def shown(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.3f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
