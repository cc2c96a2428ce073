"""Valid files, the second half: labelled arrays, EEG, MATLAB, archives, networks, results."""

from __future__ import annotations

import json
import struct

import numpy as np
import pandas as pd

PNG = b"\x89PNG"


def labelled(folder):
    import xarray as xr

    from neuroalign import io

    values = np.arange(12.0).reshape(3, 4)
    coords = {"stimulus": ["a", "b", "ç"], "roi": ("neuroid", ["V1", "V1", "IT", "IT"])}
    array = xr.DataArray(values, dims=("stimulus", "neuroid"), coords=coords, attrs={"tr": 2.0}, name="x")
    io.save(array, folder / "x.nc", inputs={"a": "b"}, params={"n": 3}, seed=1)
    return [folder / "x.nc"]


def layers(folder):
    from neuroalign import io

    path = folder / "layers.nc"
    with io.layer_writer(path, {"h.0": 2, "h.1": 3}, np.array(["a", "b"]), {"model": "tiny"}) as writer:
        writer.write(np.array([0, 1]), {"h.0": np.ones((2, 2)), "h.1": np.ones((2, 3))})
    return [path]


def manifest(folder):
    file = {"bytes": 5, "sha256": "0123456789abcdef" * 4, "upstream": "data/a.txt"}
    entry = dict.fromkeys(("title", "repository", "commit", "licence", "cite"), "x/y")
    path = folder / "manifest.json"
    path.write_text(json.dumps({"datasets": {"set": {**entry, "files": {"a/b.txt": file}}}}, indent=1))
    return [path]


def epochs(folder):
    import mne

    rng = np.random.default_rng(0)
    info = mne.create_info(["Fz", "Cz", "Oz", "EOG"], 100.0, ["eeg"] * 3 + ["eog"])
    events = np.column_stack([100 * np.arange(6), np.zeros(6, int), [1, 2, 1, 2, 1, 2]])
    table = pd.DataFrame({"image": list("abcabc"), "rt": rng.uniform(300, 900, 6)})
    made = mne.EpochsArray(
        1e-6 * rng.standard_normal((6, 4, 20)),
        info,
        events,
        tmin=-0.1,
        event_id={"cat": 1, "dog": 2},
        metadata=table,
        baseline=None,
        verbose="ERROR",
    ).set_montage("standard_1020", verbose="ERROR")
    made.save(folder / "sub-01-epo.fif", verbose="ERROR", overwrite=True)
    mne.write_evokeds(
        folder / "sub-01-ave.fif", [made["cat"].average(), made["dog"].average()], verbose="ERROR"
    )
    return [folder / "sub-01-epo.fif", folder / "sub-01-ave.fif"]


def eeglab(folder):
    """Epochs as EEGLAB saves them, data inside the file."""
    from scipy.io import savemat

    rng, n = np.random.default_rng(0), 4
    chanlocs = np.array(
        [(name, 0.1 * i, 0.2, 0.3, "", "") for i, name in enumerate(("Fz", "Cz", "Oz"))],
        dtype=[(key, object) for key in ("labels", "X", "Y", "Z", "type", "ref")],
    )
    event = np.array(
        [("cat" if i % 2 else "dog", 10.0 + 20 * i, i + 1.0, 0.0) for i in range(n)],
        dtype=[(key, object) for key in ("type", "latency", "epoch", "duration")],
    )
    epoch = np.array(
        [(float(i + 1), "cat" if i % 2 else "dog", 0.0) for i in range(n)],
        dtype=[(key, object) for key in ("event", "eventtype", "eventlatency")],
    )
    content = {
        "data": rng.normal(size=(3, 20, n)).astype("f4"),
        "nbchan": 3.0,
        "trials": float(n),
        "pnts": 20.0,
        "srate": 100.0,
        "xmin": -0.1,
        "xmax": 0.09,
        "times": np.arange(20.0) * 10 - 100,
        "chanlocs": chanlocs,
        "event": event,
        "epoch": epoch,
        "urevent": [],
        "chaninfo": {"nosedir": "+X"},
        "icawinv": [],
        "icaweights": [],
        "icasphere": [],
        "ref": "common",
    }
    savemat(folder / "sub-01.set", {"EEG": content, **content}, appendmat=False)
    return [folder / "sub-01.set"]


def fingers(*, compressed, version=5):
    """The MATLAB file of the data set finger7T, with five voxels a person."""

    def make(folder):
        from scipy.io import savemat

        path, rng = folder / "data_recipe_finger7T.mat", np.random.default_rng(0)
        if version == 7:
            import h5py

            with h5py.File(path, "w", userblock_size=512) as file:
                file["Y"] = rng.normal(size=(7, 35, 5))
            head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + b"\0" * 8 + b"\x00\x02IM"
            content = bytearray(path.read_bytes())
            content[: len(head)] = head
            path.write_bytes(content)
            return [path]
        cells = {name: np.empty((1, 7), dtype=object) for name in ("Y", "condVec", "partVec")}
        for person in range(7):
            cells["Y"][0, person] = rng.normal(size=(35, 5))
            cells["condVec"][0, person] = np.tile(np.arange(1.0, 6), 7)
            cells["partVec"][0, person] = np.repeat(np.arange(1.0, 8), 5)
        rdm = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
        models = np.array(
            [(name, rdm) for name in ("Muscle", "Naturalstats", "somatotopy")],
            dtype=[("name", object), ("RDM", object)],
        )
        savemat(path, {**cells, "Model": models}, do_compression=compressed)
        return [path]

    return make


