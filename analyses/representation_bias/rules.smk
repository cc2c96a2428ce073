# Figure 25: features of equal computational role and unequal variance, and RSA.

if STUDY.bias is not None:

    rule bias:
        output:
            PATHS.figure(25, "tsv"),
            PATHS.figure(25, "provenance.json"),
        log:
            PATHS.log("bias"),
        benchmark:
            PATHS.benchmark("bias")
        threads: 1
        resources:
            mem_mb=3000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest(
                "rsa",
                "encoding",
                "geometry",
                "spatial",
                "stats",
                "workflow/boolean_networks.py",
                "workflow/steps/bias.py",
                *SHARED,
            ),
            section=section_digest(STUDY.bias, STUDY.seed),
        shell:
            "{params.step} bias --threads {threads} 2>&1 | tee {log}"

    rule figure25:
        input:
            values=PATHS.figure(25, "tsv"),
            about=PATHS.figure(25, "provenance.json"),
            script=local(CALLS.script("representation_bias/figure.py")),
        output:
            PATHS.figure(25, "pdf"),
            PATHS.figure(25, "png"),
            PATHS.figure(25, "json"),
        log:
            PATHS.log("figure25"),
        benchmark:
            PATHS.benchmark("figure25")
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
