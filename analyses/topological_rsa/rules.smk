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
            runtime=240,
        params:
            step=CALLS.step,
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
            "{params.step} topology --threads {threads} 2>&1 | tee {log}"

    rule figure12:
        input:
            values=PATHS.figure(12, "tsv"),
            about=PATHS.figure(12, "provenance.json"),
            script=local(CALLS.script("topological_rsa/figure.py")),
        output:
            PATHS.figure(12, "pdf"),
            PATHS.figure(12, "png"),
            PATHS.figure(12, "json"),
        log:
            PATHS.log("figure12"),
        benchmark:
            PATHS.benchmark("figure12")
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

    rule figure13:
        input:
            values=PATHS.figure(13, "tsv"),
            about=PATHS.figure(13, "provenance.json"),
            script=local(CALLS.script("topological_rsa/known.py")),
            shared=local(CALLS.script("topological_rsa/figure.py")),
        output:
            PATHS.figure(13, "pdf"),
            PATHS.figure(13, "png"),
            PATHS.figure(13, "json"),
        log:
            PATHS.log("figure13"),
        benchmark:
            PATHS.benchmark("figure13")
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
