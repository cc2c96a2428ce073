"""The sections of a study's configuration: science only; threads, memory and folders are not in it.

Kept light (pydantic alone), because the Snakefile reads it before any job starts.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Alphas",
    "Bands",
    "Behaviour",
    "Bias",
    "Dissociation",
    "Evoked",
    "Lesions",
    "Localizer",
    "Model",
    "Movie",
    "Objects",
    "Own",
    "Paradigms",
    "PlantedRegions",
    "Presets",
    "Searchlight",
    "Section",
    "Simulation",
    "Story",
    "Study",
    "Sweep",
    "Topography",
    "Topology",
    "Universal",
]


def _some_once(values: tuple) -> tuple:
    if not values:
        raise ValueError("at least one value is needed")
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"every value must stand once; repeated: {', '.join(repeated)}")
    return values


Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, strict=True)]


class Section(BaseModel):
    """A part of a study: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class Model(Section):
    """The network: a packaged model's name, a folder, a GGUF file, or a hub name with its revision."""

    name: str = "smollm2-135m"
    revision: str | None = None
    dtype: Literal["float32", "float64", "bfloat16", "float16"] = "float32"
    batch_size: Count = 32
    untrained_seed: Annotated[int, Field(ge=0)] = 0


class Localizer(Section):
    """The contrast that selects units."""

    stimuli: str = "embedded"
    positive: str = "sentence"
    negative: str = "nonword"
    pool: Literal["last", "mean", "first"] = "last"
    max_tokens: Count | None = None
    absolute: bool = False
    fraction: Share = 0.01
    n_random: Count = 20

    @model_validator(mode="after")
    def _two_conditions(self) -> Localizer:
        if self.positive == self.negative:
            raise ValueError(f"positive and negative must differ; both are {self.positive!r}")
        return self


class Lesions(Section):
    """What is silenced, on which task, against how many random masks of each kind.

    The language units without outliers have random masks of their own, ``n_controls`` of them where not said.
    """

    pairs: str = "embedded"
    per_paradigm: Count | None = None
    prefix: str | None = "<|endoftext|>"
    n_controls: Count = 20
    n_controls_without_outliers: Count | None = None
    kinds: Annotated[
        tuple[Literal["uniform", "layer-matched", "norm-matched"], ...],
        AfterValidator(_some_once),
    ] = ("uniform", "layer-matched", "norm-matched")
    outlier_factor: Annotated[float, Field(gt=1)] = 6.0
    n_bootstrap: Count = 2000


class Presets(Section):
    """Published localizers on the stimuli of the section localizer, and one matched in tokens."""

    names: Annotated[
        tuple[Literal["default", "brainscore", "naacl2025", "topolm"], ...],
        AfterValidator(_some_once),
    ] = ("default", "brainscore", "naacl2025", "topolm")
    n_random: Count = 20


class Sweep(Section):
    """Lesions of several sizes, as shares of all units, on the pairs of the section lesions."""

    fractions: Annotated[tuple[Share, ...], AfterValidator(_some_once)] = (
        0.00125,
        0.0025,
        0.005,
        0.02,
        0.05,
    )
    n_controls: Count = 20


class Paradigms(Section):
    """The language units' lesion by paradigm, on all pairs of each (or the first so many)."""

    per_paradigm: Count | None = None


class Dissociation(Section):
    """Language units and units for hard sums silenced, on minimal pairs and on sequences (no language)."""

    n_sums: Annotated[int, Field(ge=4)] = 96
    n_sequences: Count = 100
    n_controls: Count = 20
    n_permutations: Count = 1999


class Alphas(Section):
    """Ridge penalties (scikit-learn's convention), evenly spaced in log10 from low to high."""

    low: float = 0.0
    high: float = 7.0
    n: Count = 15

    @model_validator(mode="after")
    def _ordered(self) -> Alphas:
        if self.low >= self.high:
            raise ValueError(f"low must be below high; got {self.low} and {self.high}")
        return self


