# Figure 16: voxels of V1 encoded from the movie that was seen.

if STUDY.movie is not None:

    rule movie:
        output:
            PATHS.figure(16, "tsv"),
            PATHS.figure(16, "provenance.json"),
        log:
            PATHS.log("movie"),
        benchmark:
            PATHS.benchmark("movie")
        threads: 1
        resources:
            mem_mb=3000,
            gpu=0,
            runtime=240,
        params:
            step=CALLS.step,
            code=code_digest(
                "encoding",
                "datasets",
                "stats",
                "stimuli",
                "workflow/steps/movie.py",
                *SHARED,
            ),
            section=section_digest(STUDY.movie, STUDY.seed),
        shell:
            "{params.step} movie --threads {threads} 2>&1 | tee {log}"

    rule figure16:
        input:
            values=PATHS.figure(16, "tsv"),
            about=PATHS.figure(16, "provenance.json"),
            script=local(CALLS.script("v1_encoding/figure.py")),
        output:
            PATHS.figure(16, "pdf"),
            PATHS.figure(16, "png"),
            PATHS.figure(16, "json"),
        log:
            PATHS.log("figure16"),
        benchmark:
            PATHS.benchmark("figure16")
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
