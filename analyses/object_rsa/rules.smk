# Figure 6: model RDMs against the RDMs of people who saw the same images.

if STUDY.objects is not None:

    rule objects:
        output:
            PATHS.figure(6, "tsv"),
            PATHS.figure(6, "provenance.json"),
        log:
            PATHS.log("objects"),
        benchmark:
            PATHS.benchmark("objects")
        threads: 1
        resources:
            mem_mb=2000,
            gpu=0,
        params:
            code=code_digest("rsa", "datasets", "stats", "workflow/steps/objects.py", *SHARED),
            section=section_digest(STUDY.objects, STUDY.seed),
        shell:
            "{STEP} objects --threads {threads} --study {STUDY_JSON:q} 2>&1 | tee {log}"

    rule figure6:
        input:
            values=PATHS.figure(6, "tsv"),
            about=PATHS.figure(6, "provenance.json"),
            script=Path(workflow.basedir) / "analyses/object_rsa/figure.py",
        output:
            PATHS.figure(6, "pdf"),
            PATHS.figure(6, "png"),
            PATHS.figure(6, "json"),
        log:
            PATHS.log("figure6"),
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
        params:
            code=code_digest("plotting"),
        shell:
            "{PYTHON} {input.script:q} {input.values:q} 2>&1 | tee {log}"
