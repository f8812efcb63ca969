"""Pack a run for a reader who has nothing else: its results and its code as a Process Run Crate, in one archive.

Inputs: the provenance document and the pages made with it; with the document lie the results that it names. Only files
of class aggregate and the run's code go in; for what is private stand hashes and counts. docs/crate.md tells what a
reader finds and how he checks it.
"""

from lib import crate, crate_files, crate_page, provenance, shards, stage


def main(job: stage.Job) -> None:
    documents = job.paths("documents")
    document = shards.read_json(documents[0])
    files = crate_files.members(documents, document, provenance.ROOT)
    page = crate_page.page(document, files)
    packed = crate.crate(document, files, page, crate_files.revision_of(provenance.ROOT))
    crate_files.write(job.path("crate"), packed)
    job.say(f"{len(packed)} files, {job.path('crate').stat().st_size:,} bytes")


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["documents*"], outputs=["crate"])
