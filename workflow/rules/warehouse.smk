# On demand, of the warehouse itself. `snakemake check_source --cores 1`: what it holds, before anything is pulled from it;
# `snakemake refresh --cores 1`: what has changed in it since it was asked last.
# Needs: the source's database, the cohorts' SELECTs and their companion queries.
# Makes: check_source/ under <results>, and shows it; fetched/ under <private>, which the next run reads.


# Without an output, so that it looks again each time that it is asked for.
rule check_source:
    input:
        database=ancient(behind("demo_hospital", lambda w: plan.database)),
        exclusions=ancient(plan.exclusions),
    log:
        "<logs>/check_source.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("check_source"),
        code=plan.code("check_source"),
        report=f"{plan.results}/check_source/source.json",
        page=f"{plan.results}/check_source/source.txt",
    message:
        "Looking at the source"
    shell:
        "logged {log} check_source --settings {params.settings:q} --code {params.code} "
        "--database {input.database:q} --exclusions {input.exclusions:q} "
        "--report {params.report:q} --page {params.page:q}\n"
        "cat {params.page:q}"


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
        "logged {log} refresh --settings {params.settings:q} --code {params.code} "
        "--database {input.database:q} --fetched {params.fetched:q} "
        "--state {params.fetched:q}/source.json --page {params.fetched:q}/refresh.txt\n"
        "cat {params.fetched:q}/refresh.txt"
