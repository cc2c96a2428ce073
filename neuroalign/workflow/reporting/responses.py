"""Figures 16, 18 and 19: voxels, waves and spheres of measured responses."""

from __future__ import annotations

from .facts import Analysis, Facts, comparators, interval, joined, points, power, share, signed

__all__ = ["ANALYSES"]


def _movie_question(facts: Facts) -> str:
    voxels = f"{facts.notes['n_voxels']:,} voxels ({facts.notes['responses']})"
    return f"Do pixels or motion energy of the movie predict {voxels}?"


def _movie_headline(facts: Facts) -> str:
    notes = facts.notes
    mean = facts.table[facts.table["kind"] == "summary"].set_index("name")["mean r"]
    return (
        f"Mean held-out r: pixels {points(mean['pixels'], 3)}, motion energy "
        f"{points(mean['motion energy'], 3)}, both {points(mean['both'], 3)}; control, frames in reverse "
        f"order {points(mean['backwards'], 3)}. Both predict {notes['n_fdr']:,} of {notes['n_voxels']:,} "
        f"voxels (FDR q < .05), {notes['n_max']:,} by the maximum over voxels. There is no noise ceiling: "
        "nothing was shown twice."
    )


def _movie_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    alphas = params["alphas"]
    return (
        f"Pixels ({params['rows']} by {params['columns']}) and {notes['n_features']['motion energy']:,} "
        f"motion-energy filters ({params['n_directions']} directions) [@adelson1985; @nishimoto2011] at "
        f"delays of {joined(params['delays'])} volumes of {notes['tr']:g} s predicted {notes['n_times']} "
        f"volumes by ridge [@hoerl1970] with one penalty a voxel [@duprelatour2022], of {alphas['n']} from "
        f"{power(alphas['low'])} to {power(alphas['high'])}; both together by banded ridge "
        f"[@nunezelizalde2019] with {params['n_candidates']} candidate weights. {params['n_folds']} "
        f"contiguous folds, {params['purge']} volumes left out beside each. Shares of R² by the product "
        f"measure [@hoffman1960]. Tests permute blocks of {notes['block']} volumes "
        f"({params['n_permutations']} draws) [@adolf2014], corrected by the false discovery rate "
        "[@benjamini1995] and by the maximum [@nichols2002]."
    )


def _evoked_question(facts: Facts) -> str:
    return (
        f"When do the waves and RDMs of {facts.notes['n_subjects']} people's EEG tell congruent from "
        "incongruent sentence ends, clear and in noise?"
    )


def _evoked_headline(facts: Facts) -> str:
    table, params = facts.table, facts.params
    start, stop = params["window"]
    window = table[table["kind"] == "window"].set_index(["part", "name"])
    waves = []
    for name in ("clear", "noise"):
        row = window.loc[("effect", name)]
        waves.append(
            f"{name} {signed(row['value'], 2)} µV{interval(row['low'], row['high'], 2)}, p = {row['p']:.4f}"
        )
    method = params["methods"][0]
    row = window.loc[(method, "congruence")]
    before = table[
        (table["kind"] == "baseline") & (table["part"] == method) & (table["name"] == "congruence")
    ].iloc[0]
    ceiling = table[
        (table["kind"] == "ceiling") & (table["part"] == method) & table["time"].between(start, stop)
    ]
    return (
        f"Effect at {start:g} to {stop:g} s: {'; '.join(waves)}. RDMs ({method}) with congruence: "
        f"{points(row['value'])}{interval(row['low'], row['high'], 2)}, p = {row['p']:.4f}; control, before "
        f"the word {points(before['value'])}; noise ceiling {points(ceiling['low'].mean())} to "
        f"{points(ceiling['high'].mean())} (mean over the window)."
    )


def _evoked_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    return (
        f"Averaged EEG of {notes['n_subjects']} people at {notes['n_sensors']} sensors; waves are means of "
        f"{joined(notes['sensors'])}. RDMs ({params['metric']}) at every sample [@kriegeskorte2008] were "
        f"compared with model RDMs by {comparators(*params['methods'])}. Clusters over time, and over "
        f"sensors and time, formed at p = {params['forming']:g} two-sided, tested by {params['n_flips']:,} "
        "sign flips of people [@maris2007]; they do not say when an effect begins or ends "
        f"[@sassenhagen2019]. Latencies between {params['search'][0]:g} and {params['search'][1]:g} s with "
        f"bootstrap intervals ({params['n_bootstrap']:,} draws) [@efron1979] and jackknife tests "
        f"[@miller1998; @kiesel2008]. Generalisation over time in bins of {params['step']:g} s [@king2014]; "
        "noise ceiling over people [@nili2014]."
    )


def _searchlight_question(facts: Facts) -> str:
    return (
        f"Where in {facts.notes['n_voxels']} voxels of one person do patterns tell categories apart, and "
        "does the method find planted regions?"
    )


def _searchlight_headline(facts: Facts) -> str:
    notes = facts.notes
    model, decoding, planted = notes["model"], notes["decoding"], notes["planted"]
    return (
        f"Model RDM: {model['n_fdr']} of {notes['n_voxels']} spheres (FDR q < .05), {model['n_max']} by the "
        f"maximum; mean {points(model['mean'])}; control, labels shuffled within runs "
        f"{points(notes['shuffled']['mean'])}; noise ceiling (reliability), median "
        f"{points(notes['ceiling']['median'])}. Decoding: {decoding['n_fdr']} spheres, mean accuracy "
        f"{points(decoding['mean'])} (chance {points(decoding['chance'], 3)}). Simulated: "
        f"{share(planted['hits'])} of planted voxels found; control, {share(planted['null_rate'])} of "
        f"{planted['n_null']} maps of random models have any."
    )


def _searchlight_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    planted = params["planted"]
    return (
        f"Spheres of {params['radius']:g} mm [@kriegeskorte2006], {notes['sizes'][0]} to {notes['sizes'][2]} "
        f"voxels, over {notes['n_runs']} runs: crossnobis distances [@walther2016] with a shrunk noise "
        f"covariance [@schaefer2005] compared with a model by {comparators(params['method'])}; decoding by "
        f"ridge (alpha {params['alpha']:g}) leaving one run out. Labels were permuted within runs "
        f"({params['n_permutations']} draws) [@phipson2010], corrected by the maximum [@nichols2002] and by "
        f"the false discovery rate [@benjamini1995]. Ceiling from {params['n_splits']} splits of the runs "
        f"[@spearman1910; @brown1910]. Simulation: {planted['n_subjects']} subjects, {planted['n_runs']} "
        f"runs, signal-to-noise ratio {planted['snr']:g}, spheres of {planted['radius']:g} mm, sign flips "
        "over subjects [@fisher1935]."
    )


ANALYSES = {
    16: Analysis(_movie_question, _movie_headline, _movie_method),
    18: Analysis(_evoked_question, _evoked_headline, _evoked_method),
    19: Analysis(_searchlight_question, _searchlight_headline, _searchlight_method),
}
