# Figure 24: contrast maps of language models on a lattice, with a spatial loss and without.

if STUDY.topography is not None:

    rule topography:
        output:
            PATHS.figure(24, "tsv"),
            PATHS.figure(24, "provenance.json"),
        log:
            PATHS.log("topography"),
        benchmark:
            PATHS.benchmark("topography")
        threads: 1
        resources:
            mem_mb=2000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest(
                "spatial",
                "stats",
                "datasets",
                "stimuli",
                "localization",
                "workflow/topographic.py",
                "workflow/steps/topography.py",
                *SHARED,
            ),
            section=section_digest(STUDY.topography, STUDY.seed),
        shell:
            "{params.step} topography --threads {threads} 2>&1 | tee {log}"

    rule figure24:
        input:
            values=PATHS.figure(24, "tsv"),
            about=PATHS.figure(24, "provenance.json"),
            script=local(CALLS.script("topography/figure.py")),
        output:
            PATHS.figure(24, "pdf"),
            PATHS.figure(24, "png"),
            PATHS.figure(24, "json"),
        log:
            PATHS.log("figure24"),
        benchmark:
            PATHS.benchmark("figure24")
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
            runtime=30,
        params:
            python=CALLS.python,
            code=code_digest("plotting"),
        shell:
            "{params.python} {input.script:q} {input.values:q} 2>&1 | tee {log}"
