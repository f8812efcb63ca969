# From the warehouse to clean texts and assigned patients, one window a job.
# Needs: the source's database and the cohort's two SELECTs.
# Makes: extract/, clean/, split/ under <private>: shards, their manifests; and inventory/, a file a cohort.
# On demand, `snakemake replay`: that no input sees the future, under <results>/replay/.


checkpoint demo_hospital:
    input:
        stamp=plan.stamp(
            "demo_hospital", "<private>/hospital.sqlite", "<private>/hospital.json"
        ),
    output:
        database="<private>/hospital.sqlite",
        oracle="<private>/oracle.parquet",
        manifest="<private>/hospital.json",
    log:
        "<logs>/demo_hospital.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("demo_hospital"),
        code=plan.code("demo_hospital"),
    message:
        "Generating the demo hospital"
    shell:
        "logged {log} demo_hospital --settings {params.settings:q} --code {params.code} "
        "--database {output.database:q} --oracle {output.oracle:q} --manifest {output.manifest:q}"


# The database is `ancient`: it grows, and a window is extracted again when its own settings say so. So is the list of
# those who opted out: whether a window still holds one of them is for `inventory` to say. What was fetched is remembered
# beside the outputs, which Snakemake deletes before they are made again.
rule extract:
    input:
        stamp=plan.stamp(
            "extract",
            "<private>/extract/{cohort}/{window}.{kind}.parquet",
            "<private>/extract/{cohort}/{window}.{kind}.json",
        ),
        database=ancient(behind("demo_hospital", lambda w: plan.database)),
        exclusions=ancient(plan.exclusions),
    output:
        shard="<private>/extract/{cohort}/{window}.{kind}.parquet",
        manifest="<private>/extract/{cohort}/{window}.{kind}.json",
    log:
        "<logs>/extract/{cohort}-{window}-{kind}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("extract"),
        code=plan.code("extract"),
        fetched=lambda w: f"{plan.private}/fetched/{w.cohort}/{w.window}.{w.kind}.parquet",
    message:
        "Extracting {wildcards.kind} of {wildcards.cohort}, {wildcards.window}"
    shell:
        "logged {log} extract --settings {params.settings:q} --code {params.code} "
        "--database {input.database:q} --exclusions {input.exclusions:q} --fetched {params.fetched:q} "
        "--shard {output.shard:q} --manifest {output.manifest:q}"


rule clean:
    input:
        stamp=plan.stamp(
            "clean",
            "<private>/clean/{cohort}/{window}.parquet",
            "<private>/clean/{cohort}/{window}.dropped.parquet",
            "<private>/clean/{cohort}/{window}.json",
        ),
        manifest="<private>/extract/{cohort}/{window}.text.json",
        text=ancient("<private>/extract/{cohort}/{window}.text.parquet"),
    output:
        shard="<private>/clean/{cohort}/{window}.parquet",
        dropped="<private>/clean/{cohort}/{window}.dropped.parquet",
        manifest="<private>/clean/{cohort}/{window}.json",
    log:
        "<logs>/clean/{cohort}-{window}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("clean"),
        code=plan.code("clean"),
    message:
        "Cleaning {wildcards.cohort}, {wildcards.window}"
    shell:
        "logged {log} clean --settings {params.settings:q} --code {params.code} --text {input.text:q} "
        "--shard {output.shard:q} --dropped {output.dropped:q} --manifest {output.manifest:q}"


rule split:
    input:
        stamp=plan.stamp(
            "split",
            "<private>/split/{cohort}/{window}.parquet",
            "<private>/split/{cohort}/{window}.json",
        ),
        manifest="<private>/extract/{cohort}/{window}.labels.json",
        labels=ancient("<private>/extract/{cohort}/{window}.labels.parquet"),
    output:
        shard="<private>/split/{cohort}/{window}.parquet",
        manifest="<private>/split/{cohort}/{window}.json",
    log:
        "<logs>/split/{cohort}-{window}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("split"),
        code=plan.code("split"),
    message:
        "Splitting {wildcards.cohort}, {wildcards.window}"
    shell:
        "logged {log} split --settings {params.settings:q} --code {params.code} --labels {input.labels:q} "
        "--shard {output.shard:q} --manifest {output.manifest:q}"


