"""The finger data: labels, the design, the models, and what is known of their distances."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
import xarray as xr

from neuroalign import datasets, io, rsa, schema
from neuroalign.datasets.known import finger7t
from neuroalign.errors import FileError, InvalidValueError

N_VOXELS = [1946, 1657, 1681, 1736, 1589, 1722, 1702]
N_RUNS = [8, 7, 7, 7, 8, 8, 8]


@pytest.mark.parametrize(
    ("subject", "n_voxels", "n_runs"), list(zip(finger7t.SUBJECTS, N_VOXELS, N_RUNS, strict=True))
)
def test_each_person_has_five_fingers_in_every_run(data_root, subject, n_voxels, n_runs):
    x = datasets.load("finger7t", root=data_root, subject=subject)
    assert dict(x.sizes) == {"presentation": 5 * n_runs, "neuroid": n_voxels}
    assert np.isfinite(x.values).all() and x.dtype == np.float64
    found = list(zip(x.run.values.tolist(), x.stimulus.values.tolist(), strict=True))
    assert sorted(found) == sorted((r + 1, f) for r in range(n_runs) for f in finger7t.FINGERS)
    assert x.neuroid.values[0] == f"{subject}/voxel-0001" and x.subject.item() == subject


def test_values_and_labels_are_those_of_the_file(data_root):
    raw = scipy.io.loadmat(data_root / "finger7t" / finger7t.FILE, simplify_cells=True)
    x = datasets.load("finger7t", root=data_root, subject="s3")
    np.testing.assert_array_equal(x.values, raw["Y"][2])
    assert [finger7t.FINGERS.index(name) + 1 for name in x.stimulus.values] == raw["condVec"][2].tolist()
    assert x.run.values.tolist() == raw["partVec"][2].tolist()


def test_the_first_person_is_the_default(data_root):
    xr.testing.assert_identical(
        datasets.load("finger7t", root=data_root), datasets.load("finger7t", root=data_root, subject="s1")
    )


def test_the_models_are_rdms_of_the_fingers(data_root):
    models = schema.check(datasets.load("finger7t", what="models", root=data_root), "rdm")
    assert models.model.values.tolist() == ["Muscle", "Naturalstats", "somatotopy"]
    assert schema.rdm_stimuli(models).tolist() == list(finger7t.FINGERS)
    somatotopy = models.sel(model="somatotopy").values
    # Neighbours are equally far apart on this map, which is what somatotopy means.
    np.testing.assert_allclose(somatotopy[[0, 4, 7, 9]], 0.02433316, atol=1e-8)


def test_licence_and_citation_come_along_and_survive_saving(data_root, tmp_path):
    x = datasets.load("finger7t", root=data_root, subject="s5")
    assert x.attrs["licence"].startswith("MIT") and "Ejaz" in x.attrs["cite"]
    io.save(x, tmp_path / "x.nc")
    back = io.load(tmp_path / "x.nc")
    assert back.attrs.pop("provenance")
    xr.testing.assert_identical(x, back)


def test_an_unknown_person_is_refused(data_root):
    with pytest.raises(InvalidValueError, match=r"subject must be one of 's1', .*; got 's8'"):
        datasets.load("finger7t", root=data_root, subject="s8")


def test_a_damaged_file_is_refused(data_root, tmp_path):
    folder = tmp_path / "finger7t"
    folder.mkdir()
    whole = (data_root / "finger7t" / finger7t.FILE).read_bytes()
    (folder / finger7t.FILE).write_bytes(whole[:-1] + b"x")
    with pytest.raises(FileError, match="SHA-256"):
        datasets.load("finger7t", root=tmp_path)


def test_a_file_with_another_design_is_refused(data_root, monkeypatch):
    read = finger7t._read

    def other(source, variables):
        found = read(source, variables)
        if "condVec" in found:
            found["condVec"] = [np.ones_like(found["condVec"][0]), *found["condVec"][1:]]
        else:
            found["Model"] = found["Model"][:2]
        return found

    monkeypatch.setattr(finger7t, "_read", other)
    with pytest.raises(FileError, match="s1 must have one finite pattern for each of 5 fingers"):
        datasets.load("finger7t", root=data_root)
    with pytest.raises(FileError, match=r"the models .* were expected; got"):
        datasets.load("finger7t", what="models", root=data_root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m + np.eye(5), "must be symmetric with a zero diagonal"),
        (lambda m: m[:4], r"must be finite numbers \(5, 5\); got \(4, 5\)"),
    ],
)
def test_a_model_that_is_no_rdm_is_refused(data_root, monkeypatch, change, message):
    field = finger7t._field
    monkeypatch.setattr(
        finger7t, "_field", lambda s, key: change(field(s, key)) if key == "RDM" else field(s, key)
    )
    with pytest.raises(FileError, match=message):
        datasets.load("finger7t", what="models", root=data_root)


def test_a_file_of_other_people_is_refused(data_root, monkeypatch):
    read = finger7t._read
    monkeypatch.setattr(finger7t, "_read", lambda *a: {key: cells[:6] for key, cells in read(*a).items()})
    with pytest.raises(FileError, match="7 people were expected; got 6"):
        datasets.load("finger7t", root=data_root)


def test_a_file_without_the_variables_is_refused(data_root):
    from neuroalign.datasets.sources import open_source

    with pytest.raises(FileError, match="is not the MATLAB file with beta that was expected"):
        finger7t._read(open_source("finger7t", data_root), ["beta"])


def test_crossnobis_distances_have_the_known_ceiling_and_order_of_models(data_root):
    rdms = xr.concat(
        [
            rsa.rdm(datasets.load("finger7t", root=data_root, subject=subject), "crossnobis").drop_attrs()
            for subject in finger7t.SUBJECTS
        ],
        "subject",
    )
    lower, upper = rsa.noise_ceiling(rdms, "spearman").values
    # Measured on the file before this package was written, given to two digits: .86 to .89; .84, .78, .56.
    assert lower == pytest.approx(0.86, abs=0.005) and upper == pytest.approx(0.89, abs=0.01)
    models = datasets.load("finger7t", what="models", root=data_root)
    mean = rsa.compare(models, rdms, "spearman").mean("rdm_b")
    np.testing.assert_allclose(mean, [0.78, 0.84, 0.56], atol=0.005)
