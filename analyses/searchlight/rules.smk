# Figure 19: searchlights in one person's brain and in simulated brains.

if STUDY.searchlight is not None:

    rule searchlight:
        output:
            PATHS.figure(19, "tsv"),
            PATHS.figure(19, "provenance.json"),
            PATHS.map("objects"),
            PATHS.map("planted"),
            PATHS.map("surface", "func.gii"),
        log:
            PATHS.log("searchlight"),
        benchmark:
            PATHS.benchmark("searchlight")
        threads: 1
        resources:
            mem_mb=2000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest(
                "rsa",
                "encoding",
                "datasets",
                "stats",
                "workflow/steps/searchlight.py",
                "workflow/steps/searchlight_simulation.py",
                *SHARED,
            ),
            section=section_digest(STUDY.searchlight, STUDY.seed),
        shell:
            "{params.step} searchlight --threads {threads} 2>&1 | tee {log}"

    rule figure19:
        input:
            values=PATHS.figure(19, "tsv"),
            about=PATHS.figure(19, "provenance.json"),
            script=local(CALLS.script("searchlight/figure.py")),
        output:
            PATHS.figure(19, "pdf"),
            PATHS.figure(19, "png"),
            PATHS.figure(19, "json"),
        log:
            PATHS.log("figure19"),
        benchmark:
            PATHS.benchmark("figure19")
        threads: 1
        resources:
            mem_mb=1500,
            gpu=0,
            runtime=30,
        params:
            python=CALLS.python,
            code=code_digest("plotting"),
        shell:
            "{params.python} {input.script:q} {input.values:q} 2>&1 | tee {log}"
