# From predictions to figures that can be recomputed from them.
# Needs: predict/, eligibility/, dataset/; of the windows, who is in them, for the flow and the certificate.
# Makes: everything under <results>, which holds aggregates only.


rule flow:
    input:
        stamp=plan.stamp("flow", "<results>/flow/{task}.json"),
        manifest=behind("inventory", "<private>/eligibility/{task}.json"),
        text_manifests=behind(
            "inventory", "<private>/extract/{cohort}/{window}.text.json"
        ),
        extracts=behind("inventory", "<private>/extract/{cohort}/{window}.labels.json"),
        split_manifests=behind("inventory", "<private>/split/{cohort}/{window}.json"),
        rows=ancient(behind("inventory", "<private>/eligibility/{task}.parquet")),
        labels=ancient(
            behind("inventory", "<private>/extract/{cohort}/{window}.labels.parquet")
        ),
        split=ancient(behind("inventory", "<private>/split/{cohort}/{window}.parquet")),
        texts=ancient(
            behind("inventory", "<private>/extract/{cohort}/{window}.text.parquet")
        ),
    output:
        flow="<results>/flow/{task}.json",
    log:
        "<logs>/flow/{task}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("flow"),
        code=plan.code("flow"),
    message:
        "Counting the cohort flow of {wildcards.task}"
    shell:
        "logged {log} flow --settings {params.settings:q} --code {params.code} "
        "--rows {input.rows:q} --labels {input.labels:q} --split {input.split:q} --texts {input.texts:q} "
        "--extracts {input.extracts:q} --flow {output.flow:q}"


# A checkpoint: certified anew, the data do not train anew.
checkpoint leakage:
    input:
        stamp=plan.stamp(
            "leakage",
            "<results>/leakage/{task}.json",
            "<private>/leakage/{task}.terms.csv",
        ),
        manifest=behind("inventory", "<private>/eligibility/{task}.json"),
        extracts=behind("inventory", "<private>/extract/{cohort}/{window}.text.json"),
        cleaned=behind("inventory", "<private>/clean/{cohort}/{window}.json"),
        duplicates=behind("inventory", "<private>/duplicates/{cohort}.json"),
        rows=ancient(behind("inventory", "<private>/eligibility/{task}.parquet")),
        clean=ancient(behind("inventory", "<private>/clean/{cohort}/{window}.parquet")),
        pairs=ancient(behind("inventory", "<private>/duplicates/{cohort}.parquet")),
    output:
        certificate="<results>/leakage/{task}.json",
        terms="<private>/leakage/{task}.terms.csv",
    log:
        "<logs>/leakage/{task}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("leakage"),
        code=plan.code("leakage"),
    message:
        "Certifying {wildcards.task} against leakage"
    shell:
        "logged {log} leakage --settings {params.settings:q} --code {params.code} "
        "--rows {input.rows:q} --extracts {input.extracts:q} --cleaned {input.cleaned:q} --clean {input.clean:q} "
        "--pairs {input.pairs:q} --duplicates {input.duplicates:q} "
        "--certificate {output.certificate:q} --terms {output.terms:q}"


rule evaluate:
    input:
        stamp=plan.stamp(
            "evaluate", "<results>/evaluate/{task}/{model}/{size}-{seed}.json"
        ),
        manifest=behind(
            "dataset", "<private>/predict/{task}/{model}/{size}-{seed}/manifest.json"
        ),
        predictions=ancient(
            behind(
                "dataset",
                "<private>/predict/{task}/{model}/{size}-{seed}/{part}.parquet",
                part=plan.opened,
            )
        ),
    output:
        metrics="<results>/evaluate/{task}/{model}/{size}-{seed}.json",
    log:
        "<logs>/evaluate/{task}-{model}-{size}-{seed}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("evaluate"),
        code=plan.code("evaluate"),
    message:
        "Evaluating {wildcards.model} for {wildcards.task}, size {wildcards.size}, seed {wildcards.seed}"
    shell:
        "logged {log} evaluate --settings {params.settings:q} --code {params.code} "
        "--predictions {input.predictions:q} --metrics {output.metrics:q}"


rule compare:
    input:
        stamp=plan.stamp(
            "compare", "<results>/compare/{task}.json", "<results>/compare/{task}.csv"
        ),
        manifests=behind("dataset", "<private>/predict/{task}/{fit}/manifest.json"),
        predictions=ancient(
            behind(
                "dataset",
                "<private>/predict/{task}/{fit}/{part}.parquet",
                part=[plan.headline],
            )
        ),
        metrics=behind("dataset", "<results>/evaluate/{task}/{fit}.json"),
    output:
        table="<results>/compare/{task}.json",
        csv=report(
            "<results>/compare/{task}.csv",
            caption="../report/compare.rst",
            category="Models",
            labels={"task": "{task}", "what": "comparison"},
        ),
    log:
        "<logs>/compare/{task}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("compare"),
        code=plan.code("compare"),
    message:
        "Comparing the models of {wildcards.task}"
    shell:
        "logged {log} compare --settings {params.settings:q} --code {params.code} "
        "--predictions {input.predictions:q} --metrics {input.metrics:q} "
        "--table {output.table:q} --csv {output.csv:q}"


