# Figure 20: people's similarity judgements against human IT, monkey IT and model RDMs.

if STUDY.behaviour is not None:

    rule behaviour:
        output:
            [PATHS.inference(method) for method in STUDY.behaviour.methods],
            PATHS.figure(20, "tsv"),
            PATHS.figure(20, "provenance.json"),
        log:
            PATHS.log("behaviour"),
        benchmark:
            PATHS.benchmark("behaviour")
        threads: 1
        resources:
            mem_mb=2000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest("rsa", "datasets", "stats", "workflow/steps/behaviour.py", *SHARED),
            section=section_digest(STUDY.behaviour, STUDY.seed),
        shell:
            "{params.step} behaviour --threads {threads} 2>&1 | tee {log}"

    rule figure20:
        input:
            values=PATHS.figure(20, "tsv"),
            about=PATHS.figure(20, "provenance.json"),
            script=local(CALLS.script("behaviour/figure.py")),
        output:
            PATHS.figure(20, "pdf"),
            PATHS.figure(20, "png"),
            PATHS.figure(20, "json"),
        log:
            PATHS.log("figure20"),
        benchmark:
            PATHS.benchmark("figure20")
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
