"""Rows of ``localization``."""

import numpy as np
import pandas as pd
import xarray as xr
from battery import Row
from made import noise, rng

from neuroalign import localization as loc
from neuroalign.schema import make_mask

ROOMS = ("localization",)


def stimuli():
    rows = [
        {"stimulus": f"s{run * 8 + i:02d}", "condition": "sentence" if i < 4 else "nonword", "run": run}
        for run in range(2)
        for i in range(8)
    ]
    return pd.DataFrame(rows)


def sides():
    table = stimuli()
    return [table.loc[table["condition"] == c, "stimulus"] for c in ("sentence", "nonword")]


def layer(seed=0):
    values = noise(16, 6, seed=seed)
    values[np.flatnonzero(stimuli()["condition"] == "sentence"), :2] += 2.0
    return {
        "activations": xr.DataArray(
            values, dims=("stimulus", "unit"), coords={"stimulus": stimuli()["stimulus"].to_numpy()}
        )
    }


def of_layer(function, *more, **options):
    return lambda activations: function({"l0": activations}, *[one() for one in more], **options)


def mask(seed=0, n=20):
    return make_mask(
        rng(seed).random(n) < 0.3,
        layer=np.repeat(["l0", "l1"], n // 2),
        site="block",
        index=np.tile(np.arange(n // 2), 2),
    )


def magnitude(n=20):
    return mask(n=n).copy(data=1.0 + rng(5).random(n)).rename("magnitude")


def two_masks():
    return {"a": mask(), "b": mask(1)}


def lesion_scores(losses=(0.5, 0.0, 0.2, 0.1)):
    intact = 1.0 + 0.5 * noise(12, seed=2)
    values = np.stack(
        [intact, *[intact - loss + 0.2 * noise(12, seed=3 + i) for i, loss in enumerate(losses)]]
    )
    coords = {
        "mask": ["intact", "a", "b", "r0", "r1"],
        "item": np.arange(12),
        "paradigm": ("item", ["p", "q"] * 6),
        "n_tokens": ("item", np.arange(12) + 2),
    }
    return xr.DataArray(values, dims=("mask", "item"), coords=coords, attrs={"outcome": "mean"})


SELECTION = {"k": 2}
OTHER_LABELS = {
    "non-ASCII labels": "refused: the table's labels are other ones then",
    "labels are numbers": "refused: the table's labels are other ones then",
    "other label": "refused: the table's labels are other ones then",
}
TABLE = [
    *[
        Row(
            f"localization.{name}",
            layer,
            call,
            {"activations": None},
            shift=("activations",) if shift else (),
            tolerance=1e-7,
            documented=OTHER_LABELS,
        )
        for name, call, shift in [
            ("localize", of_layer(lambda a: loc.localize(a, *sides(), **SELECTION)), True),
            ("effect_sizes", of_layer(lambda a: loc.effect_sizes(a, *sides())), True),
            ("group_moments", of_layer(loc.group_moments, stimuli), False),
            (
                "split_half",
                of_layer(loc.split_half, stimuli, lambda: "sentence", lambda: "nonword", **SELECTION),
                True,
            ),
            (
                "held_out_selectivity",
                of_layer(
                    lambda a: loc.held_out_selectivity(
                        a, stimuli(), "sentence", "nonword", rng=rng(), n_random=2, **SELECTION
                    )
                ),
                True,
            ),
            (
                "cross_validated_selectivity",
                of_layer(
                    loc.cross_validated_selectivity,
                    stimuli,
                    lambda: "sentence",
                    lambda: "nonword",
                    **SELECTION,
                ),
                True,
            ),
        ]
    ],
    Row(
        "localization.unit_magnitude",
        layer,
        of_layer(loc.unit_magnitude),
        {"activations": None},
        tolerance=1e-7,
    ),
    Row(
        "localization.welch_t",
        lambda: {"x": noise(6, 3), "y": noise(7, 3, seed=1)},
        loc.welch_t,
        {"x": ("stimulus", "unit"), "y": ("stimulus", "unit")},
        tolerance=1e-7,
    ),
    Row(
        "localization.select_units",
        lambda: {"t": noise(9)},
        lambda t: loc.select_units(t, k=2),
        {"t": ("unit",)},
        documented={
            "one NaN": "finite/same: NaN units are never selected",
            "one inf": "finite: infinity is the largest t",
        },
    ),
    Row("localization.dice", two_masks, loc.dice, {"a": None, "b": None}, columns=("a", "b")),
    Row(
        "localization.agreement",
        two_masks,
        lambda a, b: loc.agreement({"a": a, "b": b}),
        {"a": None, "b": None},
        columns=("a", "b"),
    ),
    Row(
        "localization.agreeing_units",
        two_masks,
        lambda a, b: loc.agreeing_units({"a": a, "b": b}, at_least=1),
        {"a": None, "b": None},
        columns=("a", "b"),
    ),
    Row("localization.layer_profile", lambda: {"mask": mask()}, loc.layer_profile, {"mask": None}),
    Row(
        "localization.random_masks",
        lambda: {"mask": mask(), "magnitude": magnitude()},
        lambda mask, magnitude: loc.random_masks(mask, "norm-matched", 2, rng=rng(), magnitude=magnitude),
        {"mask": None, "magnitude": None},
        random=True,
        columns=("mask", "magnitude"),
    ),
    Row(
        "localization.mask_alignment",
        lambda: {"mask": mask()},
        lambda mask: loc.mask_alignment(
            lambda m: float(m.values @ np.arange(m.size)), mask, 5, rng(), progress=False
        ),
        {"mask": None},
        random=True,
        documented={"one unit": "silent NaN: z is NaN where the scores of random masks do not differ"},
    ),
    Row(
        "localization.outlier_units",
        lambda: {"magnitude": magnitude()},
        loc.outlier_units,
        {"magnitude": None},
    ),
    Row(
        "localization.unmatched_units",
        lambda: {"mask": mask(), "magnitude": magnitude()},
        loc.unmatched_units,
        {"mask": None, "magnitude": None},
        columns=("mask", "magnitude"),
    ),
    Row(
        "localization.lesion_effects_by",
        lambda: {"scores": lesion_scores()},
        lambda scores: loc.lesion_effects_by(
            scores, ["a", "b"], rng=rng(), controls={"uniform": ["r0", "r1"]}, n_bootstrap=5, n_permutations=9
        ),
        {"scores": None},
        random=True,
    ),
    Row(
        "localization.double_dissociation",
        lambda: {"scores_a": lesion_scores(), "scores_b": lesion_scores((0.0, 0.6, 0.1, 0.2))},
        lambda scores_a, scores_b: loc.double_dissociation(
            scores_a, scores_b, ["a", "b"], rng=rng(), n_bootstrap=5, n_permutations=9
        ),
        {"scores_a": None, "scores_b": None},
        random=True,
        apart=True,
    ),
    Row(
        "localization.summarize_lesions",
        lambda: {"scores": lesion_scores()},
        lambda scores: loc.summarize_lesions(
            scores, ["a", "b"], {"uniform": ["r0", "r1"]}, rng=rng(), n_bootstrap=5
        ),
        {"scores": None},
        random=True,
    ),
    Row(
        "localization.perplexity",
        lambda: {"scores": lesion_scores()[0] - 3},
        loc.perplexity,
        {"scores": None},
    ),
]
EXEMPT = {
    "localization.Contrast": "a pair of names",
    "localization.Formula": "a parsed text",
    "localization.MinimalPairs": "takes a table of texts; tests/localization/test_tasks.py",
    "localization.Perplexity": "takes a table of texts; tests/localization/test_tasks.py",
    "localization.Preset": "takes choices",
    "localization.SyntaxGym": "takes tables of texts; tests/localization/test_tasks.py",
    "localization.Task": "a protocol",
    "localization.contrast_stimuli": "takes a table of texts; tests/localization/test_conditions.py",
    "localization.join_sites": "takes results of group_moments; tests/localization/test_moments.py",
    "localization.lesion_effect": "takes a network and a mask; tests/localization/test_lesions.py",
    "localization.lesion_scores": "takes a network and masks; tests/localization/test_lesions.py",
    "localization.match_tokens": "takes a table of texts; tests/localization/test_conditions.py",
    "localization.parse_formula": "takes a text",
    "localization.preset": "takes a name",
    "localization.preset_moments": "takes a network and a table; tests/localization/test_presets.py",
}
