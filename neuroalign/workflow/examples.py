"""Right sections to show beside wrong ones."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import InvalidValueError
from .config import Study, load_study

__all__ = ["EXAMPLES", "load_study_with_examples"]

MOST = 2
MORE = "\nAll keys: neuroalign schema. A study to start from: neuroalign init FOLDER."

# One right example of each section that people write by hand; a study with it needs those it builds on.
EXAMPLES = {
    "name": "name: my-study        # small letters, digits, - and _",
    "title": 'title: "What the report says on top"',
    "seed": "seed: 0",
    "model": "model:\n  name: smollm2-135m  # or a folder, a .gguf file, a hub name with revision:",
    "localizer": "localizer:\n  stimuli: embedded\n  positive: sentence\n  negative: nonword",
    "lesions": "lesions:\n  pairs: embedded\n  per_paradigm: 4\n  n_controls: 20",
    "story": "story:\n  responses: alice_fmri\n  delays: [1, 2, 3, 4]\n  n_folds: 6",
    "objects": "objects:\n  responses: kriegeskorte92\n  methods: [pearson, spearman]",
    "own": "own:\n  data: my_data.yaml\n  models: {category: category.tsv}\n  metric: auto",
}


def load_study_with_examples(path: Path) -> Study:
    """Return the checked study in a YAML file; a wrong one is answered with right sections beside its errors.

    Raises
    ------
    FileError, InvalidValueError
        As ``load_study``.
    """
    try:
        return load_study(path)
    except InvalidValueError as error:
        raise InvalidValueError(f"{error}{_shown(str(error))}") from None


def _shown(said: str) -> str:
    """Return examples of the first sections that an error speaks of."""
    named = re.findall(r"^  (?:line \d+, )?(\w+).*?(?:did you mean '(\w+)'\?)?$", said, flags=re.MULTILINE)
    meant = [near if near in EXAMPLES else key for key, near in named]
    found = [EXAMPLES[key] for key in dict.fromkeys(meant) if key in EXAMPLES]
    found = sorted(found, key=lambda example: "\n" not in example)[:MOST]  # whole sections first
    if not found:
        return MORE
    lines = "\n".join(f"  {line}" for example in found for line in example.split("\n"))
    return f"\nFor example:\n{lines}{MORE}"
