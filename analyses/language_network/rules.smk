# Figures 1 and 2: language-selective units, and what minimal pairs lose without them; figures 7 to 11: published
# localizers side by side, lesions of several sizes, paradigms, and a second set of units with a second task.
# Lesions are scored in parts, a process each on one thread, into work folders that the steps then read.

for WHAT in ("lesions", "sweep", "paradigms", "dissociation"):
    if getattr(STUDY, WHAT) is None:
        continue
    for PART in range(PARTS):

        rule:
            name:
                f"score_{WHAT}_{PART}"
            input:
                local(PATHS.sources("pairs", "model")),
                PATHS.masks,
            output:
                PATHS.part(WHAT, PART),
            log:
                PATHS.log(f"score_{WHAT}_{PART}"),
            benchmark:
                PATHS.benchmark(f"score_{WHAT}_{PART}")
            threads: 1
            resources:
                mem_mb=4000,
                gpu=0,
                runtime=720,
            params:
                step=CALLS.step,
                code=code_digest(
                    "localization",
                    "extraction",
                    "stats",
                    "stimuli",
                    "workflow/steps/parts.py",
                    "workflow/steps/lesioning.py",
                    f"workflow/steps/{WHAT}.py",
                    *SHARED,
                ),
                section=section_digest(getattr(STUDY, WHAT), STUDY.lesions, STUDY.model, STUDY.seed),
                what=WHAT,
                part=PART,
            shell:
                "{params.step} lesion-part --what {params.what} --part {params.part} --threads {threads}"
                " 2>&1 | tee {log}"


if STUDY.localizer is not None:

    rule localizer:
        input:
            local(PATHS.sources("localizer")),
            [PATHS.activations("localizer", twin) for twin in TWINS],
        output:
            PATHS.masks,
            PATHS.figure(1, "tsv"),
            PATHS.figure(1, "provenance.json"),
        log:
            PATHS.log("localizer"),
        benchmark:
            PATHS.benchmark("localizer")
        threads: 1
        resources:
            mem_mb=4000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest("localization", "stats", "stimuli", "workflow/steps/localizer.py", *SHARED),
            section=section_digest(
                STUDY.localizer, STUDY.seed, STUDY.lesions and str(STUDY.lesions.outlier_factor)
            ),
        shell:
            "{params.step} localizer --threads {threads} 2>&1 | tee {log}"

    rule figure1:
        input:
            values=PATHS.figure(1, "tsv"),
            about=PATHS.figure(1, "provenance.json"),
            script=local(CALLS.script("language_network/figure.py")),
        output:
            PATHS.figure(1, "pdf"),
            PATHS.figure(1, "png"),
            PATHS.figure(1, "json"),
        log:
            PATHS.log("figure1"),
        benchmark:
            PATHS.benchmark("figure1")
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
            runtime=30,
        params:
            python=CALLS.python,
            code=code_digest("plotting"),
        shell:
            "{params.python} {input.script:q} 1 {input.values:q} 2>&1 | tee {log}"


if STUDY.lesions is not None:

    rule lesions:
        input:
            local(PATHS.sources("pairs", "model")),
            PATHS.masks,
            [PATHS.part("lesions", part) for part in range(PARTS)],
        output:
            PATHS.lesion_scores,
            PATHS.figure(2, "tsv"),
            PATHS.figure(2, "provenance.json"),
        log:
            PATHS.log("lesions"),
        benchmark:
            PATHS.benchmark("lesions")
        threads: 1
        resources:
            mem_mb=6000,
            gpu=0,
            runtime=720,
        params:
            step=CALLS.step,
            code=code_digest(
                "localization",
                "extraction",
                "stats",
                "stimuli",
                "workflow/steps/lesions.py",
                "workflow/steps/lesioning.py",
                *SHARED,
            ),
            section=section_digest(STUDY.lesions, STUDY.model, STUDY.seed),
        shell:
            "{params.step} lesions --threads {threads} 2>&1 | tee {log}"

    rule figure2:
        input:
            values=PATHS.figure(2, "tsv"),
            about=PATHS.figure(2, "provenance.json"),
            script=local(CALLS.script("language_network/figure.py")),
        output:
            PATHS.figure(2, "pdf"),
            PATHS.figure(2, "png"),
            PATHS.figure(2, "json"),
        log:
            PATHS.log("figure2"),
        benchmark:
            PATHS.benchmark("figure2")
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
            runtime=30,
        params:
            python=CALLS.python,
            code=code_digest("plotting"),
        shell:
            "{params.python} {input.script:q} 2 {input.values:q} 2>&1 | tee {log}"


