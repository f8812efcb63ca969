# From clean texts to the rows that each task learns from.
# Needs: clean/, split/ and the labels of extract/.
# Makes: tokenizers/, pretokenize/, duplicates/, eligibility/ and dataset/ under <private>.


rule tokenizer:
    input:
        stamp=plan.stamp(
            "tokenizer",
            "<private>/tokenizers/{tokenizer}/tokenizer.json",
            "<private>/tokenizers/{tokenizer}/manifest.json",
        ),
        clean_manifests=behind("inventory", "<private>/clean/{cohort}/{window}.json"),
        split_manifests=behind("inventory", "<private>/split/{cohort}/{window}.json"),
        clean=ancient(behind("inventory", "<private>/clean/{cohort}/{window}.parquet")),
        split=ancient(behind("inventory", "<private>/split/{cohort}/{window}.parquet")),
        folder=lambda w: plan.local_files("tokenizers", w.tokenizer),
    output:
        tokenizer="<private>/tokenizers/{tokenizer}/tokenizer.json",
        manifest="<private>/tokenizers/{tokenizer}/manifest.json",
    log:
        "<logs>/tokenizer/{tokenizer}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("tokenizer"),
        code=plan.code("tokenizer"),
    message:
        "Training or loading tokenizer {wildcards.tokenizer}"
    shell:
        "logged {log} tokenizer --settings {params.settings:q} --code {params.code} "
        "--clean {input.clean:q} --split {input.split:q} "
        "--tokenizer {output.tokenizer:q} --manifest {output.manifest:q}"


rule pretokenize:
    input:
        stamp=plan.stamp(
            "pretokenize",
            "<private>/pretokenize/{tokenizer}.{max_tokens}/{cohort}/{window}.arrow",
            "<private>/pretokenize/{tokenizer}.{max_tokens}/{cohort}/{window}.json",
        ),
        manifest=behind("inventory", "<private>/clean/{cohort}/{window}.json"),
        shard=ancient(behind("inventory", "<private>/clean/{cohort}/{window}.parquet")),
        tokenizer_manifest="<private>/tokenizers/{tokenizer}/manifest.json",
        tokenizer=ancient("<private>/tokenizers/{tokenizer}/tokenizer.json"),
    output:
        tokens="<private>/pretokenize/{tokenizer}.{max_tokens}/{cohort}/{window}.arrow",
        manifest="<private>/pretokenize/{tokenizer}.{max_tokens}/{cohort}/{window}.json",
    log:
        "<logs>/pretokenize/{tokenizer}.{max_tokens}/{cohort}-{window}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("pretokenize"),
        code=plan.code("pretokenize"),
    message:
        "Tokenizing {wildcards.cohort}, {wildcards.window}"
    shell:
        "logged {log} pretokenize --settings {params.settings:q} --code {params.code} "
        "--shard {input.shard:q} --tokenizer {input.tokenizer:q} "
        "--tokens {output.tokens:q} --manifest {output.manifest:q}"


rule duplicates:
    input:
        stamp=plan.stamp(
            "duplicates",
            "<private>/duplicates/{cohort}.parquet",
            "<private>/duplicates/{cohort}.json",
        ),
        manifests=behind("inventory", "<private>/clean/{cohort}/{window}.json"),
        clean=ancient(behind("inventory", "<private>/clean/{cohort}/{window}.parquet")),
    output:
        pairs="<private>/duplicates/{cohort}.parquet",
        manifest="<private>/duplicates/{cohort}.json",
    log:
        "<logs>/duplicates/{cohort}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("duplicates"),
        code=plan.code("duplicates"),
    message:
        "Looking for near-duplicates in {wildcards.cohort}"
    shell:
        "logged {log} duplicates --settings {params.settings:q} --code {params.code} "
        "--clean {input.clean:q} --pairs {output.pairs:q} --manifest {output.manifest:q}"


rule eligibility:
    input:
        stamp=plan.stamp(
            "eligibility",
            "<private>/eligibility/{task}.parquet",
            "<private>/eligibility/{task}.json",
        ),
        manifests=behind("inventory", "<private>/clean/{cohort}/{window}.json"),
        labels_manifests=behind(
            "inventory", "<private>/extract/{cohort}/{window}.labels.json"
        ),
        split_manifests=behind("inventory", "<private>/split/{cohort}/{window}.json"),
        labels=ancient(
            behind("inventory", "<private>/extract/{cohort}/{window}.labels.parquet")
        ),
        split=ancient(behind("inventory", "<private>/split/{cohort}/{window}.parquet")),
        clean=ancient(behind("inventory", "<private>/clean/{cohort}/{window}.parquet")),
        dropped=ancient(
            behind("inventory", "<private>/clean/{cohort}/{window}.dropped.parquet")
        ),
    output:
        rows="<private>/eligibility/{task}.parquet",
        manifest="<private>/eligibility/{task}.json",
    log:
        "<logs>/eligibility/{task}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("eligibility"),
        code=plan.code("eligibility"),
    message:
        "Deciding who is in for {wildcards.task}"
    shell:
        "logged {log} eligibility --settings {params.settings:q} --code {params.code} "
        "--labels {input.labels:q} --split {input.split:q} --clean {input.clean:q} --dropped {input.dropped:q} "
        "--rows {output.rows:q} --manifest {output.manifest:q}"


# A checkpoint: data that come out equal train nothing again.
checkpoint dataset:
    input:
        stamp=plan.stamp(
            "dataset",
            *expand(
                "<private>/dataset/{{task}}/{{encoding}}/{part}.json", part=plan.parts
            ),
        ),
        rows_manifest="<private>/eligibility/{task}.json",
        manifests=behind("inventory", lambda w: plan.encoded(w, ".json")),
        rows=ancient("<private>/eligibility/{task}.parquet"),
        shards=ancient(behind("inventory", lambda w: plan.encoded(w, ""))),
    output:
        manifests=expand(
            "<private>/dataset/{{task}}/{{encoding}}/{part}.json", part=plan.parts
        ),
        shards=expand(
            "<private>/dataset/{{task}}/{{encoding}}/{part}.arrow", part=plan.parts
        ),
    log:
        "<logs>/dataset/{task}-{encoding}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("dataset"),
        code=plan.code("dataset"),
    message:
        "Assembling the dataset of {wildcards.task} as {wildcards.encoding}"
    shell:
        "logged {log} dataset --settings {params.settings:q} --code {params.code} "
        "--rows {input.rows:q} --shards {input.shards:q} "
        "--manifests {output.manifests:q} --datasets {output.shards:q}"