# What it remembers outlives the run, so it is no output: Snakemake deletes those before it makes them.
rule ledger:
    input:
        stamp=plan.stamp("ledger", "<private>/ledger/{cohort}.json"),
        manifests=lambda w: plan.files("<private>/split/{cohort}/{window}.json", w),
        split=ancient(
            lambda w: plan.files("<private>/split/{cohort}/{window}.parquet", w)
        ),
    output:
        manifest="<private>/ledger/{cohort}.json",
    log:
        "<logs>/ledger/{cohort}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("ledger"),
        code=plan.code("ledger"),
        work=lambda w, output: str(Path(output.manifest).parent),
    message:
        "Comparing the split of {wildcards.cohort} with its ledger"
    shell:
        "logged {log} ledger --settings {params.settings:q} --code {params.code} "
        "--split {input.split:q} --work {params.work:q} --manifest {output.manifest:q}"


# A checkpoint, so that a change of cleaning or splitting that changes nothing ends here; and so does a run on patients
# who have opted out.
checkpoint inventory:
    input:
        stamp=plan.stamp("inventory", "<private>/inventory/{cohort}.json"),
        clean=lambda w: plan.files("<private>/clean/{cohort}/{window}.json", w),
        split=lambda w: plan.files("<private>/split/{cohort}/{window}.json", w),
        ledger="<private>/ledger/{cohort}.json",
        exclusions=plan.exclusions,
        manifests=lambda w: plan.files(
            "<private>/extract/{cohort}/{window}.{kind}.json",
            w,
            kind=["text", "labels"],
        ),
        extracts=ancient(
            lambda w: plan.files(
                "<private>/extract/{cohort}/{window}.{kind}.parquet",
                w,
                kind=["text", "labels"],
            )
        ),
    output:
        inventory="<private>/inventory/{cohort}.json",
    log:
        "<logs>/inventory/{cohort}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("inventory"),
        code=plan.code("inventory"),
    message:
        "Taking the inventory of {wildcards.cohort}"
    shell:
        "logged {log} inventory --settings {params.settings:q} --code {params.code} "
        "--clean {input.clean:q} --split {input.split:q} --extracts {input.extracts:q} "
        "--manifests {input.manifests:q} --exclusions {input.exclusions:q} --inventory {output.inventory:q}"


# Asks the database again on a copy without the future; `ancient`, as for extract.
rule replay_cohort:
    input:
        stamp=plan.stamp("replay", "<results>/replay/{cohort}.json"),
        database=ancient(behind("inventory", lambda w: plan.database)),
        manifests=behind(
            "inventory",
            "<private>/extract/{cohort}/{window}.{kind}.json",
            kind=["text", "labels"],
        ),
        texts=ancient(
            behind("inventory", "<private>/extract/{cohort}/{window}.text.parquet")
        ),
        labels=ancient(
            behind("inventory", "<private>/extract/{cohort}/{window}.labels.parquet")
        ),
    output:
        certificate="<results>/replay/{cohort}.json",
    log:
        "<logs>/replay/{cohort}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("replay"),
        code=plan.code("replay"),
        work=lambda w: f"{plan.private}/tmp/replay-{w.cohort}",
    message:
        "Replaying {wildcards.cohort} without the future"
    shell:
        "logged {log} replay --settings {params.settings:q} --code {params.code} "
        "--database {input.database:q} --texts {input.texts:q} --labels {input.labels:q} --work {params.work:q} "
        "--certificate {output.certificate:q}"


rule replay:
    input:
        expand(rules.replay_cohort.output, cohort=plan.config.cohorts),
