# The workflow's front door: configuration check, includes, the target rule. No other logic stands here.
#
#   neuroalign run config/demo.yaml        (or: snakemake --configfile config/demo.yaml --cores 2)
from pathlib import Path

from snakemake.utils import min_version

from neuroalign.errors import NeuroalignError
from neuroalign.workflow.calls import Calls, code_digest, takes
from neuroalign.workflow.config import load_study, section_digest
from neuroalign.workflow.paths import PARTS, TWINS, Paths

min_version("9.16")


container: "docker://python:3.11-slim"


try:
    STUDY = load_study(dict(config))
    PATHS = Paths(STUDY)
    PATHS.check_sources()
except NeuroalignError as error:
    raise WorkflowError(str(error)) from None

SHARED = ("workflow/sources.py", "workflow/steps/common.py")
CALLS = Calls(PATHS, Path(workflow.current_basedir.get_path_or_uri(secret_free=True)))


rule all:
    input:
        PATHS.report,


include: "analyses/extraction.smk"


for FOLDER in PATHS.analyses():

    include: f"analyses/{FOLDER}/rules.smk"


rule report:
    input:
        [
            PATHS.figure(n, kind)
            for n in PATHS.figures()
            for kind in ("tsv", "provenance.json", "pdf", "png", "json")
        ],
    output:
        PATHS.report,
    log:
        PATHS.log("report"),
    benchmark:
        PATHS.benchmark("report")
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
        runtime=30,
    params:
        step=CALLS.step,
        code=code_digest("workflow/steps/report.py", "workflow/report.html", "workflow/reporting"),
        study=section_digest(STUDY),
    shell:
        "{params.step} report 2>&1 | tee {log}"
