# The workflow's front door: configuration check, includes, the target rule. No other logic stands here.
#
#   neuroalign run config/demo.yaml        (or: snakemake --configfile config/demo.yaml --cores 2)
import shlex
import sys

from snakemake.utils import min_version

from neuroalign.errors import NeuroalignError
from neuroalign.workflow.config import load_study, section_digest
from neuroalign.workflow.paths import FIGURES, PARTS, TWINS, Paths, code_digest

min_version("9.16")


container: "docker://python:3.11-slim"


try:
    STUDY = load_study(dict(config))
    PATHS = Paths(STUDY)
    PATHS.check_sources()
except NeuroalignError as error:
    raise WorkflowError(str(error)) from None

SHARED = ("workflow/sources.py", "workflow/steps/common.py")
STUDY_JSON = STUDY.model_dump_json()
PYTHON = shlex.quote(sys.executable)
STEP = f"{PYTHON} -m neuroalign step"


rule all:
    default_target: True
    input:
        PATHS.report,


include: "analyses/extraction.smk"
include: "analyses/language_network/rules.smk"
include: "analyses/story_encoding/rules.smk"
include: "analyses/story_rsa/rules.smk"
include: "analyses/unit_alignment/rules.smk"
include: "analyses/object_rsa/rules.smk"
include: "analyses/topological_rsa/rules.smk"
include: "analyses/v1_encoding/rules.smk"
include: "analyses/n400/rules.smk"
include: "analyses/behaviour/rules.smk"
include: "analyses/searchlight/rules.smk"
include: "analyses/own_data/rules.smk"
include: "analyses/universal_units/rules.smk"
include: "analyses/topography/rules.smk"
include: "analyses/representation_bias/rules.smk"


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
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        code=code_digest("workflow/steps/report.py", "workflow/report.html", "workflow/reporting"),
        study=section_digest(STUDY),
    shell:
        "{STEP} report --study {STUDY_JSON:q} 2>&1 | tee {log}"
