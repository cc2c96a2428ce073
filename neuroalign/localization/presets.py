"""How published localizers read a network and select its units, by name, with every parameter free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import InvalidValueError, choice
from ..stimuli import lower_case

__all__ = ["PRESETS", "Preset", "preset"]

RULES = ("fraction", "k", "q", "fraction_per_layer")
CASES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "lower": lower_case,
    "original": lambda table: table.copy(),
}


@dataclass(frozen=True)
class Preset:
    """How activations are read and units selected.

    Attributes
    ----------
    name : str
        Stored with the mask.
    absolute : bool
        Whether activations are made absolute before the contrast.
    max_tokens : int or None
        Only so many tokens of each stimulus are read; None reads all.
    pool : {"last", "mean", "first"}
    sites : tuple of str
        Where in each layer units are; several make one mask.
    case : {"lower", "original"}
        Of the stimuli.
    fraction, k, q, fraction_per_layer
        Exactly one rule of ``select_units``.
    """

    name: str
    absolute: bool = False
    max_tokens: int | None = None
    pool: str = "last"
    sites: tuple[str, ...] = ("block",)
    case: str = "lower"
    fraction: float | None = None
    k: int | None = None
    q: float | None = None
    fraction_per_layer: float | None = None

    def __post_init__(self) -> None:
        given = [rule for rule in RULES if getattr(self, rule) is not None]
        if len(given) != 1:
            raise InvalidValueError(
                f"preset {self.name!r} needs exactly one of {', '.join(RULES)}; got {given or 'none'}."
            )
        if self.case not in CASES:
            raise choice(self.case, CASES, name="case")
        if not self.sites or isinstance(self.sites, str):
            raise InvalidValueError(f"sites must be a tuple of one site or more; got {self.sites!r}.")

    @property
    def extraction(self) -> list[dict[str, Any]]:
        """The arguments of ``extraction.extract`` or ``extract_moments``, one dict a site."""
        return [{"site": site, "pool": self.pool, "max_tokens": self.max_tokens} for site in self.sites]

    @property
    def selection(self) -> dict[str, Any]:
        """The arguments of ``localize``: the rule and ``absolute``."""
        rule = {name: getattr(self, name) for name in RULES if getattr(self, name) is not None}
        return {**rule, "absolute": self.absolute}

    @property
    def attrs(self) -> dict[str, Any]:
        """What is stored with the mask: every parameter; the sites joined by a plus sign."""
        found = {key: value for key, value in asdict(self).items() if key not in RULES}
        return {"preset": found.pop("name"), **found, "sites": "+".join(self.sites)}

    def stimuli(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the stimulus table as this preset reads it: in lower case, or as it is."""
        return CASES[self.case](table)

    def refuse_other(self, moments: xr.Dataset) -> None:
        """Refuse activations that were read in another way, where they say how.

        Raises
        ------
        InvalidValueError
            If site, pooling or token cap are not this preset's.
        """
        found = {"site": "+".join(np.unique(moments["site"].values).tolist())}
        wanted: dict[str, Any] = {"site": "+".join(sorted(self.sites))}
        for key in ("pool", "max_tokens"):
            if key in moments.attrs:
                found[key], wanted[key] = moments.attrs[key], getattr(self, key)
        for key, value in found.items():
            if value != wanted[key]:
                raise InvalidValueError(
                    f"preset {self.name!r} reads with {key}={wanted[key]!r}; the activations were read with "
                    f"{key}={value!r}. Extract them with the preset's own parameters (``preset.extraction``)."
                )


# Brain-Score's examples select 4,096 units of each network.
PRESETS: Mapping[str, Preset] = {
    item.name: item
    for item in (
        Preset("naacl2025", absolute=True, max_tokens=12, fraction=0.01),
        Preset("brainscore", max_tokens=12, k=4096),
        Preset("topolm", pool="mean", sites=("attn_out", "mlp_out"), q=0.05),
        Preset("default", fraction=0.01),
    )
}


def preset(name: str | Preset, **changes: Any) -> Preset:
    """Return a preset by name, with some of its parameters changed.

    Another selection rule takes the place of the preset's own. There is no such thing as the language mask of
    a network: the presets' masks of one network overlap with a Dice of .14 to .47.

    Parameters
    ----------
    name : str or Preset
        ``naacl2025``: AlKhamissi, Tuckute, Bosselut & Schrimpf 2025, absolute values first, 12 tokens, top
        1 %. ``brainscore``: the signed form of it, top k. ``topolm``: Rathi, Mehrer, AlKhamissi, Binhuraib,
        Blauch & Schrimpf 2025, mean over tokens, attention and MLP outputs before the residual addition,
        false-discovery rate of .05. ``default``: whole stimuli, signed, top 1 %.
    **changes
        Fields of ``Preset``.

    Raises
    ------
    InvalidValueError
        If there is no such preset or no such parameter.

    Examples
    --------
    >>> preset("brainscore", k=100).selection
    {'k': 100, 'absolute': False}
    >>> preset("topolm").extraction[0]
    {'site': 'attn_out', 'pool': 'mean', 'max_tokens': None}
    """
    if not isinstance(name, Preset) and name not in PRESETS:
        raise choice(name, PRESETS, name="preset")
    found = name if isinstance(name, Preset) else PRESETS[name]
    known = [field.name for field in fields(Preset)]
    for key in changes:
        if key not in known:
            raise choice(key, known, name="each parameter of a preset")
    if any(changes.get(rule) is not None for rule in RULES):
        changes = {**dict.fromkeys(RULES), **changes}
    return replace(found, **changes)
