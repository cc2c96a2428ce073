from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import xarray as xr

from neuroalign.errors import FileError, InvalidValueError, LabelError, NeuroalignError, ShapeError
from neuroalign.extraction import extract_arrays
from neuroalign.extraction.models import state_digest
from neuroalign.io.layers import layer_attrs, read_layer


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.MaxPool2d(2)
        )
        self.act = torch.nn.ReLU()
        self.classifier = torch.nn.Linear(4 * 3 * 3, 5)
        self.unused = torch.nn.Linear(1, 1)
        for weight in self.parameters():
            weight.data.normal_(generator=generator)
        self.features[1].running_mean += 0.3

    def forward(self, x):
        x = self.act(self.features(x))
        return self.act(self.classifier(x.flatten(1)))


@pytest.fixture
def network():
    return Network().eval()


@pytest.fixture
def images(rng):
    return xr.DataArray(
        rng.normal(size=(7, 3, 6, 6)).astype(np.float32),
        dims=("stimulus", "channel", "height", "width"),
        coords={"stimulus": [f"i{k}" for k in range(7)]},
    )


def by_hand(network, images):
    """The layers computed one after the other for each image alone, in float64."""
    network = copy.deepcopy(network).double()
    found = {"features.0": [], "features": [], "classifier": []}
    with torch.no_grad():
        for image in torch.tensor(images.values).double():
            x = network.features[0](image[None])
            found["features.0"].append(x[0].numpy())
            x = network.features[2](network.features[1](x))
            found["features"].append(x[0].numpy())
            found["classifier"].append(network.classifier(x.relu().flatten(1))[0].numpy())
    return {name: np.stack(values) for name, values in found.items()}


@pytest.mark.parametrize("pool", ["flatten", "mean"])
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_outputs_equal_layers_computed_by_hand(network, images, pool, batch_size):
    wanted = ["classifier", "features", "features.0"]
    found = extract_arrays(network, images, wanted, pool=pool, batch_size=batch_size, progress=False)
    assert list(found) == ["features.0", "features", "classifier"]
    assert found["stimulus"].values.tolist() == images["stimulus"].values.tolist()
    assert found.attrs["shapes"] == {"features.0": [4, 6, 6], "features": [4, 3, 3], "classifier": [5]}
    for layer, values in by_hand(network, images).items():
        expected = values.reshape(7, -1)
        if pool == "mean" and values.ndim == 4:
            expected = values.mean((2, 3))
        np.testing.assert_allclose(found[layer].values, expected, rtol=1e-5, atol=1e-5)


def test_network_is_left_as_it_was_and_after_the_deepest_layer(network, images):
    calls, before = [], state_digest(network)
    handle = network.classifier.register_forward_hook(lambda *_: calls.append(1))
    extract_arrays(network, images, "features.0", batch_size=2, progress=False)
    handle.remove()
    assert len(calls) == 1  # only the pass that looks in which order layers run
    assert state_digest(network) == before
    assert not any(part._forward_hooks for part in network.modules())


def test_file_holds_what_memory_holds(network, images, tmp_path):
    options = {"pool": "mean", "batch_size": 2, "progress": False}
    expected = extract_arrays(network, images, "features", **options)
    path = extract_arrays(network, images, "features", out=tmp_path / "x.nc", **options)
    np.testing.assert_array_equal(read_layer(path, "features").values, expected["features"].values)
    assert layer_attrs(path) == expected.attrs
    with pytest.raises(FileError, match="stimuli_digest"):
        extract_arrays(network, images + 1, "features", out=path, **options)


def test_key_follows_images_weights_structure_and_pooling(network, images):
    def key(network=network, images=images, layer="features", pool="mean"):
        return extract_arrays(network, images, layer, pool=pool, progress=False).attrs["key"]

    first = key()
    assert key() == key(Network().eval(), images.copy()) == first
    other, wider = images.copy(), Network().eval()
    other[3, 0, 0, 0] += 1e-6
    wider.features[2] = torch.nn.AvgPool2d(2)
    heavier = Network().eval()
    heavier.features[0].bias.data[0] += 1e-6
    found = [key(images=other), key(wider), key(heavier), key(layer="features.0"), key(pool="flatten")]
    assert len({first, *found}) == 6


