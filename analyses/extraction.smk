# Activations, extracted once for all studies that ask for the same. A rule exists only where a study asks for it.

for WHAT in ("localizer", "story"):
    if getattr(STUDY, WHAT) is None:
        continue
    for TWIN in TWINS:
        if not takes(workflow, PATHS.activations(WHAT, TWIN)):
            continue

        rule:
            name:
                f"extract_{WHAT}_{TWIN}"
            input:
                local(PATHS.sources("model", "localizer" if WHAT == "localizer" else "words")),
            output:
                PATHS.activations(WHAT, TWIN),
            log:
                PATHS.log(f"extract_{WHAT}_{TWIN}"),
            benchmark:
                PATHS.benchmark(f"extract_{WHAT}_{TWIN}")
            threads: 1
            resources:
                mem_mb=4000,
                gpu=0,
                runtime=240,
            params:
                step=CALLS.step,
                code=code_digest("extraction", "stimuli", "workflow/steps/extraction.py", *SHARED),
                what=WHAT,
                twin=TWIN,
            shell:
                "{params.step} extract --what {params.what} --twin {params.twin} --threads {threads}"
                " 2>&1 | tee {log}"
