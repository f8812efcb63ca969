"""Collect a run's provenance into one document, from every figure back to its queries, and tell it on two pages.

Settings: name, evaluation, headline, min_cell, source {kind, first_day, last_day, window}, lock {sha256, packages},
jobs (the hash of their list). Input: the list of the run's jobs (stamps/jobs/ of the private folder), by which their
records and manifests are found. The document's keys stand in scripts/lib/document.py; it is of class aggregate. The
pages, for the data steward and for the reviewer, are made of it alone.
"""

from lib import document, shards, stage
from lib.files import write_text
from lib.reviewer_page import reviewer
from lib.steward_page import steward


def main(job: stage.Job) -> None:
    run = document.Run(job.path("jobs"), job.path("document").parent, job.settings["min_cell"])
    whole = document.document(run, job.settings)
    pages = {"steward": steward(whole), "reviewer": reviewer(whole)}
    shards.write_json(job.path("document"), whole)
    for name, page in pages.items():
        write_text(job.path(name), page)
    job.say(f"{len(whole['jobs'])} jobs, {len(whole['outputs'])} files, {len(whole['metrics'])} sets of metrics")
    for sentence in whole["standing"]:
        job.say(f"not reproducible as it stands: {sentence}")


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["jobs"], outputs=["document", "steward", "reviewer"])
