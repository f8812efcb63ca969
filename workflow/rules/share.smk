# For a reviewer, if the steward says so: predictions under random keys. Off unless `share.enabled`.
# Needs: predict/, and the groups in the labels of extract/.
# Makes: share/ under <results>; the secret behind its keys stays in <private>/share.key.


rule share:
    input:
        stamp=plan.stamp(
            "share", "<results>/share/{task}.parquet", "<results>/share/{task}.json"
        ),
        manifests=behind("dataset", "<private>/predict/{task}/{fit}/manifest.json"),
        labels_manifests=behind(
            "dataset", "<private>/extract/{cohort}/{window}.labels.json"
        ),
        predictions=ancient(
            behind(
                "dataset",
                "<private>/predict/{task}/{fit}/{part}.parquet",
                part=plan.opened,
            )
        ),
        labels=ancient(
            behind("dataset", "<private>/extract/{cohort}/{window}.labels.parquet")
        ),
    output:
        table="<results>/share/{task}.parquet",
        manifest="<results>/share/{task}.json",
    log:
        "<logs>/share/{task}.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("share"),
        code=plan.code("share"),
        key=f"{plan.private}/share.key",
    message:
        "Sharing the predictions of {wildcards.task} under random keys"
    shell:
        "logged {log} share --settings {params.settings:q} --code {params.code} "
        "--predictions {input.predictions:q} --labels {input.labels:q} --key {params.key:q} "
        "--table {output.table:q} --manifest {output.manifest:q}"