class Simulation(Section):
    """Responses of known truth: which layer drives them (as a share of the depth), how strongly, how many."""

    planted_depth: Annotated[float, Field(ge=0, le=1)] = 0.6
    snr: Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(min_length=1)] = {
        "LATL": 0.6,
        "RATL": 0.3,
        "LPTL": 1.0,
        "LIPL": 0.5,
        "LPreM": 0.15,
        "LIFG": 0.0,
    }
    n_subjects: Annotated[int, Field(ge=2)] = 8
    phi: Annotated[float, Field(ge=0, lt=1)] = 0.5
    tr: Annotated[float, Field(gt=0)] = 2.0


class Story(Section):
    """A timed story: responses, words, how words become a design, how it is cross-validated."""

    responses: str = "simulated"
    words: str | None = None
    radius: Literal["6mm", "10mm"] = "6mm"
    context: Annotated[int, Field(ge=8)] = 512
    stride: Count = 128
    pool: Literal["mean", "last", "sum"] = "mean"
    downsample: Literal["average", "sum", "lanczos"] = "average"
    delays: Annotated[tuple[Annotated[int, Field(ge=0, strict=True)], ...], AfterValidator(_some_once)] = (
        1,
        2,
        3,
        4,
    )
    alphas: Alphas = Alphas()
    n_folds: Annotated[int, Field(ge=2)] = 5
    purge: Annotated[int, Field(ge=0)] = 10
    layer_step: Count = 1
    window: Annotated[int, Field(ge=2)] = 12
    method: Literal["spearman", "pearson", "cosine"] = "spearman"
    n_unit_controls: Count = 100
    n_bootstrap: Count = 2000
    simulation: Simulation | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Story:
        if self.responses not in ("simulated", "alice_fmri") and not self.responses.endswith(".nc"):
            raise ValueError(f"responses must be simulated, alice_fmri or a .nc file; got {self.responses!r}")
        if self.stride >= self.context:
            raise ValueError(f"stride must be below context; got {self.stride} and {self.context}")
        if self.responses == "simulated" and self.simulation is None:
            raise ValueError("responses: simulated needs a section simulation")
        if self.responses != "simulated" and self.simulation is not None:
            raise ValueError("a section simulation needs responses: simulated")
        if self.responses.endswith(".nc") != (self.words is not None):
            raise ValueError("your own responses (a .nc file) and your own words (a table) need one another")
        return self


class Bands(Section):
    """What feature spaces of a story explain: the layer (as a share of the depth), candidates, draws."""

    depth: Annotated[float, Field(ge=0, le=1)] = 0.6
    n_candidates: Count = 20
    n_permutations: Count = 999


class Objects(Section):
    """Model RDMs against subjects' RDMs, and what new samples a bootstrap imagines."""

    responses: Literal["kriegeskorte92", "finger7t"] = "kriegeskorte92"
    methods: Annotated[tuple[Literal["pearson", "spearman", "cosine"], ...], AfterValidator(_some_once)] = (
        "pearson",
        "spearman",
    )
    n_permutations: Count = 1000
    n_bootstrap: Count = 1000
    resample: Literal["both", "subject", "stimulus"] = "both"
    n_draws: Count = 1000


class Behaviour(Section):
    """People's similarity judgements against brains and model RDMs, and what new samples are imagined."""

    responses: Literal["kriegeskorte92"] = "kriegeskorte92"
    methods: Annotated[tuple[Literal["pearson", "spearman", "cosine"], ...], AfterValidator(_some_once)] = (
        "spearman",
        "pearson",
    )
    resample: Literal["both", "subject", "stimulus"] = "both"
    n_draws: Count = 1000
    n_permutations: Count = 1000


