# Figures 1 and 2: language-selective units, and what minimal pairs lose without them.

if STUDY.localizer is not None:

    rule localizer:
        input:
            PATHS.sources("localizer"),
            [PATHS.activations("localizer", twin) for twin in TWINS],
        output:
            PATHS.masks,
            PATHS.figure(1, "tsv"),
            PATHS.figure(1, "provenance.json"),
        log:
            PATHS.log("localizer"),
        benchmark:
            PATHS.benchmark("localizer")
        threads: 1
        resources:
            mem_mb=4000,
            gpu=0,
        params:
            code=code_digest("localization", "stats", "stimuli", "workflow/steps/localizer.py", *SHARED),
            section=section_digest(
                STUDY.localizer, STUDY.seed, STUDY.lesions and str(STUDY.lesions.outlier_factor)
            ),
        shell:
            "{STEP} localizer --threads {threads} --study {STUDY_JSON:q} 2>&1 | tee {log}"

    rule figure1:
        input:
            values=PATHS.figure(1, "tsv"),
            about=PATHS.figure(1, "provenance.json"),
            script=Path(workflow.basedir) / "analyses/language_network/figure.py",
        output:
            PATHS.figure(1, "pdf"),
            PATHS.figure(1, "png"),
            PATHS.figure(1, "json"),
        log:
            PATHS.log("figure1"),
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
        params:
            code=code_digest("plotting"),
        shell:
            "{PYTHON} {input.script:q} 1 {input.values:q} 2>&1 | tee {log}"


if STUDY.lesions is not None:

    rule lesions:
        input:
            PATHS.sources("pairs", "model"),
            PATHS.masks,
        output:
            PATHS.lesion_scores,
            PATHS.figure(2, "tsv"),
            PATHS.figure(2, "provenance.json"),
        log:
            PATHS.log("lesions"),
        benchmark:
            PATHS.benchmark("lesions")
        threads: 2
        resources:
            mem_mb=6000,
            gpu=0,
        params:
            code=code_digest(
                "localization", "extraction", "stats", "stimuli", "workflow/steps/lesions.py", *SHARED
            ),
            section=section_digest(STUDY.lesions, STUDY.model, STUDY.seed),
        shell:
            "{STEP} lesions --threads {threads} --study {STUDY_JSON:q} 2>&1 | tee {log}"

    rule figure2:
        input:
            values=PATHS.figure(2, "tsv"),
            about=PATHS.figure(2, "provenance.json"),
            script=Path(workflow.basedir) / "analyses/language_network/figure.py",
        output:
            PATHS.figure(2, "pdf"),
            PATHS.figure(2, "png"),
            PATHS.figure(2, "json"),
        log:
            PATHS.log("figure2"),
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
        params:
            code=code_digest("plotting"),
        shell:
            "{PYTHON} {input.script:q} 2 {input.values:q} 2>&1 | tee {log}"
