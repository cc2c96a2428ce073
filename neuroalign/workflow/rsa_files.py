"""RDMs from the files that people have: labelled arrays, activations by layer, square tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from .. import datasets, io, rsa
from ..errors import FileError, InvalidValueError, LabelError, NeuroalignError, ShapeError, choice, listing
from ..schema import align
from .sources import LayerFile

__all__ = ["data_rdms", "model_rdms"]

TABLES = (".tsv", ".csv")


def data_rdms(path: Path, *, metric: str, roi: str | None) -> xr.DataArray:
    """Return the RDMs (subject, pair) of the data in a file; ``attrs["given"]`` says that it held RDMs.

    Responses with a coordinate ``subject`` along their neuroids give an RDM a subject. ``roi`` selects by the
    coordinate of that name.

    Raises
    ------
    FileError
        If the file cannot be read, or holds several layers.
    InvalidValueError
        If there are regions and none is named, or it is unknown.
    """
    if path.suffix in TABLES:
        return (
            datasets.read_rdm_table(path)
            .expand_dims(subject=[io.plain_text(path.stem)])
            .assign_attrs(given=True)
        )
    found = _read(path)
    if not isinstance(found, xr.DataArray):
        raise FileError(f"{path}: the data must be one array; this file has {listing(found)}.")
    chosen = _region(found, roi, path)
    if "pair" in chosen.dims:
        return _by_subject(chosen, path).assign_attrs(given=True)
    _refuse_time(chosen, path)
    parts = dict(_people(chosen))
    rdms = [rsa.rdm(part, metric) for part in parts.values()]
    if len(rdms) > 1:
        first = rdms[0]
        rdms = [first, *(align(first, one)[1] for one in rdms[1:])]
    joined = xr.concat(rdms, "subject", combine_attrs="drop", coords="minimal", compat="override")
    return joined.assign_coords(subject=list(parts)).assign_attrs(metric=metric)


def model_rdms(given: Sequence[str], *, metric: str) -> list[xr.DataArray]:
    """Return the RDMs (model 1, pair) of model files: path, or name=path; a file of layers gives one a layer.

    Raises
    ------
    LabelError
        If two have the same name.
    """
    found: list[xr.DataArray] = []
    for text in given:
        name, sign, rest = text.partition("=")
        path = Path(rest if sign else text)
        found += [
            one.expand_dims(model=[label])
            for label, one in _models(path, io.plain_text(name if sign else path.stem), metric)
        ]
    names = [str(one["model"].item()) for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LabelError(f"models need different names; {listing(twice)} comes twice. Pass name=path.")
    return found


def _models(path: Path, name: str, metric: str) -> Iterator[tuple[str, xr.DataArray]]:
    if path.suffix in TABLES:
        yield name, _bare(datasets.read_rdm_table(path))
        return
    found = _read(path)
    if isinstance(found, xr.DataArray):
        if "pair" in found.dims:
            yield from _given(found, name, path)
        else:
            _refuse_time(found, path)
            yield name, _bare(rsa.rdm(found, metric))
        return
    layers = [str(layer) for layer in found]
    for layer in layers:
        label = name if len(layers) == 1 else f"{name}/{layer}"
        yield label, _bare(rsa.rdm(found[layer].astype(np.float64), metric))


def _given(found: xr.DataArray, name: str, path: Path) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield the RDMs of an array of them, by the labels of its leading dim."""
    if found.dims == ("pair",):
        yield name, _bare(found)
        return
    if found.ndim != 2 or found.dims[1] != "pair":
        raise ShapeError(f"{path}: RDMs of models must be (pair,) or (model, pair); got {found.dims}.")
    dim = str(found.dims[0])
    for i in range(found.sizes[dim]):
        label = str(found[dim].values[i]) if dim in found.coords else str(i)
        yield (name if found.sizes[dim] == 1 else f"{name}/{label}"), _bare(found.isel({dim: i}, drop=True))


def _bare(rdm: xr.DataArray) -> xr.DataArray:
    """Return an RDM with its pair labels and nothing else, so that several stack."""
    extra = [name for name in rdm.coords if name not in ("stimulus_a", "stimulus_b")]
    return rdm.drop_vars(extra).drop_attrs().rename("rdm").astype(np.float64)


def _read(path: Path) -> xr.DataArray | xr.Dataset | LayerFile:
    """Return what is in a file: an array, a Dataset with a variable a layer, or a file of layers."""
    if path.suffix != ".nc":
        raise FileError(f"{path} must end in .nc, {' or '.join(TABLES)}; got {path.suffix!r}.")
    try:
        return LayerFile(path)
    except NeuroalignError:
        return io.load(path)


def _region(found: xr.DataArray, roi: str | None, path: Path) -> xr.DataArray:
    if "roi" not in found.coords:
        if roi is not None:
            raise InvalidValueError(f"{path} has no coordinate roi; got --roi {roi}.")
        return found
    names = list(dict.fromkeys(np.atleast_1d(found["roi"].values).astype(str).tolist()))
    if roi is None:
        if len(names) == 1:
            return found.isel(roi=0, drop=True) if "roi" in found.dims else found
        raise InvalidValueError(
            f"{path} has {len(names)} regions; name one with --roi: {listing(names, limit=30)}."
        )
    if roi not in names:
        raise choice(roi, names, name="--roi")
    if found["roi"].ndim == 0:
        return found
    dim = found["roi"].dims[0]
    inside = np.flatnonzero(found["roi"].values.astype(str) == roi)
    return found.isel({dim: int(inside[0])}, drop=True) if dim == "roi" else found.isel({dim: inside})


def _by_subject(found: xr.DataArray, path: Path) -> xr.DataArray:
    if found.dims == ("pair",):
        own = str(found["subject"].item()) if "subject" in found.coords else "data"
        found = found.drop_vars("subject", errors="ignore").expand_dims(subject=[own])
    if found.ndim != 2 or found.dims[1] != "pair":
        raise ShapeError(f"{path}: RDMs of data must be (pair,) or (subject, pair); got {found.dims}.")
    dim = str(found.dims[0])
    named = found if dim in found.coords else found.assign_coords({dim: np.arange(found.sizes[dim])})
    plain = named.rename({dim: "subject"}) if dim != "subject" else named
    extra = [name for name in plain.coords if name not in ("subject", "stimulus_a", "stimulus_b")]
    return plain.drop_vars(extra).dropna("subject", how="all").astype(np.float64)


def _refuse_time(found: xr.DataArray, path: Path) -> None:
    if "time" in found.dims:
        raise ShapeError(
            f"{path} has a dim time: select or average a stretch of it first, such as "
            "x.sel(time=slice(.3, .5)).mean('time'), or see rsa.time_course for all times."
        )


def _people(found: xr.DataArray) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield the patterns of each person; of one where the neuroids do not say whose they are."""
    if "subject" not in found.coords or found["subject"].ndim == 0:
        yield str(found["subject"].item()) if "subject" in found.coords else "data", found
        return
    whose = found["subject"].values.astype(str)
    dim = found["subject"].dims[0]
    for name in dict.fromkeys(whose.tolist()):
        part = found.isel({dim: np.flatnonzero(whose == name)})
        yield name, part.isel({dim: 0}, drop=True) if dim == "subject" else part