def test_errors_say_what_and_where(network, images):
    for error, text, given, layers, options in (
        (LabelError, "has no layers 'conv'; it has 'features', 'features.0'", images, "conv", {}),
        (LabelError, "no layer was asked for; the module has 'features'", images, [], {}),
        (LabelError, "the layers 'unused' were not run", images, ["unused"], {}),
        (LabelError, "the layers 'act' run more than once", images, ["act"], {}),
        (InvalidValueError, "pool must be one of 'flatten', 'mean'", images, "act", {"pool": "max"}),
        (InvalidValueError, "inputs must be finite", images * np.nan, "features", {}),
        (ShapeError, "inputs must have stimulus as their first dim", images.T, "features", {}),
        (LabelError, "no labels along 'stimulus'", images.drop_vars("stimulus"), "features", {}),
    ):
        with pytest.raises(error, match=text):
            extract_arrays(network, given, layers, progress=False, **options)
    with pytest.raises(InvalidValueError, match=r"training mode; call module\.eval\(\) first"):
        extract_arrays(network.train(), images, "features", progress=False)


def test_labels_that_are_numbers_stay_numbers(network, images):
    found = extract_arrays(network, images.assign_coords(stimulus=range(7)), "features", progress=False)
    assert found["stimulus"].values.tolist() == list(range(7))
    with pytest.raises(InvalidValueError, match="inputs have no rows"):
        extract_arrays(network, images[:0], "features", progress=False)
    with pytest.raises(InvalidValueError, match="the module has no parameters"):
        extract_arrays(torch.nn.Sequential(torch.nn.ReLU()).eval(), images, "0", progress=False)


class Outputs(torch.nn.Module):
    """A layer that gives whatever it is told to."""

    def __init__(self, give):
        super().__init__()
        self.first, self.odd = torch.nn.Linear(6, 2), torch.nn.Identity()
        self.odd.forward = give

    def forward(self, x):
        return self.odd(self.first(x))


@pytest.mark.parametrize(
    ("give", "text"),
    [
        (
            lambda x: {"state": x},
            "'odd' must give a tensor or a tuple .*; got <class 'dict'>",
        ),
        (lambda x: x.sum(), r"outputs must be \(n_stimuli, ...\); of 1 stimulus got {'odd': \(\)}"),
        (lambda x: x.reshape(-1, 1), r"of 1 stimulus got {'odd': \(36, 1\)}"),
        (lambda x: x[:, 0, 0, 0], r"outputs must be \(n_stimuli, ...\); of 1 stimulus got 'odd'"),
    ],
    ids=["mapping", "scalar", "rows", "flat"],
)
def test_layers_without_a_row_a_stimulus_are_refused(images, give, text):
    with pytest.raises(ShapeError, match=text):
        extract_arrays(Outputs(give).eval(), images, "odd", progress=False)


def test_one_input_that_does_not_fit_is_an_error(images):
    def give(x):
        if calls.append(len(x)) or len(calls) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return x

    calls = []
    message = r"one input of shape \(3, 6, 6\) does not fit in the memory of cpu"
    with pytest.raises(NeuroalignError, match=message):
        extract_arrays(Outputs(give).eval(), images, "odd", batch_size=4, progress=False)
    assert calls[2:] == [4, 2, 1]


def test_other_layers_on_disk_are_listed(network, images, tmp_path):
    path = extract_arrays(network, images, "features", out=tmp_path / "x.nc", progress=False)
    with pytest.raises(FileError, match=r"layers: \['features'\] there, \['features', 'classifier'\] here"):
        extract_arrays(network, images, ["features", "classifier"], out=path, progress=False)