class Movie(Section):
    """Voxels encoded from a movie: its features, delays in volumes, folds, candidates and tests."""

    responses: Literal["szinte_prf_v1"] = "szinte_prf_v1"
    rows: Count = 15
    columns: Count = 20
    n_directions: Annotated[int, Field(ge=2, multiple_of=2)] = 8
    delays: Annotated[tuple[Annotated[int, Field(ge=0, strict=True)], ...], AfterValidator(_some_once)] = (
        1,
        2,
        3,
        4,
        5,
    )
    other_delays: tuple[tuple[Annotated[int, Field(ge=0, strict=True)], ...], ...] = (
        (0, 1, 2, 3, 4),
        (2, 3, 4, 5, 6),
    )
    alphas: Alphas = Alphas(low=0.0, high=9.0, n=19)
    n_folds: Annotated[int, Field(ge=3)] = 5
    purge: Annotated[int, Field(ge=0)] = 11
    n_candidates: Count = 20
    n_permutations: Count = 999


class Evoked(Section):
    """Averaged EEG of many people: waves at some sensors, RDMs in time against model RDMs, latencies.

    ``window`` is where the effect is known to be, ``search`` where latencies are looked for, ``baseline``
    before the word; in seconds. ``methods`` compare RDMs, the first in all panels. ``step`` is the bin of the
    generalisation over time, and how often the noise ceiling is taken; ``forming`` the p at which samples
    join a cluster.
    """

    responses: Literal["n400_group_eeg"] = "n400_group_eeg"
    sensors: Annotated[tuple[str, ...], AfterValidator(_some_once)] = ("Cz", "CPz", "Pz")
    window: tuple[float, float] = (0.4, 0.6)
    search: tuple[float, float] = (0.2, 0.9)
    baseline: tuple[float, float] = (-0.2, 0.0)
    metric: Literal["correlation", "euclidean"] = "correlation"
    methods: Annotated[tuple[Literal["pearson", "spearman", "cosine"], ...], AfterValidator(_some_once)] = (
        "pearson",
        "spearman",
    )
    step: Annotated[float, Field(gt=0)] = 0.02
    forming: Annotated[float, Field(gt=0, lt=1)] = 0.05
    n_flips: Count = 10000
    n_bootstrap: Count = 2000

    @model_validator(mode="after")
    def _stretches(self) -> Evoked:
        for name in ("window", "search", "baseline"):
            start, stop = getattr(self, name)
            if start >= stop:
                raise ValueError(f"{name} must run from an earlier to a later time; got {start} and {stop}")
        return self


class Topology(Section):
    """Topological RSA: which layer is an RDM of, over networks that differ in their seed, and noise."""

    n_networks: Annotated[int, Field(ge=4)] = 12
    n_images: Annotated[int, Field(ge=10, le=400, multiple_of=10)] = 50
    epochs: Count = 20
    noise: Annotated[tuple[Annotated[float, Field(ge=0)], ...], AfterValidator(_some_once)] = (0.0, 1.0, 2.0)
    metrics: Annotated[tuple[Literal["correlation", "euclidean"], ...], AfterValidator(_some_once)] = (
        "correlation",
        "euclidean",
    )
    step: Annotated[float, Field(gt=0, le=1)] = 0.05
    n_bootstrap: Count = 200
    resample: Literal["subject", "stimulus", "both"] = "both"
    n_permutations: Count = 999
    brains: tuple[Literal["kriegeskorte92", "finger7t"], ...] = ()


