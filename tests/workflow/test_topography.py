"""The step of figure 24 on the package's own sentences, its networks, its table, the figure drawn from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroalign import io
from neuroalign.errors import InvalidValueError
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.steps.topography import topography
from neuroalign.workflow.topographic import corpus, responses, train

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "text": "embedded",
    "shape": (6, 6),
    "n_steps": 10,
    "n_networks": 2,
    "least": 2,
    "n_permutations": 39,
}
TEXTS = [
    f"the {a} {b} the {c}."
    for a in ("dog", "cat", "man")
    for b in ("sees", "likes", "hears")
    for c in ("dog", "cat", "man", "zebra")
]


def study(name="small", **section):
    return Paths(
        load_study({"name": name, "title": "t", "topography": {**SMALL, **section}}), Path("results")
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("topography")
    found = Paths(study().study, folder)
    topography(found)
    return found


def text(seed=0):
    return corpus(TEXTS, least=2, n_test=6, rng=np.random.default_rng(seed))


OPTIONS = {"kind": "topolm", "radius": None, "n_blocks": 2, "batch": 4, "length": 6, "seed": 3}


def test_a_corpus_holds_whole_sentences_out_and_makes_rare_words_one():
    found = text()
    shown = {tuple(sentence) for sentence in found.train}
    assert len(found.train) == 30
    assert not shown & {tuple(sentence) for sentence in found.test}
    assert all(sentence[0] == 0 for sentence in (*found.train, *found.test))
    assert found.n_words == 30 * 6
    rare = corpus([*TEXTS, "a unicorn."], least=2, n_test=1, rng=np.random.default_rng(0))
    assert "unicorn" not in rare.vocabulary


def test_the_spatial_loss_makes_blocks_smooth_and_nothing_else_differs():
    smooth, control = (train(text(), (4, 4), weight=weight, n_steps=40, **OPTIONS) for weight in (2.0, 0.0))
    assert smooth.curve["spatial"].iloc[-1] < 0.5 * control.curve["spatial"].iloc[-1]
    assert control.curve["language"].iloc[-1] < 0.9 * control.curve["language"].iloc[0]
    assert smooth.curve.iloc[0].tolist() == control.curve.iloc[0].tolist()
    assert smooth.n_seen == control.n_seen == 40 * 4 * 6


def test_training_is_deterministic_and_leaves_torch_as_it_was():
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (train(text(), (4, 4), weight=1.0, n_steps=5, **OPTIONS) for _ in range(2))
    assert torch.rand(1) == expected
    assert first.curve.equals(second.curve)
    for one, other in zip(first.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(one, other)


def test_responses_do_not_depend_on_what_else_is_read():
    found = text()
    net = train(found, (4, 4), weight=0.0, n_steps=0, **OPTIONS).net
    together = responses(net, [*found.test, found.test[0][:3]])
    assert [one.shape for one in together] == [(2, 5, 16)] * 6 + [(2, 2, 16)]
    alone = responses(net, found.test[1:2])[0]
    assert together[1] == pytest.approx(alone, abs=1e-5)
    # Words that come later change nothing.
    assert together[6] == pytest.approx(together[0][:, :2], abs=1e-5)


def test_the_table_has_maps_measures_and_curves(written):
    table = io.read_table(written.figure(24, "tsv"), text=("kind", "model", "contrast", "measure"))
    maps = table[table["kind"] == "map"]
    measures = table[table["kind"] == "measure"]
    n_contrasts = maps["contrast"].nunique()
    assert len(maps) == 3 * 2 * 2 * n_contrasts * 36
    assert len(measures) == 3 * 2 * 2 * n_contrasts * 3
    assert set(measures["measure"]) == {"raw", "smoothed", "cluster"}
    tested = measures["model"] != "untrained"
    assert measures.loc[tested, "q"].notna().all()
    assert measures.loc[~tested, "q"].isna().all()
    assert (measures["p"] >= 1 / 40).all()
    assert (measures["null low"] <= measures["null high"]).all()
    curves = table[table["kind"] == "curve"]
    assert set(curves["model"]) == {"topographic", "control"}
    assert curves["step"].max() == 10


def test_the_figure_is_drawn_and_says_what_it_is_of(written):
    script = ROOT / "analyses/topography/figure.py"
    subprocess.run([sys.executable, script, written.figure(24, "tsv")], check=True)
    caption = io.read_json(written.figure(24, "json"))["caption"]
    assert "trained here on 3,840 words" in caption
    assert "FDR" in caption
    assert written.figure(24, "png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"kind": "moran"}, "needs a radius"),
        ({"shape": (5, 6)}, "multiple of 2"),
        ({"weight": 0.0}, "greater than 0"),
        ({"text": "wikipedia"}, "'blimp' or 'embedded'"),
    ],
)
def test_bad_sections_are_refused(section, said):
    with pytest.raises(InvalidValueError, match=said):
        study(**section)
