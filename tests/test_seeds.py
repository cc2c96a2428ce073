import numpy as np
import pytest

from neuroalign.errors import InvalidValueError
from neuroalign.seeds import generator


def test_the_same_seed_and_path_give_the_same_draws():
    assert np.array_equal(generator(3, "a", 1).random(5), generator(3, "a", 1).random(5))


@pytest.mark.parametrize("other", [(4, "a", 1), (3, "a", 2), (3, "a"), (3, "a", "1"), (3, "a1")])
def test_another_seed_or_path_gives_other_draws(other):
    assert not np.array_equal(generator(3, "a", 1).random(5), generator(*other).random(5))


def test_streams_of_different_paths_are_uncorrelated():
    draws = np.stack([generator(0, "stream", i).standard_normal(2000) for i in range(20)])
    r = np.corrcoef(draws)[np.triu_indices(20, 1)]
    assert np.abs(r).max() < 0.1


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0", None])
def test_a_seed_that_is_no_non_negative_integer_is_refused(seed):
    with pytest.raises(InvalidValueError, match="seed must be a non-negative integer"):
        generator(seed)
