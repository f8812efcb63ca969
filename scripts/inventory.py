"""Take the inventory of a cohort's clean windows: each window's rows and hashes, in one small file.

It is a checkpoint of the workflow: when cleaning runs again and every text comes out as it was, this file is equal
too, and nothing behind it runs.
"""

from lib import shards, stage


def main(job: stage.Job) -> None:
    windows = {path.stem: shards.read_json(path) for path in job.paths("manifests")}
    content = {
        "windows": {name: {key: manifest[key] for key in ("files", "rows")} for name, manifest in windows.items()},
        "rows": sum(manifest["rows"] for manifest in windows.values()),
    }
    shards.write_json(job.path("inventory"), content)
    job.say(f"{content['rows']} stays with a text in {len(windows)} windows")


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["manifests*"], outputs=["inventory"])
