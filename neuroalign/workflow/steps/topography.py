"""Figure 24: contrast maps of language models on a lattice, trained with a spatial loss and without."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ... import datasets, io, spatial, stats, stimuli
from ...localization import welch_t
from ...seeds import generator
from ..paths import Paths
from ..sections import Topography
from ..topographic import Corpus, Network, corpus, responses, train
from .common import write_values

__all__ = ["topography"]

TRAINED, CONTROL, UNTRAINED = "topographic", "control", "untrained"
CLASSES, SENTENCES = "nouns - verbs", "sentences - lists"
# Frequent words of BLiMP that are mostly one or the other.
NOUNS = """
men women children teachers guests students senators doctors cashiers girls ladies waitresses
dancers teenagers waiters drivers actors patients schools customers adults boys teacher school
senator waitress girl lady actress dancer waiter student library libraries museum museums hospital
hospitals bank banks university college movie newspaper committee lakes hills mountains people
friend friends house bridge village river door letter doctor driver garden book books car bike
"""
VERBS = """
think thought thinks forget forgot conceal concealed discover discovered investigated remember
remembered imagine imagined talked hurt find found explain explained know knew reveal revealed say
said noticed notice fired complain boast hide hid argue escaped admired cared helped disagree
respected loved disliked researched visited referenced skated criticized approached listen flee went
saw took came gave made told
"""
# Words of a class before there is a contrast.
LEAST = 20


def topography(paths: Paths) -> None:
    """Write the values of figure 24: maps of contrasts, how ordered they are, and the losses of training."""
    section, seed = paths.study.topography or Topography(), paths.study.seed
    texts = _texts(section)
    n_test = min(section.n_test, len(set(texts)) // 5)
    text = corpus(
        texts, least=section.least, n_test=n_test, rng=generator(seed, "topography", "held-out sentences")
    )
    parts, seen = [], {}
    for i in range(section.n_networks):
        for model in (TRAINED, CONTROL, UNTRAINED):
            network = _network(text, section, model, int(generator(seed, "topography", i).integers(2**31)))
            seen[model] = network.n_seen
            maps = _maps(text, network, generator(seed, "topography", "word lists"))
            about: dict[str, Any] = {"model": model, "network": i}
            if model != UNTRAINED:
                parts.append(network.curve.assign(kind="curve", **about))
            rng = generator(seed, "topography", "null", model, i)
            parts += [frame.assign(**about) for frame in _measured(maps, section, rng)]
    table = pd.concat(parts, ignore_index=True)
    tested = (table["kind"] == "measure") & (table["model"] != UNTRAINED)
    for name in table.loc[tested, "measure"].unique():
        family = tested & (table["measure"] == name)
        table.loc[family, "q"] = stats.fdr(table.loc[family, "p"].to_numpy(float))
    notes = {
        "n_sentences": len(text.train),
        "n_test": len(text.test),
        "n_words": text.n_words,
        "n_seen": seen[TRAINED],
        "n_vocabulary": len(text.vocabulary),
        "n_units": section.shape[0] * section.shape[1],
        **_counted(text),
    }
    inputs = {"texts": io.content_digest(xr.DataArray(np.array(texts), dims="text"))}
    write_values(paths, 24, table, inputs=inputs, section=section, notes=notes)


def _texts(section: Topography) -> list[str]:
    if section.text == "blimp":
        return datasets.load("blimp")["good"].tolist()
    pairs, table = stimuli.minimal_pairs(), stimuli.localizer()
    story = stimuli.story().groupby("sentence", sort=True)["text"].agg(" ".join)
    return [*story, *pairs["good"], *table.loc[table["condition"] == "sentence", "text"]]


def _network(text: Corpus, section: Topography, model: str, seed: int) -> Network:
    return train(
        text,
        section.shape,
        weight=section.weight if model == TRAINED else 0.0,
        kind=section.kind,
        radius=section.radius,
        n_blocks=section.n_blocks,
        n_steps=0 if model == UNTRAINED else section.n_steps,
        batch=section.batch,
        length=section.length,
        seed=seed,
        label=model,
    )


def _maps(text: Corpus, network: Network, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return Welch's t of every unit, arrays (n_blocks, n_units), by contrast, on held-out sentences."""
    read = responses(network.net, text.test)
    joined = np.concatenate(read, axis=1)
    classes = [np.isin(_read_words(text, network), _numbers(text, words)) for words in (NOUNS, VERBS)]
    found = {}
    if min(which.sum() for which in classes) >= LEAST:
        found[CLASSES] = np.stack([welch_t(*(block[which] for which in classes))[0] for block in joined])
    means = np.stack([one.mean(axis=1) for one in read], axis=1)
    lists = np.stack([one.mean(axis=1) for one in responses(network.net, _word_lists(text, rng))], axis=1)
    found[SENTENCES] = np.stack([welch_t(*pair)[0] for pair in zip(means, lists, strict=True)])
    return found


