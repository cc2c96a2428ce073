# Figures 6, 14 and 15: model RDMs against people's RDMs, the RDMs themselves, and which differences hold.

if STUDY.objects is not None:

    rule objects:
        output:
            [PATHS.inference(method) for method in STUDY.objects.methods],
            [PATHS.figure(n, kind) for n in (6, 14, 15) for kind in ("tsv", "provenance.json")],
        log:
            PATHS.log("objects"),
        benchmark:
            PATHS.benchmark("objects")
        threads: 1
        resources:
            mem_mb=2000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest("rsa", "datasets", "stats", "workflow/steps/objects.py", *SHARED),
            section=section_digest(STUDY.objects, STUDY.seed),
        shell:
            "{params.step} objects --threads {threads} 2>&1 | tee {log}"

    for NUMBER, SCRIPT in ((6, "figure"), (14, "rdms"), (15, "inference")):

        rule:
            name:
                f"figure{NUMBER}"
            input:
                values=PATHS.figure(NUMBER, "tsv"),
                about=PATHS.figure(NUMBER, "provenance.json"),
                script=local(CALLS.script(f"object_rsa/{SCRIPT}.py")),
            output:
                PATHS.figure(NUMBER, "pdf"),
                PATHS.figure(NUMBER, "png"),
                PATHS.figure(NUMBER, "json"),
            log:
                PATHS.log(f"figure{NUMBER}"),
            benchmark:
                PATHS.benchmark(f"figure{NUMBER}")
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
