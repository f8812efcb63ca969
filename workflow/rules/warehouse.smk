# On demand, of the warehouse itself: `snakemake refresh --cores 1`, what has changed since it was asked last.
# Needs: the source's database and the cohorts' companion queries.
# Makes: fetched/ under <private>, which the next run reads.


# Without an output, so that it asks each time.
rule refresh:
    input:
        database=ancient(behind("demo_hospital", lambda w: plan.database)),
    log:
        "<logs>/refresh.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("refresh"),
        code=plan.code("refresh"),
        fetched=f"{plan.private}/fetched",
    message:
        "Asking the warehouse what has changed"
    shell:
        "logged {log} python scripts/refresh.py --settings {params.settings:q} --code {params.code} "
        "--database {input.database:q} --fetched {params.fetched:q} "
        "--state {params.fetched:q}/source.json --page {params.fetched:q}/refresh.txt\n"
        "cat {params.fetched:q}/refresh.txt"