rule certificate:
    input:
        stamp=plan.stamp(
            "certificate",
            "<results>/certificate/{task}.json",
            "<results>/certificate/{task}.html",
        ),
        leakage=behind("dataset", "<results>/leakage/{task}.json"),
        models=behind("dataset", plan.fitted),
        parts=behind(
            "dataset",
            "<private>/dataset/{task}/{encoding}/{part}.json",
            part=["train", "tuning"],
        ),
        tokenizers=behind("dataset", "<private>/tokenizers/{tokenizer}/manifest.json"),
        metrics=behind("dataset", "<results>/evaluate/{task}/{fit}.json"),
    output:
        certificate="<results>/certificate/{task}.json",
        page=report(
            "<results>/certificate/{task}.html",
            caption="../report/certificate.rst",
            category="Leakage certificates",
            labels={"task": "{task}"},
        ),
    log:
        "<logs>/certificate/{task}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("certificate"),
        code=plan.code("certificate"),
        openings=f"{plan.private}/openings.jsonl",
    message:
        "Completing the leakage certificate of {wildcards.task}"
    shell:
        "logged {log} certificate --settings {params.settings:q} --code {params.code} "
        "--leakage {input.leakage:q} --models {input.models:q} --parts {input.parts:q} "
        "--tokenizers {input.tokenizers:q} --metrics {input.metrics:q} --openings {params.openings:q} "
        "--certificate {output.certificate:q} --page {output.page:q}"


rule figures:
    input:
        stamp=plan.stamp("figures", "<results>/figures/{task}/roc.svg"),
        metrics=behind("dataset", "<results>/evaluate/{task}/{fit}.json"),
        histories=behind(
            "dataset",
            "<private>/finetune/{task}/{fit}/history.json",
            fit=[fit.path for fit in plan.fits if fit.kind == "transformer"],
        ),
        table=behind("dataset", "<results>/compare/{task}.json"),
        flow=behind("dataset", "<results>/flow/{task}.json"),
    output:
        roc=report(
            "<results>/figures/{task}/roc.svg",
            caption="../report/roc.rst",
            category="Figures",
            subcategory="{task}",
            labels={"figure": "ROC"},
        ),
        precision_recall=report(
            "<results>/figures/{task}/precision_recall.svg",
            caption="../report/precision_recall.rst",
            category="Figures",
            subcategory="{task}",
            labels={"figure": "precision and recall"},
        ),
        calibration=report(
            "<results>/figures/{task}/calibration.svg",
            caption="../report/calibration.rst",
            category="Figures",
            subcategory="{task}",
            labels={"figure": "calibration"},
        ),
        utility=report(
            "<results>/figures/{task}/utility.svg",
            caption="../report/utility.rst",
            category="Figures",
            subcategory="{task}",
            labels={"figure": "decision curve"},
        ),
        training=report(
            "<results>/figures/{task}/training.svg",
            caption="../report/training.rst",
            category="Figures",
            subcategory="{task}",
            labels={"figure": "training"},
        ),
        flow=report(
            "<results>/figures/{task}/flow.svg",
            caption="../report/flow.rst",
            category="Figures",
            subcategory="{task}",
            labels={"figure": "cohort flow"},
        ),
    log:
        "<logs>/figures/{task}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("figures"),
        code=plan.code("figures"),
    message:
        "Drawing the figures of {wildcards.task}"
    shell:
        "logged {log} figures --settings {params.settings:q} --code {params.code} "
        "--metrics {input.metrics:q} --histories {input.histories:q} --table {input.table:q} --flow {input.flow:q} "
        "--roc {output.roc:q} --precision_recall {output.precision_recall:q} --calibration {output.calibration:q} "
        "--utility {output.utility:q} --training {output.training:q} --flow_figure {output.flow:q}"


rule report:
    input:
        stamp=plan.stamp(
            "report",
            "<results>/summary.txt",
            "<results>/summary.csv",
            "<results>/index.html",
        ),
        tables=behind("dataset", "<results>/compare/{task}.json"),
        flows=behind("dataset", "<results>/flow/{task}.json"),
        certificates=behind("dataset", "<results>/leakage/{task}.json"),
        manifests=behind(
            "dataset",
            "<private>/predict/{task}/{fit}/manifest.json",
            fit=[plan.fits[0].path],
        ),
        predictions=ancient(
            behind(
                "dataset",
                "<private>/predict/{task}/{fit}/{part}.parquet",
                fit=[plan.fits[0].path],
                part=[plan.headline],
            )
        ),
        inventories=behind(
            "dataset",
            lambda w: [
                f"{plan.private}/inventory/{cohort}.json" for cohort in plan.cohorts
            ],
        ),
        oracle=ancient(["<private>/oracle.parquet"] if plan.config.source.demo else []),
    output:
        summary="<results>/summary.txt",
        csv=report(
            "<results>/summary.csv",
            caption="../report/summary.rst",
            category="Summary",
            labels={"what": "table"},
        ),
        page=report(
            "<results>/index.html",
            caption="../report/page.rst",
            category="Summary",
            labels={"what": "page"},
        ),
    log:
        "<logs>/report.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("report"),
        code=plan.code("report"),
    message:
        "Writing the report"
    shell:
        "logged {log} report --settings {params.settings:q} --code {params.code} --tables {input.tables:q} "
        "--flows {input.flows:q} --leakage {input.certificates:q} --predictions {input.predictions:q} "
        "--inventories {input.inventories:q} --oracle {input.oracle:q} --summary {output.summary:q} "
        "--csv {output.csv:q} --page {output.page:q}"


rule resolve:
    input:
        stamp=plan.stamp("resolve", "<results>/config.yaml"),
    output:
        config=report(
            "<results>/config.yaml",
            caption="../report/config.rst",
            category="Summary",
            labels={"what": "configuration"},
        ),
    log:
        "<logs>/resolve.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("resolve"),
        code=plan.code("resolve"),
    message:
        "Writing the resolved configuration"
    shell:
        "logged {log} resolve --settings {params.settings:q} --code {params.code} --config {output.config:q}"
