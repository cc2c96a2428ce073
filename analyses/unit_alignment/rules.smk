# Figure 5: language units against random units of the same number and layer profile, by encoding and RSA.

if STUDY.story is not None and STUDY.localizer is not None:

    rule unit_alignment:
        input:
            PATHS.sources("words"),
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
        params:
            code=code_digest("encoding", "localization", "rsa", "stats", "workflow/steps/story.py", *SHARED),
            section=section_digest(STUDY.story, STUDY.seed),
        shell:
            "{STEP} unit-alignment --threads {threads} --study {STUDY_JSON:q} 2>&1 | tee {log}"

    rule figure5:
        input:
            values=PATHS.figure(5, "tsv"),
            about=PATHS.figure(5, "provenance.json"),
            script=Path(workflow.basedir) / "analyses/unit_alignment/figure.py",
        output:
            PATHS.figure(5, "pdf"),
            PATHS.figure(5, "png"),
            PATHS.figure(5, "json"),
        log:
            PATHS.log("figure5"),
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
        params:
            code=code_digest("plotting"),
        shell:
            "{PYTHON} {input.script:q} {input.values:q} 2>&1 | tee {log}"
