# Figure 3: encoding of the story by layer. The responses prepared here serve figures 4 and 5 too.

if STUDY.story is not None:

    rule prepare_story:
        input:
            local(PATHS.sources("words", "responses")),
            [PATHS.activations("story", "trained")],
        output:
            PATHS.responses,
        log:
            PATHS.log("prepare_story"),
        benchmark:
            PATHS.benchmark("prepare_story")
        threads: 1
        resources:
            mem_mb=2000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest("datasets", "stats", "stimuli", "workflow/steps/story.py", *SHARED),
            section=section_digest(STUDY.story, STUDY.seed),
        shell:
            "{params.step} prepare-story --threads {threads} 2>&1 | tee {log}"

    rule encode:
        input:
            local(PATHS.sources("words")),
            [PATHS.activations("story", twin) for twin in TWINS],
            PATHS.responses,
        output:
            PATHS.figure(3, "tsv"),
            PATHS.figure(3, "provenance.json"),
        log:
            PATHS.log("encode"),
        benchmark:
            PATHS.benchmark("encode")
        threads: 1
        resources:
            mem_mb=4000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest("encoding", "stats", "workflow/steps/story.py", *SHARED),
            section=section_digest(STUDY.story, STUDY.seed),
        shell:
            "{params.step} encode --threads {threads} 2>&1 | tee {log}"

    rule figure3:
        input:
            values=PATHS.figure(3, "tsv"),
            about=PATHS.figure(3, "provenance.json"),
            script=local(CALLS.script("story_encoding/figure.py")),
        output:
            PATHS.figure(3, "pdf"),
            PATHS.figure(3, "png"),
            PATHS.figure(3, "json"),
        log:
            PATHS.log("figure3"),
        benchmark:
            PATHS.benchmark("figure3")
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


if STUDY.bands is not None:

    rule story_bands:
        input:
            local(PATHS.sources("words")),
            [PATHS.activations("story", twin) for twin in TWINS],
            PATHS.responses,
        output:
            PATHS.figure(17, "tsv"),
            PATHS.figure(17, "provenance.json"),
        log:
            PATHS.log("story_bands"),
        benchmark:
            PATHS.benchmark("story_bands")
        threads: 1
        resources:
            mem_mb=3000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest(
                "encoding",
                "stats",
                "workflow/steps/story.py",
                "workflow/steps/bands.py",
                *SHARED,
            ),
            section=section_digest(STUDY.story, STUDY.bands, STUDY.seed),
        shell:
            "{params.step} story-bands --threads {threads} 2>&1 | tee {log}"

    rule figure17:
        input:
            values=PATHS.figure(17, "tsv"),
            about=PATHS.figure(17, "provenance.json"),
            script=local(CALLS.script("story_encoding/bands.py")),
        output:
            PATHS.figure(17, "pdf"),
            PATHS.figure(17, "png"),
            PATHS.figure(17, "json"),
        log:
            PATHS.log("figure17"),
        benchmark:
            PATHS.benchmark("figure17")
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
