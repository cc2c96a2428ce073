"""How often the p values of every public function are at most .05 where there is nothing.

``python -m benchmarks.p_values`` makes 10,000 null data sets (or as many as are given; seed 20240601, chosen
before any run) for each function that returns a p value, and keeps the rates with their exact binomial
intervals (Clopper & Pearson 1934) in ``docs/calibration/functions.tsv``, and a figure of them. ``--only``
names functions (a part of the name will do) and replaces their rows; ``--seed`` draws other sets and only
prints; ``--workers`` shares the sets among processes, which changes no rate.

Tests whose p is uniform on these null sets must be refused with a rate of .044 to .056. Those whose p is not
exact say why (few possible values, a bound, a bootstrap or another approximation) and must keep to .060; most
are conservative.

Inference on RDMs, series, clusters and searchlights has null sets of its own: ``benchmarks.calibration``,
``encoding_calibration``, ``cluster_calibration`` and ``searchlight_calibration``.
"""

from .rates import Null, functions, measure

__all__ = ["Null", "functions", "measure"]
