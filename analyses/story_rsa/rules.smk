# Figure 4: representational similarity of time windows of the story, by layer.

if STUDY.story is not None:

    rule story_rsa:
        input:
            local(PATHS.sources("words")),
            [PATHS.activations("story", twin) for twin in TWINS],
            PATHS.responses,
        output:
            PATHS.figure(4, "tsv"),
            PATHS.figure(4, "provenance.json"),
        log:
            PATHS.log("story_rsa"),
        benchmark:
            PATHS.benchmark("story_rsa")
        threads: 1
        resources:
            mem_mb=4000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest("rsa", "encoding", "stats", "workflow/steps/story.py", *SHARED),
            section=section_digest(STUDY.story, STUDY.seed),
        shell:
            "{params.step} story-rsa --threads {threads} 2>&1 | tee {log}"

    rule figure4:
        input:
            values=PATHS.figure(4, "tsv"),
            about=PATHS.figure(4, "provenance.json"),
            script=local(CALLS.script("story_rsa/figure.py")),
        output:
            PATHS.figure(4, "pdf"),
            PATHS.figure(4, "png"),
            PATHS.figure(4, "json"),
        log:
            PATHS.log("figure4"),
        benchmark:
            PATHS.benchmark("figure4")
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