class Topography(Section):
    """Small language models on a lattice, trained with a spatial loss and without, and their contrast maps.

    ``shape`` is the lattice of every block's units; ``weight`` that of the spatial loss of ``kind`` (pairs
    within ``radius`` steps where given) beside the language loss. ``fwhm`` smooths contrast maps, in steps;
    units above a map's ``quantile`` make clusters.
    """

    text: Literal["blimp", "embedded"] = "blimp"
    least: Count = 5
    n_test: Count = 4000
    shape: tuple[Annotated[int, Field(ge=4, multiple_of=2)], Annotated[int, Field(ge=4, multiple_of=2)]] = (
        12,
        12,
    )
    n_blocks: Count = 2
    n_steps: Count = 800
    batch: Count = 16
    length: Annotated[int, Field(ge=4)] = 24
    kind: Literal["topolm", "dirichlet", "moran"] = "topolm"
    radius: Annotated[float, Field(ge=1)] | None = None
    weight: Annotated[float, Field(gt=0)] = 0.5
    n_networks: Count = 3
    fwhm: Annotated[float, Field(gt=0)] = 3.0
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.8
    n_permutations: Count = 999

    @model_validator(mode="after")
    def _some_neighbours(self) -> Topography:
        if self.kind != "topolm" and self.radius is None:
            raise ValueError(f"kind {self.kind} needs a radius: which units are neighbours")
        return self


class Own(Section):
    """Your own data, as a description names them, against model RDMs and the layers of the study's network.

    ``columns`` are columns of the stimulus table that become model RDMs: other or the same (text), how far
    apart (numbers). ``window`` is the time of epochs (seconds) that is averaged.
    """

    data: Annotated[str, Field(pattern=r"\.ya?ml$")]
    models: dict[Annotated[str, Field(min_length=1)], Annotated[str, Field(pattern=r"\.(tsv|csv)$")]] = {}
    columns: tuple[str, ...] = ()
    network: bool = False
    pool: Literal["last", "mean", "first"] = "last"
    layer_step: Count = 1
    layer_metric: Literal["correlation", "cosine", "euclidean"] = "correlation"
    rois: Annotated[tuple[str, ...], AfterValidator(_some_once)] | None = None
    window: tuple[float, float] | None = None
    metric: Literal["auto", "crossnobis", "correlation", "cosine", "euclidean", "correlation-cv"] = "auto"
    noise: Literal["shrinkage-diagonal", "diagonal", "none"] = "shrinkage-diagonal"
    method: Literal["spearman", "pearson", "cosine", "rho-a", "tau-a", "whitened-cosine"] = "spearman"
    resample: Literal["both", "subject", "stimulus"] = "both"
    n_draws: Annotated[int, Field(ge=20)] = 1000
    n_permutations: Count = 1000
    simulated: bool = False

    @model_validator(mode="after")
    def _something_to_compare(self) -> Own:
        if not (self.models or self.columns or self.network):
            raise ValueError("own needs models, columns or network: true, to compare the data with")
        twice = sorted(set(self.models) & set(self.columns))
        if twice:
            raise ValueError(f"models and columns have the same names: {', '.join(twice)}")
        if self.window is not None and self.window[0] >= self.window[1]:
            raise ValueError(f"window must run from an earlier to a later time; got {self.window}")
        return self


class PlantedRegions(Section):
    """Simulated subjects: a volume with two planted regions, and one on a surface; lengths in mm."""

    shape: tuple[Annotated[int, Field(ge=4)], Annotated[int, Field(ge=4)], Annotated[int, Field(ge=4)]] = (
        12,
        14,
        9,
    )
    voxel: Annotated[float, Field(gt=0)] = 3.0
    region_radius: Annotated[float, Field(gt=0)] = 6.0
    radius: Annotated[float, Field(gt=0)] = 6.0
    snr: Annotated[float, Field(ge=0)] = 0.015
    smoothing: Annotated[float, Field(ge=0)] = 5.0
    n_subjects: Annotated[int, Field(ge=6)] = 10
    n_runs: Annotated[int, Field(ge=2)] = 4
    n_null: Count = 200
    n_permutations: Count = 199


class Searchlight(Section):
    """Category models and decoding in spheres (radius in mm) of one person's brain, and planted regions."""

    responses: Literal["haxby_slice"] = "haxby_slice"
    image: Literal["1slice", "25mm"] = "1slice"
    radius: Annotated[float, Field(gt=0)] = 10.0
    method: Literal["spearman", "pearson", "cosine"] = "spearman"
    alpha: Annotated[float, Field(gt=0)] = 100.0
    n_permutations: Count = 499
    n_splits: Count = 10
    planted: PlantedRegions = PlantedRegions()


