# Figure 21: the user's own data against model RDMs and the layers of a network.

if STUDY.own is not None:
    OWN_FILES = PATHS.own_files()
    OWN_LAYERS = [PATHS.activations("own", twin) for twin in TWINS] if STUDY.own.network else []
    OWN_STEPS = ("workflow/steps/own.py", "workflow/steps/own_models.py")
    OWN_CODE = ("datasets", "stimuli", *OWN_STEPS, *SHARED)

    if STUDY.own.network and takes(workflow, OWN_LAYERS[0]):

        rule own_activations:
            input:
                local(OWN_FILES[:2]),
                local(PATHS.sources("model")),
            output:
                OWN_LAYERS,
            log:
                PATHS.log("own_activations"),
            benchmark:
                PATHS.benchmark("own_activations")
            threads: 1
            resources:
                mem_mb=4000,
                gpu=0,
                runtime=240,
            params:
                step=CALLS.step,
                code=code_digest("extraction", *OWN_CODE),
            shell:
                "{params.step} own-activations --threads {threads} 2>&1 | tee {log}"

    rule own_rdms:
        input:
            local(OWN_FILES),
        output:
            PATHS.own_rdms,
        log:
            PATHS.log("own_rdms"),
        benchmark:
            PATHS.benchmark("own_rdms")
        threads: 1
        resources:
            mem_mb=4000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest("rsa", "stats", *OWN_CODE),
            section=section_digest(
                STUDY.own.metric,
                STUDY.own.noise,
                str(STUDY.own.rois),
                str(STUDY.own.window),
            ),
        shell:
            "{params.step} own-rdms --threads {threads} 2>&1 | tee {log}"

    rule own_rsa:
        input:
            PATHS.own_rdms,
            OWN_LAYERS,
            local(PATHS.sources("own")),
        output:
            PATHS.figure(21, "tsv"),
            PATHS.figure(21, "provenance.json"),
        log:
            PATHS.log("own_rsa"),
        benchmark:
            PATHS.benchmark("own_rsa")
        threads: 1
        resources:
            mem_mb=2000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest("rsa", "stats", *OWN_CODE),
            section=section_digest(STUDY.own, STUDY.seed),
        shell:
            "{params.step} own-rsa --threads {threads} 2>&1 | tee {log}"

    rule figure21:
        input:
            values=PATHS.figure(21, "tsv"),
            about=PATHS.figure(21, "provenance.json"),
            script=local(CALLS.script("own_data/figure.py")),
        output:
            PATHS.figure(21, "pdf"),
            PATHS.figure(21, "png"),
            PATHS.figure(21, "json"),
        log:
            PATHS.log("figure21"),
        benchmark:
            PATHS.benchmark("figure21")
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
