"""Rows of ``schema`` and ``arrays``."""

import numpy as np
from battery import Row
from made import activations, names, noise, rdms

from neuroalign import arrays, schema

ROOMS = ("schema", "arrays")
PASSES_ON = {"labels": True}


def symmetric():
    return {"matrices": schema.square(np.abs(noise(2, 10)) + 0.1)}


def moments():
    return {"n": np.array([3, 4]), "mean": noise(2, 3), "m2": np.abs(noise(2, 3, seed=1))}


TABLE = [
    Row(
        "schema.align",
        lambda: {"a": activations(), "b": activations(seed=1)},
        lambda a, b: schema.align(a, b),
        {"a": None, "b": None},
        **PASSES_ON,
    ),
    Row(
        "schema.check",
        lambda: {"x": activations()},
        lambda x: schema.check(x, "activations"),
        {"x": None},
        **PASSES_ON,
    ),
    Row("schema.labels", lambda: {"x": activations()}, lambda x: schema.labels(x), {"x": None}, **PASSES_ON),
    Row("schema.rdm_stimuli", lambda: {"rdm": rdms()}, schema.rdm_stimuli, {"rdm": None}, **PASSES_ON),
    Row(
        "schema.make_rdm",
        lambda: {"values": np.abs(noise(10))},
        lambda values: schema.make_rdm(values, names(5)),
        {"values": ("pairs",)},
        documented={
            "one inf": "infinite: any numbers are labelled; what reads them refuses infinity",
            "one NaN": "silent NaN: NaN marks an undefined pair",
            "all NaN": "silent NaN: NaN marks an undefined pair",
        },
    ),
    Row(
        "schema.square",
        lambda: {"values": noise(2, 10)},
        schema.square,
        {"values": ("maps", "pairs")},
        documented=dict.fromkeys(
            ("one NaN", "all NaN", "one inf"), "silent NaN/infinite: values are passed on"
        ),
    ),
    Row(
        "schema.triangle",
        symmetric,
        schema.triangle,
        {"matrices": ("maps", "a", "b")},
        documented={"one NaN": "same: NaN on the diagonal, as some programs leave it"},
    ),
    Row(
        "schema.make_mask",
        lambda: {"selected": np.array([True, False, True, True])},
        lambda selected: schema.make_mask(
            selected, layer=np.array(["l1"] * len(selected)), site="block", index=np.arange(len(selected))
        ),
        {"selected": ("unit",)},
    ),
    Row(
        "arrays.as_float",
        lambda: {"values": noise(6, 4)},
        lambda values: arrays.as_float(values, name="values", ndim=2),
        {"values": ("stimulus", "unit")},
    ),
    Row(
        "arrays.merge_moments",
        moments,
        arrays.merge_moments,
        {"mean": ("group", "unit"), "m2": ("group", "unit")},
        documented={"one inf": "infinite: NaN and infinity go on into the result"},
    ),
]
EXEMPT = {
    "schema.Noun": "a description of dims, no array",
    "schema.n_stimuli_of_pairs": "takes a number",
    "arrays.n_threads": "takes nothing",
    "arrays.pick_device": "takes a name",
    "arrays.torch_dtype": "takes a name",
    "arrays.to_numpy": "takes a tensor; tests/test_arrays.py",
    "arrays.to_torch": "moves any numpy array as it is; tests/test_arrays.py",
}
