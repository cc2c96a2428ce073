# Figure 3: encoding of the story by layer. The responses prepared here serve figures 4 and 5 too.

if STUDY.story is not None:

    rule prepare_story:
        input:
            PATHS.sources("words", "responses"),
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
        params:
            code=code_digest("datasets", "stats", "stimuli", "workflow/steps/story.py", *SHARED),
            section=section_digest(STUDY.story, STUDY.seed),
        shell:
            "{STEP} prepare-story --threads {threads} --study {STUDY_JSON:q} 2>&1 | tee {log}"

    rule encode:
        input:
            PATHS.sources("words"),
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
        params:
            code=code_digest("encoding", "stats", "workflow/steps/story.py", *SHARED),
            section=section_digest(STUDY.story, STUDY.seed),
        shell:
            "{STEP} encode --threads {threads} --study {STUDY_JSON:q} 2>&1 | tee {log}"

    rule figure3:
        input:
            values=PATHS.figure(3, "tsv"),
            about=PATHS.figure(3, "provenance.json"),
            script=Path(workflow.basedir) / "analyses/story_encoding/figure.py",
        output:
            PATHS.figure(3, "pdf"),
            PATHS.figure(3, "png"),
            PATHS.figure(3, "json"),
        log:
            PATHS.log("figure3"),
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
        params:
            code=code_digest("plotting"),
        shell:
            "{PYTHON} {input.script:q} {input.values:q} 2>&1 | tee {log}"


if STUDY.bands is not None:

    rule story_bands:
        input:
            PATHS.sources("words"),
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
        params:
            code=code_digest(
                "encoding",
                "stats",
                "workflow/steps/story.py",
                "workflow/steps/bands.py",
                *SHARED,
            ),
            section=section_digest(STUDY.story, STUDY.bands, STUDY.seed),
        shell:
            "{STEP} story-bands --threads {threads} --study {STUDY_JSON:q} 2>&1 | tee {log}"

    rule figure17:
        input:
            values=PATHS.figure(17, "tsv"),
            about=PATHS.figure(17, "provenance.json"),
            script=Path(workflow.basedir) / "analyses/story_encoding/bands.py",
        output:
            PATHS.figure(17, "pdf"),
            PATHS.figure(17, "png"),
            PATHS.figure(17, "json"),
        log:
            PATHS.log("figure17"),
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
        params:
            code=code_digest("plotting"),
        shell:
            "{PYTHON} {input.script:q} {input.values:q} 2>&1 | tee {log}"