class Universal(Section):
    """Units of two networks that respond alike to a story's words, and digits networks over seeds.

    ``layer_step`` is of the first network; the second is read in all layers. ``threshold`` is the excess
    correlation above which a unit is called universal.
    """

    networks: tuple[str, str] = ("smollm2-135m", "all-minilm-l6-v2")
    site: Literal["mlp_act", "mlp_out", "attn_out", "block"] = "mlp_act"
    pool: Literal["mean", "last"] = "mean"
    context: Annotated[int, Field(ge=8)] = 256
    stride: Count = 128
    layer_step: Count = 4
    threshold: Annotated[float, Field(gt=0, lt=2)] = 0.5
    n_networks: Annotated[int, Field(ge=2)] = 5
    n_images: Annotated[int, Field(ge=160, le=400, multiple_of=20)] = 360
    epochs: Count = 20
    n_rotations: Count = 5
    n_permutations: Count = 99


class Bias(Section):
    """Networks that compute an easy and a hard feature equally well, and what measures make of the two.

    ``noise`` is that of two simulated measurements of each stimulus, in units of the spread of the units.
    """

    n_networks: Annotated[int, Field(ge=2)] = 8
    n_each: Annotated[int, Field(ge=2, le=64)] = 12
    n_units: Annotated[int, Field(ge=8)] = 64
    n_steps: Count = 800
    rate: Annotated[float, Field(gt=0)] = 0.002
    method: Literal["pearson", "spearman", "rho-a"] = "pearson"
    noise: Annotated[float, Field(gt=0)] = 1.0
    n_bootstrap: Count = 2000


class Study(Section):
    """A study: one network, one seed, and the analyses whose sections are given."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    title: str
    seed: Annotated[int, Field(ge=0)] = 0
    model: Model = Model()
    localizer: Localizer | None = None
    lesions: Lesions | None = None
    presets: Presets | None = None
    sweep: Sweep | None = None
    paradigms: Paradigms | None = None
    dissociation: Dissociation | None = None
    story: Story | None = None
    bands: Bands | None = None
    objects: Objects | None = None
    topology: Topology | None = None
    movie: Movie | None = None
    searchlight: Searchlight | None = None
    evoked: Evoked | None = None
    behaviour: Behaviour | None = None
    topography: Topography | None = None
    bias: Bias | None = None
    own: Own | None = None
    universal: Universal | None = None

    @model_validator(mode="after")
    def _complete(self) -> Study:
        if self.name == "shared":
            raise ValueError("the name shared is taken: results/shared holds what studies share")
        for name, needed in NEEDS.items():
            if getattr(self, name) is not None and getattr(self, needed) is None:
                verb = "need" if name.endswith("s") else "needs"
                raise ValueError(f"{name} {verb} a section {needed}: {NEEDED_FOR[needed]}")
        if all(getattr(self, name) is None for name in ALONE):
            raise ValueError(f"a study needs at least one of the sections {', '.join(ALONE)}")
        return self


# Sections that make a study by themselves.
ALONE = (
    "localizer",
    "story",
    "objects",
    "topology",
    "movie",
    "own",
    "behaviour",
    "evoked",
    "searchlight",
    "bias",
    "topography",
    "universal",
)
# section -> the section that it cannot do without, and what for
NEEDS = {
    "lesions": "localizer",
    "presets": "localizer",
    "sweep": "lesions",
    "paradigms": "lesions",
    "dissociation": "lesions",
    "bands": "story",
}
NEEDED_FOR = {
    "localizer": "it selects the units",
    "lesions": "it names the pairs and the controls",
    "story": "it says what was heard and how it becomes a design",
}
