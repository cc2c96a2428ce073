# Figures 12 and 13: topological RSA of digits networks, of toys of known topology, and of brains.

if STUDY.topology is not None:

    rule topology:
        output:
            PATHS.figure(12, "tsv"),
            PATHS.figure(12, "provenance.json"),
            PATHS.figure(13, "tsv"),
            PATHS.figure(13, "provenance.json"),
        log:
            PATHS.log("topology"),
        benchmark:
            PATHS.benchmark("topology")
        threads: 1
        resources:
            mem_mb=2000,
            gpu=0,
        params:
            code=code_digest(
                "rsa",
                "datasets",
                "stats",
                "workflow/digits.py",
                "workflow/steps/topology.py",
                *SHARED,
            ),
            section=section_digest(STUDY.topology, STUDY.seed),
        shell:
            "{STEP} topology --threads {threads} --study {STUDY_JSON:q} 2>&1 | tee {log}"

    rule figure12:
        input:
            values=PATHS.figure(12, "tsv"),
            about=PATHS.figure(12, "provenance.json"),
            script=Path(workflow.basedir) / "analyses/topological_rsa/figure.py",
        output:
            PATHS.figure(12, "pdf"),
            PATHS.figure(12, "png"),
            PATHS.figure(12, "json"),
        log:
            PATHS.log("figure12"),
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
        params:
            code=code_digest("plotting"),
        shell:
            "{PYTHON} {input.script:q} {input.values:q} 2>&1 | tee {log}"

    rule figure13:
        input:
            values=PATHS.figure(13, "tsv"),
            about=PATHS.figure(13, "provenance.json"),
            script=Path(workflow.basedir) / "analyses/topological_rsa/known.py",
            shared=Path(workflow.basedir) / "analyses/topological_rsa/figure.py",
        output:
            PATHS.figure(13, "pdf"),
            PATHS.figure(13, "png"),
            PATHS.figure(13, "json"),
        log:
            PATHS.log("figure13"),
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
        params:
            code=code_digest("plotting"),
        shell:
            "{PYTHON} {input.script:q} {input.values:q} 2>&1 | tee {log}"