def movie(folder):
    x, y = np.meshgrid(np.linspace(-10, 10, 80), np.linspace(5, -5, 45), indexing="ij")
    table = pd.DataFrame({"x": x.ravel(), "y": y.ravel()})
    table.to_csv(folder / "grid_coordinates.tsv", sep="\t", index=False)
    np.savez_compressed(folder / "dm_gazecenter.npz", arr_0=np.zeros((150, 80, 45), dtype="f4"))
    return [folder / "dm_gazecenter.npz", folder / "grid_coordinates.tsv"]


def suite(folder):
    regions = [{"region_number": i + 1, "content": word} for i, word in enumerate(("The", "dog", "barks"))]
    items = [
        {
            "item_number": n,
            "conditions": [{"condition_name": c, "regions": regions} for c in ("match", "mismatch")],
        }
        for n in (1, 2)
    ]
    formula = "(3;%match%) < (3;%mismatch%)"
    value = {
        "meta": {"metric": "sum", "name": "cleft"},
        "items": items,
        "predictions": [{"formula": formula}],
    }
    path = folder / "suites" / "cleft.json"
    path.parent.mkdir()
    path.write_text(json.dumps(value, indent=1))
    return [path]


def pairs(folder):
    about = {
        "field": "syntax",
        "sentence_good": "A dog barks.",
        "sentence_bad": "A dog bark.",
        "UID": "causative",
    }
    path = folder / "data" / "causative.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps({**about, "pairID": str(i)}) + "\n" for i in range(1000)))
    return [path]


def localizer(folder):
    """The ten files of the localizer, two of which are damaged."""
    head = ",".join(f"stim{i}" for i in range(2, 15))
    words = ",".join(["WORD"] * 12)
    rows = [f"{i},{words},{letter}" for letter in "SN" for i in range(1, 25)]
    paths = [
        folder / f"langloc_fmri_run{run}_stim_set{number}.csv" for number in range(1, 6) for run in (1, 2)
    ]
    for path in paths:
        path.write_text("\n".join([f"stim1,{head}", *rows]) + "\n")
    return paths[:2]


def network(folder):
    """The head of a network: configuration and safetensors, as folders of transformers have them."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_hidden_layers": 2,
        "hidden_size": 4,
    }
    (folder / "config.json").write_text(json.dumps(config))
    head = {
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]},
        "b": {"dtype": "F32", "shape": [4], "data_offsets": [32, 48]},
    }
    packed = json.dumps(head).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(packed)) + packed + bytes(48))
    return [folder / "config.json", folder / "model.safetensors"]


def gguf(folder):
    def said(value):
        return struct.pack("<Q", len(value)) + value

    content = b"GGUF" + struct.pack("<IQQ", 3, 1, 4)
    content += said(b"general.architecture") + struct.pack("<I", 8) + said(b"llama")
    content += said(b"llama.block_count") + struct.pack("<II", 4, 2)
    content += said(b"llama.embedding_length") + struct.pack("<II", 4, 8)
    content += said(b"tokens") + struct.pack("<IIQ", 9, 8, 3) + said(b"a") + said(b"b") + said(b"c")
    content += said(b"blk.0.w") + struct.pack("<IQQIQ", 2, 2, 4, 0, 0)
    (folder / "tiny.gguf").write_bytes(content + bytes(64))
    return [folder / "tiny.gguf"]


def figure(folder):
    from neuroalign import io

    table = pd.DataFrame({"roi": ["IT", "V1"], "value": [0.5, 0.25], "p": [np.nan, 1e-7]})
    io.write_table(table, folder / "figure1.tsv")
    (folder / "figure1.png").write_bytes(PNG)
    (folder / "figure1.pdf").write_bytes(b"%PDF")
    about = {"title": "T", "caption": "C.", "notes": {}, "provenance": io.provenance(params={"x": 1}, seed=7)}
    io.write_json({**about, "sha256": io.file_digest(folder / "figure1.tsv")}, folder / "figure1.json")
    return [folder / "figure1.json", folder / "figure1.tsv"]


def judgements(folder):
    from itertools import combinations

    rows = [
        (who, a, b, 1 + (i + j) % 7)
        for i, who in enumerate(("p1", "p2"))
        for j, (a, b) in enumerate(combinations("abcd", 2))
    ]
    table = pd.DataFrame(rows, columns=["subject", "stimulus_a", "stimulus_b", "rating"])
    table.to_csv(folder / "pairs.tsv", sep="\t", index=False)
    rows = [("p1", "a", "b", "c", "c"), ("p1", "b", "a", "d", "a"), ("p2", "a", "b", "d", "d")]
    table = pd.DataFrame(rows, columns=["subject", "stimulus_a", "stimulus_b", "stimulus_c", "odd"])
    table.to_csv(folder / "triplets.tsv", sep="\t", index=False)
    return [folder / "pairs.tsv", folder / "triplets.tsv"]


def reading(folder):
    rows = [(f"p{p}", f"w{i}", 200.5 + 7 * i + p, i % 5, i) for p in range(3) for i in range(8)]
    table = pd.DataFrame(rows, columns=["subject", "stimulus", "rt", "length", "position"])
    table.to_csv(folder / "rt.tsv", sep="\t", index=False)
    return [folder / "rt.tsv"]
