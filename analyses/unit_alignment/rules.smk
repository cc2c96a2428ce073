# Figure 5: language units against random units of the same number and layer profile, by encoding and RSA.

if STUDY.story is not None and STUDY.localizer is not None:

    rule unit_alignment:
        input:
            local(PATHS.sources("words")),
            PATHS.activations("story", "trained"),
            PATHS.responses,
            PATHS.masks,
        output:
            PATHS.figure(5, "tsv"),
            PATHS.figure(5, "provenance.json"),
        log:
            PATHS.log("unit_alignment"),
        benchmark:
            PATHS.benchmark("unit_alignment")
        threads: 1
        resources:
            mem_mb=4000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest("encoding", "localization", "rsa", "stats", "workflow/steps/story.py", *SHARED),
            section=section_digest(STUDY.story, STUDY.seed),
        shell:
            "{params.step} unit-alignment --threads {threads} 2>&1 | tee {log}"

    rule figure5:
        input:
            values=PATHS.figure(5, "tsv"),
            about=PATHS.figure(5, "provenance.json"),
            script=local(CALLS.script("unit_alignment/figure.py")),
        output:
            PATHS.figure(5, "pdf"),
            PATHS.figure(5, "png"),
            PATHS.figure(5, "json"),
        log:
            PATHS.log("figure5"),
        benchmark:
            PATHS.benchmark("figure5")
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
