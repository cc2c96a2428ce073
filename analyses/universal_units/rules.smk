# Figure 23: units of language networks, and of digits networks over seeds, that respond alike.

if STUDY.universal is not None:

    rule universal:
        output:
            PATHS.figure(23, "tsv"),
            PATHS.figure(23, "provenance.json"),
        log:
            PATHS.log("universal"),
        benchmark:
            PATHS.benchmark("universal")
        threads: 1
        resources:
            mem_mb=3000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest(
                "extraction",
                "similarity",
                "stats",
                "stimuli",
                "workflow/digits.py",
                "workflow/steps/universal.py",
                *SHARED,
            ),
            section=section_digest(STUDY.universal, STUDY.model, STUDY.seed),
        shell:
            "{params.step} universal --threads {threads} 2>&1 | tee {log}"

    rule figure23:
        input:
            values=PATHS.figure(23, "tsv"),
            about=PATHS.figure(23, "provenance.json"),
            script=local(CALLS.script("universal_units/figure.py")),
        output:
            PATHS.figure(23, "pdf"),
            PATHS.figure(23, "png"),
            PATHS.figure(23, "json"),
        log:
            PATHS.log("figure23"),
        benchmark:
            PATHS.benchmark("figure23")
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
