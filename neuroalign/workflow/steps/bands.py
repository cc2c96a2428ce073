"""Figure 17: what low-level, lexical and model features of a story explain alone and together."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from ... import encoding, io
from ...seeds import generator
from ..paths import TWINS, Paths
from ..sections import Bands, Story
from ..sources import LayerFile, story_words
from .common import write_values
from .story import (
    GROUP,
    Encoder,
    ceiling_rows,
    interval,
    layer_volumes,
    responses_of,
    story_notes,
    volume_seconds,
)

__all__ = ["story_bands"]

LOW, LEXICAL, MODEL = "low-level", "lexical", "model"
# Not R2, which also counts how the mean of a short test block differs from that of the training rows.
METRIC = "explained_variance"
LEXICAL_FEATURES = ["letters", "log frequency in the story", "first occurrence"]


def story_bands(paths: Paths) -> None:
    """Write the values of figure 17: parts of the explained variance by region, for network and twin."""
    section, story = paths.study.bands or Bands(), paths.study.story or Story()
    data, words = responses_of(paths), story_words(story)
    series, times = data["series"], data["time"].values
    encoder = Encoder(story, series)
    model = encoding.BandedRidgeCV(
        encoder.alphas.tolist(),
        cv=story.n_folds - 1,
        purge=story.purge,
        n_candidates=section.n_candidates,
        seed=paths.study.seed,
        device="cpu",
        edge_tolerance=1,
    )
    spaces = {
        LOW: _plain(data["baseline"]),
        LEXICAL: _plain(encoder.delayed(_lexical(words, times, story))),
    }
    rng = generator(paths.study.seed, "bands", "bootstrap")
    inputs = {"responses": io.stored_digest(paths.responses)}
    rows, tests = [], {}
    for twin in tqdm(TWINS, desc="feature spaces", unit="network"):
        file = LayerFile(paths.activations("story", twin))
        inputs[twin] = io.layers_digest(file.path)
        layer = file.names[round(section.depth * (len(file) - 1))]
        design = encoder.delayed(layer_volumes(file, layer, words, times, story))
        joined = encoding.join_bands({**spaces, MODEL: _plain(design)})
        rows += _parts(twin, model, joined, encoder, story, rng)
        tests[twin] = _tests(model, joined, encoder, section, paths.study.seed)
        rows += _test_rows(twin, tests[twin])
    rows += [
        {**row, "value": row["value"] ** 2, "component": "ceiling"}
        for row in ceiling_rows(series, generator(paths.study.seed, "encoding", "ceiling"))
    ]
    table = pd.DataFrame(rows).drop(columns=["layer", "depth"])
    notes = story_notes(paths, data, story) | {
        "layer": layer,
        "n_features": {name: int((joined["band"] == name).sum()) for name in (LOW, LEXICAL, MODEL)},
        "lexical": LEXICAL_FEATURES,
        "story": story.model_dump(mode="json"),
        "block": {twin: int(found.attrs["block"]) for twin, found in tests.items()},
    }
    write_values(paths, 17, table, inputs=inputs, section=section, notes=notes)


def _plain(x: xr.DataArray) -> xr.DataArray:
    """Return features without coordinates but the time: what one space is labelled with, another is not."""
    return x.drop_vars([name for name in x.coords if name != "time"]).drop_attrs()


def _lexical(words: pd.DataFrame, times: np.ndarray, story: Story) -> xr.DataArray:
    """Return what is known of each word without a network, summed in each volume, (time, unit)."""
    text = words["text"].str.lower()
    values = np.stack(
        [
            words["text"].str.count(r"\w").to_numpy(dtype=np.float64),
            np.log(text.map(text.value_counts()).to_numpy(dtype=np.float64)),
            (~text.duplicated()).to_numpy(dtype=np.float64),
        ],
        axis=1,
    )
    features = xr.DataArray(
        values, dims=("stimulus", "unit"), coords={"stimulus": words["stimulus"].to_numpy(dtype=str)}
    )
    tr = volume_seconds(times)
    return _plain(encoding.to_trs(features, words, times, tr=tr, method=story.downsample))


def _parts(
    twin: str,
    model: encoding.BandedRidgeCV,
    joined: xr.DataArray,
    encoder: Encoder,
    story: Story,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Return a row a region, component and kind of score: parts of the mean over folds."""
    scores = encoding.union_scores(
        model, joined, encoder.fitted, splits=encoder.splits, metric=METRIC, Y_test=encoder.own
    )
    found = encoding.variance_partitioning(scores.mean("fold", skipna=False))
    values = {
        **{name: found["variance"].sel(component=name).values for name in found["component"].values.tolist()},
        "joint": found["joint"].values,
    }
    roi, subject = scores["roi"].values, scores["subject"].values
    rows = []
    for region in dict.fromkeys(roi.tolist()):
        group = (roi == region) & (subject == GROUP)
        own = (roi == region) & (subject != GROUP)
        for component, each in values.items():
            where = {"network": twin, "roi": region, "component": component}
            rows.append({**where, "score": "group mean", "value": float(each[group][0]), "n": 1})
            rows.append({**where, "score": "left-out listener", **interval(each[own], story, rng)})
    return rows


def _tests(
    model: encoding.BandedRidgeCV, joined: xr.DataArray, encoder: Encoder, section: Bands, seed: int
) -> xr.Dataset:
    """Return tests of the joint model's r with the group means, over regions."""
    group = encoder.fitted["subject"].values == GROUP
    means = encoder.fitted.isel(neuroid=group)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", encoding.AlphaEdgeWarning)
        predicted = encoding.cross_validated_predictions(model, joined, means, splits=encoder.splits)
    rng = generator(seed, "bands", "permutation")
    return encoding.score_tests(predicted, means, n=section.n_permutations, rng=rng)


def _test_rows(twin: str, tests: xr.Dataset) -> list[dict[str, Any]]:
    rows = []
    for i, region in enumerate(tests["roi"].values.tolist()):
        where = {"network": twin, "roi": region, "component": "test", "n": 1}
        for name, label in (("score", "r"), ("p", "p"), ("p_fdr", "q (FDR)"), ("p_max", "p (maximum)")):
            rows.append({**where, "score": label, "value": float(tests[name].values[i])})
    return rows
