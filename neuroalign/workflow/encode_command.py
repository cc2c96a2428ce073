"""What ``neuroalign encode`` does: labelled features and responses in, held-out scores and tests out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .. import encoding, io
from ..arrays import pick_device
from ..errors import FileError, InvalidValueError, LabelError, listing
from ..seeds import generator

__all__ = ["encode_files"]

ALPHAS = np.logspace(-1, 8, 19).tolist()


def encode_files(
    responses: Path,
    features: Sequence[str],
    *,
    delays: Sequence[int] | None,
    folds: int | None,
    purge: int | None,
    candidates: int,
    permutations: int,
    device: str,
    out: Path,
    seed: int,
) -> Iterator[str]:
    """Score features on responses by cross-validation, save what came out, and say it, by line."""
    Y = _array(responses, "responses")
    spaces = _spaces(features)
    rows = str(Y.dims[0])
    is_series = rows == "time"
    _check_rows(spaces, rows)
    steps = _delays(delays, is_series)
    X = _design(spaces, steps, is_series, Y)
    splits, how = _splits(Y, folds, _purge(purge, steps, is_series), seed)
    model = _model(len(spaces), candidates, purge=_purge(purge, steps, is_series), device=device, seed=seed)
    where = str(pick_device(device))
    n_features = {name: space.shape[1] for name, space in spaces.items()}
    yield (
        f"{responses}: {Y.sizes[rows]:,} rows, {Y.sizes['neuroid']:,} neuroids; features "
        f"{', '.join(f'{name} ({n:,})' for name, n in n_features.items())}"
        + (f", at delays {', '.join(map(str, steps))}" if is_series else "")
    )
    yield f"{type(model).__name__} on {where}; {how}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", encoding.AlphaEdgeWarning)
        predicted = encoding.cross_validated_predictions(model, X, Y, splits=splits, shuffled=not is_series)
    edges = [str(w.message) for w in caught if issubclass(w.category, encoding.AlphaEdgeWarning)]
    rng = generator(seed, "encode", "permutation")
    found = encoding.score_tests(predicted, Y, n=permutations, rng=rng)
    params = {
        "features": n_features,
        "delays": list(steps),
        "splits": how,
        "model": repr(model),
        "n_permutations": permutations,
    }
    inputs = {name: io.stored_digest(path) for name, path in [("responses", responses), *_files(features)]}
    io.save(found.drop_attrs(), out, params=params, seed=seed, inputs=inputs)
    io.write_table(found.to_dataframe().reset_index(), out.with_suffix(".tsv"))
    yield from _said(found)
    if edges:
        yield f"in {len(edges)} of {len(splits)} folds: {edges[0]}"
    yield f"saved: {out} and {out.with_suffix('.tsv')} (score, p, FDR q and family-wise p of every neuroid)"


def _files(features: Sequence[str]) -> list[tuple[str, Path]]:
    """Return names and paths; a path without a name has that of the file."""
    found: list[tuple[str, Path]] = []
    for text in features:
        name, sign, path = text.partition("=")
        place = Path(path if sign else text)
        found.append((io.plain_text(name if sign else place.stem), place))
    names = [name for name, _ in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LabelError(
            f"feature spaces need different names; {listing(twice)} comes twice. Pass name=path."
        )
    return found


def _spaces(features: Sequence[str]) -> dict[str, xr.DataArray]:
    return {name: _array(path, f"features {name!r}") for name, path in _files(features)}


def _array(path: Path, name: str) -> xr.DataArray:
    found = io.load(path)
    if not isinstance(found, xr.DataArray) or found.ndim != 2 or found.dims[0] not in ("time", "stimulus"):
        held = getattr(found, "dims", type(found).__name__)
        raise FileError(f"{path}: {name} must be an array (time or stimulus, columns); it holds {held}.")
    if name == "responses" and found.dims[1] != "neuroid":
        raise FileError(f"{path}: the second dim of responses must be 'neuroid'; it is {found.dims[1]!r}.")
    return found


def _check_rows(spaces: dict[str, xr.DataArray], rows: str) -> None:
    other = [name for name, space in spaces.items() if space.dims[0] != rows]
    if other:
        raise LabelError(f"rows of the responses are {rows!r}, those of {listing(other)} are not.")


def _delays(delays: Sequence[int] | None, is_series: bool) -> tuple[int, ...]:
    if is_series and delays is None:
        raise InvalidValueError(
            "responses are a time series: say at which delays features are read, in rows, such as "
            "--delays 1,2,3,4 for fMRI with 2 s a volume, or --delays 0 for none."
        )
    if not is_series and delays not in (None, (0,)):
        raise InvalidValueError(f"rows are stimuli, which have no delays; got {list(delays or ())}.")
    return tuple(delays or (0,))


def _purge(purge: int | None, delays: tuple[int, ...], is_series: bool) -> int:
    """Return the rows left out beside a test block: the largest delay where not said."""
    return (max(delays) if is_series else 0) if purge is None else purge


def _design(
    spaces: dict[str, xr.DataArray], delays: tuple[int, ...], is_series: bool, Y: xr.DataArray
) -> xr.DataArray:
    joined = encoding.join_bands(spaces)
    if not is_series:
        return joined
    runs = None if "run" in joined.coords else _runs(joined, Y)
    return encoding.delay(joined - joined.mean("time"), delays, runs=runs)


def _runs(X: xr.DataArray, Y: xr.DataArray) -> Any:
    """Return the run of each row of X, from the responses by time; one run where they have none."""
    if "run" not in Y.coords:
        return 1
    missing = np.setdiff1d(X["time"].values, Y["time"].values)
    if missing.size:
        raise LabelError(
            f"{missing.size} times of the features are not in the responses: {listing(missing)}."
        )
    return Y["run"].sel(time=X["time"]).values


def _splits(Y: xr.DataArray, folds: int | None, purge: int, seed: int) -> tuple[encoding.splits.Splits, str]:
    if Y.dims[0] != "time":
        n = folds or 5
        return (
            encoding.shuffled_splits(len(Y), n, rng=generator(seed, "encode", "folds")),
            f"{n} folds of stimuli drawn at random",
        )
    # Splits number rows in order of time.
    ordered = Y.sortby("time")
    runs = ordered["run"].values if "run" in Y.coords else np.ones(len(Y), dtype=int)
    n_runs = len(set(runs.tolist()))
    if folds is None and n_runs > 1:
        return encoding.leave_one_run_out(runs), f"one of {n_runs} runs left out in turn"
    n = folds or 5
    return (
        encoding.contiguous_splits(runs, n, purge=purge),
        f"{n} contiguous folds, {purge} rows left out beside each",
    )


def _model(n_spaces: int, candidates: int, *, purge: int, device: str, seed: int) -> Any:
    if n_spaces == 1:
        return encoding.RidgeCV(ALPHAS, purge=purge, device=device)
    return encoding.BandedRidgeCV(
        ALPHAS, purge=purge, n_candidates=candidates, device=device, seed=seed, progress=True
    )


def _said(found: xr.Dataset) -> Iterator[str]:
    score = found["score"].values
    known = score[~np.isnan(score)]
    if not known.size:
        yield f"no neuroid has a score: all {score.size:,} are constant, or their predictions are"
        return
    yield (
        f"held-out r: mean {known.mean():.3f}, median {np.median(known):.3f}, 90th percentile "
        f"{np.quantile(known, 0.9):.3f} ({score.size - known.size:,} of {score.size:,} undefined)"
    )
    q, p = (int((found[name] < 0.05).sum()) for name in ("p_fdr", "p_max"))
    yield (
        f"above chance: {q:,} neuroids by FDR (q < .05), {p:,} by the maximum over neuroids (p < .05); "
        f"permutation of blocks of {found.attrs['block']} rows, {found.attrs['n_draws']:,} draws"
    )
