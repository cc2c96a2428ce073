"""What is wrong inside a study's tables, arrays and network, found by reading them and computing nothing.

Each check says what a step would stop at, or what would come out empty, hours before it does.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd

from .. import datasets
from ..encoding import contiguous_splits
from ..errors import NeuroalignError, listing
from ..extraction import PACKAGED
from ..schema import rdm_stimuli
from .estimates import SCORED, uses_network
from .guarding import EXTRAS
from .model_files import Sizes
from .names import misnamed_pairs, misnamed_stimuli
from .sections import Lesions, Localizer, Own, Story, Study
from .sources import localizer_stimuli, minimal_pairs, own_series, story_words

__all__ = ["contents", "network_fits", "packages"]

LEAST_WINDOWS, LEAST_STIMULI = 3, 3
# Architectures that read a text in both directions: they give no next-token probabilities.
BOTH_WAYS = re.compile(r"(al|de|distil|modern|nomic-?|(xlm-?)?ro)?bert|electra|mpnet", re.IGNORECASE)


def contents(study: Study, missing: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong inside tables and arrays; those of data sets in ``missing`` are passed over."""
    out = set(missing)
    if study.localizer is not None and study.localizer.stimuli not in out:
        yield from _told(_localizer, study.localizer)
    if study.lesions is not None and study.lesions.pairs not in out:
        yield from _told(_lesions, study.lesions)
    if study.story is not None and study.story.responses not in out:
        yield from _told(_story, study.story)
    if study.own is not None:
        yield from _told(_own, study.own)


def _told(check: Callable[..., Iterator[str]], section: object) -> Iterator[str]:
    """Yield what a check finds, and the error that ends it."""
    try:
        yield from check(section)
    except NeuroalignError as error:
        yield str(error)


def _localizer(section: Localizer) -> Iterator[str]:
    yield from (wrong := list(misnamed_stimuli(section)))
    if wrong:
        return
    table = localizer_stimuli(section)
    kept = table[table["condition"].isin([section.positive, section.negative])]
    counts = pd.crosstab(kept["run"], kept["condition"])
    if len(counts) < 2:
        yield (
            f"{section.stimuli}: the localizer needs 2 runs or more, to measure selectivity on a run that "
            f"did not select the units; the column run has {listing(counts.index)} alone."
        )
    few = counts.index[(counts < 2).any(axis=1)].tolist()
    if few:
        yield (
            f"{section.stimuli}: every run needs 2 stimuli or more of {section.positive!r} and of "
            f"{section.negative!r}; runs {listing(few)} have fewer."
        )


def _lesions(section: Lesions) -> Iterator[str]:
    yield from (wrong := list(misnamed_pairs(section)))
    if not wrong:
        minimal_pairs(section)


def _story(section: Story) -> Iterator[str]:
    story_words(section)
    if section.responses == "simulated":
        return
    own = section.responses.endswith(".nc")
    series = own_series(section.responses) if own else datasets.load(section.responses, radius=section.radius)
    n = series.sizes["time"]
    try:
        contiguous_splits(n, section.n_folds, purge=section.purge)
    except NeuroalignError as error:
        yield f"story: {n} volumes in {section.n_folds} folds with purge {section.purge}: {error}"
    if n // section.window < LEAST_WINDOWS:
        yield (
            f"story.window: {n} volumes hold {n // section.window} windows of {section.window}; RDMs need "
            f"{LEAST_WINDOWS} or more. At most {n // LEAST_WINDOWS} volumes a window."
        )


def _own(section: Own) -> Iterator[str]:
    description = datasets.read_description(section.data)
    subjects = datasets.described_subjects(section.data)
    if len(subjects) < 2:
        yield f"{section.data}: a noise ceiling needs at least 2 subjects; got {listing(subjects)}."
    if section.columns or section.network:
        yield from _columns(section)
    if description.kind == "rdm":
        labels = rdm_stimuli(datasets.read_described(section.data, subject=subjects[0])).tolist()
    elif description.stimuli is not None:
        labels = datasets.read_described(section.data, what="stimuli")["stimulus"].tolist()
    else:
        return
    if len(labels) < LEAST_STIMULI:
        yield f"{section.data}: an RDM needs {LEAST_STIMULI} stimuli or more; got {listing(labels)}."
    for path in section.models.values():
        kept = set(rdm_stimuli(datasets.read_rdm_table(path)).tolist()) - set(description.exclude.stimuli)
        if not kept & set(labels):
            yield f"{path}: its stimuli {listing(sorted(kept))} are none of the data's {listing(labels)}."
        elif description.kind == "rdm" and kept != set(labels):
            wrong = sorted(kept ^ set(labels))
            yield f"{path} and the data must have the same stimuli; only one of them has {listing(wrong)}."


def _columns(section: Own) -> Iterator[str]:
    table = datasets.read_described(section.data, what="stimuli")
    absent = [name for name in section.columns if name not in table]
    has = listing(table.columns, limit=20)
    if absent:
        yield f"own.columns: {listing(absent)} are no columns of the stimulus table; it has {has}."
    if section.network and "text" not in table:
        yield f"own.network: true needs a column 'text' in the stimulus table; it has {has}."


def network_fits(study: Study, sizes: Sizes) -> Iterator[str]:
    """Yield what a study asks of its network that this cannot give."""
    scored = [name for name in SCORED if getattr(study, name) is not None]
    if scored and BOTH_WAYS.match(sizes.architecture):
        yield (
            f"model {study.model.name} ({sizes.architecture}) reads in both directions and gives no "
            "next-token probabilities: take a network such as smollm2-135m, or leave out "
            f"{', '.join(scored)}."
        )
    section = study.localizer
    if section is not None and sizes.n_layers and sizes.width:
        n_units = sizes.n_layers * sizes.width
        if round(section.fraction * n_units) < 1:
            yield (
                f"localizer.fraction: {section.fraction:g} of {n_units:,} units selects none; "
                f"{1 / n_units:.2g} is one unit."
            )


def packages(study: Study) -> Iterator[str]:
    """Yield the packages that a study needs and that are not installed."""
    needed = ["snakemake", "jinja2"]
    if uses_network(study):
        name = study.model.name
        file = PACKAGED[name].path if name in PACKAGED else name
        needed += ["transformers", "gguf" if file.endswith(".gguf") else "safetensors"]
    needed += ["mne"] if study.evoked is not None else []
    if study.own is not None and Path(study.own.data).is_file():
        with contextlib.suppress(NeuroalignError):  # said by the checks of the files themselves
            kind = datasets.read_description(study.own.data).kind
            needed += {"bids": ["bids"], "epochs": ["mne"]}.get(kind, [])
    for name in needed:
        if importlib.util.find_spec(name) is None:
            yield f"{name} is not installed. Run: pip install 'neuroalign[{EXTRAS[name]}]'"
