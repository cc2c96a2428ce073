"""R20: every public function that gives p values has its rate on null data committed."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pandas as pd
import pytest
from battery import function, good
from table import TABLE

RATES = Path(__file__).parents[2] / "docs" / "calibration" / "functions.tsv"
# What a docstring calls a p value, and what a part of a result is called.
SAID = re.compile(r"``(?:\w+_)?p(?:_[a-z]\w*)?``")
GIVEN = re.compile(r"^p$|^p_|_p$|_p_")
# Their null sets are on pages of their own: calibration, calibration-encoding, calibration-maps.
ELSEWHERE = {
    "encoding.score_tests",
    "encoding.searchlight_tests",
    "rsa.infer",
    "rsa.searchlight_tests",
    "stats.cluster_test",
}
# What tests what another function has resampled is measured there.
THROUGH = {"stats.resampled_tests": "stats.mean_tests"}
# The p of these is not a probability, or they make none but speak of one.
NO_TEST = {
    "rsa.topology.geodesic": "p is a share of edges",
}


def with_p_values():
    for row in TABLE.values():
        name = row.name.split(":")[0]
        said = set(SAID.findall(inspect.getdoc(function(name)) or "")) - {"``p_value``", "``max_p``"}
        given = [part for part in good(row.name).values if GIVEN.search(part.split(".")[-1])]
        if said or given:
            yield name


def test_every_function_that_gives_p_values_has_its_rate_on_null_data(tried):
    measured = {name.split(",")[0] for name in pd.read_csv(RATES, sep="\t")["function"]}
    found = set(with_p_values()) - set(NO_TEST)
    absent = {THROUGH.get(name, name) for name in found} - measured - ELSEWHERE
    tried("R20", "public functions with p values, each measured", len(found), sorted(absent))
    assert all(callable(function(name)) for name in measured), "rates of what is no public function"


@pytest.mark.parametrize("name", NO_TEST)
def test_what_is_no_test_still_speaks_of_p(name):
    assert SAID.search(inspect.getdoc(function(name)))