def _read_words(text: Corpus, network: Network) -> np.ndarray:
    """Return the words of the held-out sentences, as many as the network reads."""
    return np.concatenate([sentence[1 : network.n_places] for sentence in text.test])


def _word_lists(text: Corpus, rng: np.random.Generator) -> list[np.ndarray]:
    """Return as many lists as sentences, as long, of the same words in random order across all of them."""
    words = rng.permutation(np.concatenate([sentence[1:] for sentence in text.test]))
    ends = np.cumsum([len(sentence) - 1 for sentence in text.test])[:-1]
    return [np.concatenate([[0], part]) for part in np.split(words, ends)]


def _numbers(text: Corpus, words: str) -> list[int]:
    return [text.vocabulary[word] for word in words.split() if word in text.vocabulary]


def _counted(text: Corpus) -> dict[str, int]:
    words = np.concatenate([sentence[1:] for sentence in text.test])
    return {
        f"n_{name}": int(np.isin(words, _numbers(text, of)).sum())
        for name, of in (("nouns", NOUNS), ("verbs", VERBS))
    }


def _measured(
    maps: dict[str, np.ndarray], section: Topography, rng: np.random.Generator
) -> list[pd.DataFrame]:
    """Return the maps as rows, and what is measured of each with its null."""
    graph = spatial.lattice(section.shape)
    kernel = spatial.gaussian_kernel(spatial.lattice_positions(section.shape), fwhm=section.fwhm)
    place = np.unravel_index(np.arange(graph.shape[0]), section.shape)
    parts, rows = [], []
    for (contrast, blocks), block in itertools.product(maps.items(), range(section.n_blocks)):
        raw = blocks[block]
        smooth = spatial.smooth(raw, kernel).values
        # The units change places; where the map is smoothed, each draw is smoothed in the same way.
        draws = spatial.shuffled(raw, section.n_permutations, rng=rng).values
        smoothed = spatial.smooth(draws, kernel).values
        measures = {
            "raw": [spatial.moran(each, graph).statistic.values for each in (raw, draws)],
            "smoothed": [spatial.moran(each, graph).statistic.values for each in (smooth, smoothed)],
            "cluster": [_largest(each, graph, section.quantile) for each in (raw, draws)],
        }
        about = {"contrast": contrast, "block": block + 1}
        columns = {"unit": np.arange(len(raw)), "row": place[0], "column": place[1], "t": raw}
        columns |= {"smoothed": smooth, "in cluster": _in_cluster(raw, graph, section.quantile) * 1.0}
        parts.append(pd.DataFrame({"kind": "map", **about, **columns}))
        width = float(spatial.fwhm(raw, graph))
        for name, (value, null) in measures.items():
            low, high = np.quantile(null, [0.025, 0.975])
            found = {"value": float(value), "p": float(stats.p_value(value, null)), "fwhm": width}
            rows.append(
                {"kind": "measure", "measure": name, **about, **found, "null low": low, "null high": high}
            )
    return [*parts, pd.DataFrame(rows)]


def _largest(maps: np.ndarray, graph: Any, quantile: float) -> np.ndarray:
    """Return the size of each map's largest cluster, of units above a quantile or below 1 - it, (n_maps,)."""
    sizes = [
        spatial.largest_cluster(side, graph, threshold=np.quantile(side, quantile, axis=-1)).values
        for side in (maps, -maps)
    ]
    return np.maximum(*sizes)


def _in_cluster(values: np.ndarray, graph: Any, quantile: float) -> np.ndarray:
    """Return which units (n_units,) that cluster of one map has."""
    sides = np.stack([values, -values])
    labels = spatial.clusters(sides, graph, threshold=np.quantile(sides, quantile, axis=-1)).values == 1
    return labels[int(labels.sum(axis=1).argmax())]
