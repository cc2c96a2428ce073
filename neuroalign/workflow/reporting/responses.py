"""Figures 16, 18 and 19: voxels, waves and spheres of measured responses."""

from __future__ import annotations

from .facts import Analysis, Facts, comparators, interval, joined, points, share, signed

__all__ = ["ANALYSES"]


def _movie_question(facts: Facts) -> str:
    return f"Do pixels or motion energy of the movie predict {facts.notes['n_voxels']:,} voxels ({facts.notes['responses']})?"


def _movie_headline(facts: Facts) -> str:
    notes = facts.notes
    mean = facts.table[facts.table["kind"] == "summary"].set_index("name")["mean r"]
    return (
        f"Mean held-out r: pixels {points(mean['pixels'], 3)}, motion energy {points(mean['motion energy'], 3)}, both "
        f"{points(mean['both'], 3)}; control, frames in reverse order {points(mean['backwards'], 3)}. Both predict "
        f"{notes['n_fdr']:,} of {notes['n_voxels']:,} voxels (FDR q < .05), {notes['n_max']:,} by the maximum over voxels. "
        "There is no noise ceiling: nothing was shown twice."
    )


def _movie_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    alphas = params["alphas"]
    return (
        f"Pixels ({params['rows']} by {params['columns']}) and {notes['n_features']['motion energy']:,} motion-energy filters "
        f"({params['n_directions']} directions) [@adelson1985; @nishimoto2011] at delays of {joined(params['delays'])} volumes "
        f"of {notes['tr']:g} s predicted {notes['n_times']} volumes by ridge [@hoerl1970] with one penalty a voxel "
        f"[@duprelatour2022], of {alphas['n']} from 10^{alphas['low']:g} to 10^{alphas['high']:g}; both together by banded ridge "
        f"[@nunezelizalde2019] with {params['n_candidates']} candidate weights. {params['n_folds']} contiguous folds, "
        f"{params['purge']} volumes left out beside each. Shares of R² by the product measure [@hoffman1960]. Tests permute "
        f"blocks of {notes['block']} volumes ({params['n_permutations']} draws) [@adolf2014], corrected by the false discovery rate "
        "[@benjamini1995] and by the maximum [@nichols2002]."
    )


def _evoked_question(facts: Facts) -> str:
    return (
        f"When do the waves and RDMs of {facts.notes['n_subjects']} people's EEG tell congruent from incongruent sentence "
        "ends, clear and in noise?"
    )


def _evoked_headline(facts: Facts) -> str:
    table, params = facts.table, facts.params
    start, stop = params["window"]
    window = table[table["kind"] == "window"].set_index(["part", "name"])
    waves = []
    for name in ("clear", "noise"):
        row = window.loc[("effect", name)]
        waves.append(f"{name} {signed(row['value'], 2)} µV{interval(row['low'], row['high'], 2)}, p = {row['p']:.4f}")
    method = params["methods"][0]
    row = window.loc[(method, "congruence")]
    before = table[(table["kind"] == "baseline") & (table["part"] == method) & (table["name"] == "congruence")].iloc[0]
    ceiling = table[(table["kind"] == "ceiling") & (table["part"] == method) & table["time"].between(start, stop)]
    return (
        f"Effect at {start:g} to {stop:g} s: {'; '.join(waves)}. RDMs ({method}) with congruence: {points(row['value'])}"
        f"{interval(row['low'], row['high'], 2)}, p = {row['p']:.4f}; control, before the word {points(before['value'])}; noise "
        f"ceiling {points(ceiling['low'].mean())} to {points(ceiling['high'].mean())} (mean over the window)."
    )


def _evoked_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    return (
        f"Averaged EEG of {notes['n_subjects']} people at {notes['n_sensors']} sensors; waves are means of "
        f"{joined(notes['sensors'])}. RDMs ({params['metric']}) at every sample [@kriegeskorte2008] were compared with model RDMs "
        f"by {comparators(*params['methods'])}. Clusters over time, and over sensors and time, formed at p = {params['forming']:g} "
        f"two-sided, tested by {params['n_flips']:,} sign flips of people [@maris2007]; they do not say when an effect begins "
        f"or ends [@sassenhagen2019]. Latencies between {params['search'][0]:g} and {params['search'][1]:g} s with bootstrap "
        f"intervals ({params['n_bootstrap']:,} draws) [@efron1979] and jackknife tests [@miller1998; @kiesel2008]. Generalisation "
        f"over time in bins of {params['step']:g} s [@king2014]; noise ceiling over people [@nili2014]."
    )


def _searchlight_question(facts: Facts) -> str:
    return (
        f"Where in {facts.notes['n_voxels']} voxels of one person do patterns tell categories apart, and does the method find "
        "planted regions?"
    )


def _searchlight_headline(facts: Facts) -> str:
    notes = facts.notes
    model, decoding, planted = notes["model"], notes["decoding"], notes["planted"]
    return (
        f"Model RDM: {model['n_fdr']} of {notes['n_voxels']} spheres (FDR q < .05), {model['n_max']} by the maximum; mean "
        f"{points(model['mean'])}; control, labels shuffled within runs {points(notes['shuffled']['mean'])}; noise ceiling "
        f"(reliability), median {points(notes['ceiling']['median'])}. Decoding: {decoding['n_fdr']} spheres, mean accuracy "
        f"{points(decoding['mean'])} (chance {points(decoding['chance'], 3)}). Simulated: {share(planted['hits'])} of planted "
        f"voxels found; control, {share(planted['null_rate'])} of {planted['n_null']} maps of random models have any."
    )


def _searchlight_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    planted = params["planted"]
    return (
        f"Spheres of {params['radius']:g} mm [@kriegeskorte2006], {notes['sizes'][0]} to {notes['sizes'][2]} voxels, over "
        f"{notes['n_runs']} runs: crossnobis distances [@walther2016] with a shrunk noise covariance [@schaefer2005] compared with "
        f"a model by {comparators(params['method'])}; decoding by ridge (alpha {params['alpha']:g}) leaving one run out. Labels were permuted "
        f"within runs ({params['n_permutations']} draws) [@phipson2010], corrected by the maximum [@nichols2002] and by the false "
        f"discovery rate [@benjamini1995]. Ceiling from {params['n_splits']} splits of the runs [@spearman1910; @brown1910]. "
        f"Simulation: {planted['n_subjects']} subjects, {planted['n_runs']} runs, signal-to-noise ratio {planted['snr']:g}, "
        f"spheres of {planted['radius']:g} mm, sign flips over subjects [@fisher1935]."
    )


ANALYSES = {
    16: Analysis(_movie_question, _movie_headline, _movie_method),
    18: Analysis(_evoked_question, _evoked_headline, _evoked_method),
    19: Analysis(_searchlight_question, _searchlight_headline, _searchlight_method),
}
