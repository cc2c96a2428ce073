import re

import numpy as np
import pytest

from neuroalign import stimuli
from neuroalign.errors import InvalidValueError


def test_sums_are_right_matched_in_answer_and_length_and_differ_in_carrying():
    table = stimuli.arithmetic(96)
    parts = table["text"].str.extract(r"^(\d\d) \+ (\d\d) = (\d\d)$").astype(int)
    assert (parts[0] + parts[1] == parts[2]).all() and (parts[2] == table["answer"]).all()
    assert (table["text"].str.len() == 12).all() and table["text"].is_unique and table["stimulus"].is_unique
    carries = parts[0] % 10 + parts[1] % 10 >= 10
    round_number = (parts[0] % 10 == 0) | (parts[1] % 10 == 0)
    hard = table["condition"] == "hard"
    assert (carries == hard).all() and (round_number == ~hard).all()
    wide = table.pivot(index="item", columns="condition", values="answer")
    assert (wide["hard"] == wide["easy"]).all()
    assert set(table.groupby(["run", "condition"]).size()) == {12}


def test_sequences_are_right_and_wrong_at_the_last_element_only():
    pairs = stimuli.sequences(50)
    assert pairs["pair"].is_unique and pairs["good"].is_unique and (pairs["good"] != pairs["bad"]).all()
    for paradigm, good, bad in pairs[["paradigm", "good", "bad"]].itertuples(index=False):
        a, b = (re.split("[ ,]+", text) for text in (good, bad))
        assert a[:-1] == b[:-1] and len(good) == len(bad)
        if paradigm == "copy":
            assert a[:6] == a[6:] and len(set(a)) == 6 and b[-1] in a[:5]
        else:
            assert len(set(np.diff(list(map(int, a))))) == 1


@pytest.mark.parametrize("make", [stimuli.arithmetic, stimuli.sequences])
def test_generated_stimuli_depend_on_the_seed_only_and_say_their_licence(make):
    first, again, other = make(8, 1), make(8, 1), make(8, 2)
    assert first.equals(again) and not first.equals(other)
    assert first.attrs["licence"] == "CC0-1.0" and first.attrs["seed"] == 1
    with pytest.raises(InvalidValueError, match="n must be a positive integer; got 0"):
        make(0)


def test_more_sums_than_there_are_are_refused():
    with pytest.raises(InvalidValueError, match="there are not so many different sums"):
        stimuli.arithmetic(5000)
