# How every figure came to be, for people who were not there.
# Needs: all that a run makes, and the records beside it.
# Makes: provenance.json; made of it steward.html, reviewer.html and crate.zip; under <results>.


# Runs when any job of the run is asked for otherwise than before, for then some record is new; what the records say of
# times and machines is no reason.
rule provenance:
    input:
        stamp=plan.stamp(
            "provenance",
            "<results>/provenance.json",
            "<results>/steward.html",
            "<results>/reviewer.html",
        ),
        jobs=plan.list_jobs,
        made=behind("dataset", plan.made),
    output:
        document=report(
            "<results>/provenance.json",
            caption="../report/provenance.rst",
            category="Provenance",
            labels={"what": "document"},
        ),
        steward=report(
            "<results>/steward.html",
            caption="../report/steward.rst",
            category="Provenance",
            labels={"what": "for the data steward"},
        ),
        reviewer=report(
            "<results>/reviewer.html",
            caption="../report/reviewer.rst",
            category="Provenance",
            labels={"what": "for the reviewer"},
        ),
    log:
        "<logs>/provenance.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("provenance"),
        code=plan.code("provenance"),
    message:
        "Collecting the provenance of the run"
    shell:
        "logged {log} provenance --settings {params.settings:q} --code {params.code} "
        "--jobs {input.jobs:q} --document {output.document:q} --steward {output.steward:q} --reviewer {output.reviewer:q}"


# What is in it lies beside the document, which waits for all of it and holds its hashes.
rule crate:
    input:
        stamp=plan.stamp("crate", "<results>/crate.zip"),
        documents=rules.provenance.output,
    output:
        crate="<results>/crate.zip",
    log:
        "<logs>/crate.log",
    conda:
        "../../envs/notecast.yaml"
    params:
        settings=plan.settings("crate"),
        code=plan.code("crate"),
    message:
        "Packing the run for a reader"
    shell:
        "logged {log} crate --settings {params.settings:q} --code {params.code} "
        "--documents {input.documents:q} --crate {output.crate:q}"
