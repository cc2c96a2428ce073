# Figure 18: averaged EEG of people who heard sentences that end as expected or not.

if STUDY.evoked is not None:

    rule evoked:
        output:
            PATHS.figure(18, "tsv"),
            PATHS.figure(18, "provenance.json"),
        log:
            PATHS.log("evoked"),
        benchmark:
            PATHS.benchmark("evoked")
        threads: 1
        resources:
            mem_mb=2000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest(
                "rsa",
                "datasets",
                "stats",
                "workflow/steps/evoked.py",
                *SHARED,
            ),
            section=section_digest(STUDY.evoked, STUDY.seed),
        shell:
            "{params.step} evoked --threads {threads} 2>&1 | tee {log}"

    rule figure18:
        input:
            values=PATHS.figure(18, "tsv"),
            about=PATHS.figure(18, "provenance.json"),
            script=local(CALLS.script("n400/figure.py")),
        output:
            PATHS.figure(18, "pdf"),
            PATHS.figure(18, "png"),
            PATHS.figure(18, "json"),
        log:
            PATHS.log("figure18"),
        benchmark:
            PATHS.benchmark("figure18")
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