if STUDY.presets is not None:

    for TWIN in TWINS:

        rule:
            name:
                f"moments_{TWIN}"
            input:
                local(PATHS.sources("model", "localizer")),
            output:
                [PATHS.moments(reading, TWIN) for reading in PATHS.readings],
            log:
                PATHS.log(f"moments_{TWIN}"),
            benchmark:
                PATHS.benchmark(f"moments_{TWIN}")
            threads: 2
            resources:
                mem_mb=4000,
                gpu=0,
                runtime=240,
            params:
                step=CALLS.step,
                code=code_digest(
                    "extraction", "localization", "stimuli", "workflow/steps/presets.py", *SHARED
                ),
                section=section_digest(STUDY.localizer, STUDY.model, STUDY.presets),
                twin=TWIN,
            shell:
                "{params.step} moments --twin {params.twin} --threads {threads} 2>&1 | tee {log}"

    rule presets:
        input:
            [PATHS.moments(reading, twin) for reading in PATHS.readings for twin in TWINS],
        output:
            [PATHS.figure(n, kind) for n in (7, 8) for kind in ("tsv", "provenance.json")],
        log:
            PATHS.log("presets"),
        benchmark:
            PATHS.benchmark("presets")
        threads: 1
        resources:
            mem_mb=4000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest("localization", "stats", "workflow/steps/presets.py", *SHARED),
            section=section_digest(STUDY.localizer, STUDY.presets, STUDY.seed),
        shell:
            "{params.step} presets --threads {threads} 2>&1 | tee {log}"


if STUDY.sweep is not None:

    rule sweep:
        input:
            local(PATHS.sources("pairs", "model")),
            PATHS.masks,
            PATHS.lesion_scores,
            PATHS.figure(2, "tsv"),
            [PATHS.part("sweep", part) for part in range(PARTS)],
        output:
            PATHS.sweep_scores,
            [PATHS.figure(9, kind) for kind in ("tsv", "provenance.json")],
        log:
            PATHS.log("sweep"),
        benchmark:
            PATHS.benchmark("sweep")
        threads: 1
        resources:
            mem_mb=6000,
            gpu=0,
            runtime=720,
        params:
            step=CALLS.step,
            code=code_digest(
                "localization",
                "extraction",
                "stats",
                "stimuli",
                "workflow/steps/sweep.py",
                "workflow/steps/lesioning.py",
                *SHARED,
            ),
            section=section_digest(
                STUDY.sweep, STUDY.lesions, STUDY.localizer.fraction, STUDY.model, STUDY.seed
            ),
        shell:
            "{params.step} sweep --threads {threads} 2>&1 | tee {log}"


if STUDY.paradigms is not None:

    rule paradigms:
        input:
            local(PATHS.sources("pairs", "model")),
            PATHS.masks,
            PATHS.lesion_scores,
            [PATHS.part("paradigms", part) for part in range(PARTS)],
        output:
            PATHS.paradigm_scores,
            [PATHS.figure(10, kind) for kind in ("tsv", "provenance.json")],
        log:
            PATHS.log("paradigms"),
        benchmark:
            PATHS.benchmark("paradigms")
        threads: 1
        resources:
            mem_mb=4000,
            gpu=0,
            runtime=720,
        params:
            step=CALLS.step,
            code=code_digest(
                "localization",
                "extraction",
                "stats",
                "stimuli",
                "workflow/steps/paradigms.py",
                "workflow/steps/sweep.py",
                "workflow/steps/lesioning.py",
                *SHARED,
            ),
            section=section_digest(STUDY.paradigms, STUDY.lesions, STUDY.model, STUDY.seed),
        shell:
            "{params.step} paradigms --threads {threads} 2>&1 | tee {log}"


if STUDY.dissociation is not None:

    rule dissociation:
        input:
            local(PATHS.sources("pairs", "model")),
            PATHS.masks,
            [PATHS.part("dissociation", part) for part in range(PARTS)],
        output:
            [PATHS.task_scores(task) for task in ("pairs", "sequences")],
            [PATHS.figure(11, kind) for kind in ("tsv", "provenance.json")],
        log:
            PATHS.log("dissociation"),
        benchmark:
            PATHS.benchmark("dissociation")
        threads: 1
        resources:
            mem_mb=6000,
            gpu=0,
            runtime=720,
        params:
            step=CALLS.step,
            code=code_digest(
                "localization",
                "extraction",
                "stats",
                "stimuli",
                "workflow/steps/dissociation.py",
                "workflow/steps/lesioning.py",
                *SHARED,
            ),
            section=section_digest(STUDY.dissociation, STUDY.lesions, STUDY.model, STUDY.seed),
        shell:
            "{params.step} dissociation --threads {threads} 2>&1 | tee {log}"


for NUMBER, SCRIPT in ((7, "presets"), (8, "presets"), (9, "sweep"), (10, "paradigms"), (11, "dissociation")):
    if NUMBER not in PATHS.figures():
        continue

    rule:
        name:
            f"figure{NUMBER}"
        input:
            values=PATHS.figure(NUMBER, "tsv"),
            about=PATHS.figure(NUMBER, "provenance.json"),
            script=local(CALLS.script(f"language_network/{SCRIPT}.py")),
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
            number=NUMBER,
        shell:
            "{params.python} {input.script:q} {params.number} {input.values:q} 2>&1 | tee {log}"
