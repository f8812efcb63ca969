# From datasets to models and their predictions, one fit (model, training size, seed) a job.
# Needs: dataset/ and, before any training, the task's leakage certificate.
# Makes: finetune/, baseline/, predict/ under <private>.
DATASET = "<private>/dataset/{task}/{encoding}/{part}.json"
SHARDS = "<private>/dataset/{task}/{encoding}/{part}.arrow"
MODEL_FILES = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "manifest.json",
]
BASELINE_FILES = ["model.json", "model.safetensors", "manifest.json"]


rule finetune:
    input:
        stamp=plan.stamp(
            "finetune",
            *expand(
                "<private>/finetune/{{task}}/{{model}}/{{size}}-{{seed}}/{file}",
                file=MODEL_FILES,
            ),
        ),
        manifests=behind("dataset", DATASET, part=["train", "tuning"]),
        shards=ancient(behind("dataset", SHARDS, part=["train", "tuning"])),
        tokenizer=behind(
            "dataset",
            lambda w: f"{plan.private}/tokenizers/{plan.config.models[w.model].tokenizer}/tokenizer.json",
        ),
        start=lambda w: plan.local_files("models", w.model),
        certificate=ancient(behind("dataset", "<results>/leakage/{task}.json")),
    output:
        config="<private>/finetune/{task}/{model}/{size}-{seed}/config.json",
        weights="<private>/finetune/{task}/{model}/{size}-{seed}/model.safetensors",
        tokenizer="<private>/finetune/{task}/{model}/{size}-{seed}/tokenizer.json",
        tokenizer_config="<private>/finetune/{task}/{model}/{size}-{seed}/tokenizer_config.json",
        history="<private>/finetune/{task}/{model}/{size}-{seed}/history.json",
        manifest="<private>/finetune/{task}/{model}/{size}-{seed}/manifest.json",
    log:
        "<logs>/finetune/{task}-{model}-{size}-{seed}.log",
    priority: 10
    conda:
        "../../envs/notecast.yaml"
    threads: lambda w: plan.config.models[w.model].training.cpu_threads
    resources:
        runtime=plan.needs.minutes,
        mem_mb=plan.needs.megabytes,
    params:
        settings=plan.settings("finetune"),
        code=plan.code("finetune"),
        work=f"{plan.private}/store",
    message:
        "Finetuning {wildcards.model} for {wildcards.task}, size {wildcards.size}, seed {wildcards.seed}"
    shell:
        "logged {log} finetune --settings {params.settings:q} --code {params.code} "
        "--train {input.shards[0]:q} --tuning {input.shards[1]:q} --tokenizer {input.tokenizer:q} "
        "--start {input.start:q} --work {params.work:q} --config {output.config:q} --weights {output.weights:q} "
        "--tokenizer_file {output.tokenizer:q} --tokenizer_config {output.tokenizer_config:q} "
        "--history {output.history:q} --manifest {output.manifest:q}"


# What a profile asks for a training (GPUs, their partition) is not for a model that the store has.
plan.needs.spare(workflow.get_rule("finetune"), workflow.resource_settings)


rule baseline:
    input:
        stamp=plan.stamp(
            "baseline",
            *expand(
                "<private>/baseline/{{task}}/{{model}}/{{size}}-{{seed}}/{file}",
                file=BASELINE_FILES,
            ),
        ),
        manifests=behind("dataset", DATASET, part=["train", "tuning"]),
        shards=ancient(behind("dataset", SHARDS, part=["train", "tuning"])),
        certificate=ancient(behind("dataset", "<results>/leakage/{task}.json")),
    output:
        model="<private>/baseline/{task}/{model}/{size}-{seed}/model.json",
        weights="<private>/baseline/{task}/{model}/{size}-{seed}/model.safetensors",
        manifest="<private>/baseline/{task}/{model}/{size}-{seed}/manifest.json",
    log:
        "<logs>/baseline/{task}-{model}-{size}-{seed}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("baseline"),
        code=plan.code("baseline"),
    message:
        "Fitting baseline {wildcards.model} for {wildcards.task}, size {wildcards.size}, seed {wildcards.seed}"
    shell:
        "logged {log} baseline --settings {params.settings:q} --code {params.code} "
        "--train {input.shards[0]:q} --tuning {input.shards[1]:q} "
        "--model {output.model:q} --weights {output.weights:q} --manifest {output.manifest:q}"


rule predict:
    input:
        stamp=plan.stamp(
            "predict",
            *expand(
                "<private>/predict/{{task}}/{{model}}/{{size}}-{{seed}}/{part}.parquet",
                part=plan.opened,
            ),
            "<private>/predict/{task}/{model}/{size}-{seed}/manifest.json",
        ),
        model=behind(
            "dataset", lambda w: plan.model_files(w, MODEL_FILES, BASELINE_FILES)
        ),
        manifests=behind("dataset", DATASET, part=["train", *plan.opened]),
        train=ancient(behind("dataset", SHARDS, part=["train"])),
        parts=ancient(behind("dataset", SHARDS, part=plan.opened)),
    output:
        predictions=expand(
            "<private>/predict/{{task}}/{{model}}/{{size}}-{{seed}}/{part}.parquet",
            part=plan.opened,
        ),
        manifest="<private>/predict/{task}/{model}/{size}-{seed}/manifest.json",
    log:
        "<logs>/predict/{task}-{model}-{size}-{seed}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("predict"),
        code=plan.code("predict"),
        openings=f"{plan.private}/openings.jsonl",
    message:
        "Predicting {wildcards.task} with {wildcards.model}, size {wildcards.size}, seed {wildcards.seed}"
    shell:
        "logged {log} predict --settings {params.settings:q} --code {params.code} "
        "--model {input.model:q} --parts {input.parts:q} --train {input.train:q} "
        "--openings {params.openings:q} --predictions {output.predictions:q} --manifest {output.manifest:q}"


# On demand, where there is a network: `snakemake fetch_models --cores 1`. Without an output, so that it looks again.
rule fetch_models:
    log:
        "<logs>/fetch_models.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("fetch_models"),
        code=plan.code("fetch_models"),
        cache=f"{plan.private}/cache",
    message:
        "Fetching the models that the configuration names"
    shell:
        "logged {log} fetch_models --settings {params.settings:q} --code {params.code} "
        "--cache {params.cache:q}/hub --record {params.cache:q}/models.json --page {params.cache:q}/models.txt\n"
        "cat {params.cache:q}/models.txt"
