"""Take the inventory of a cohort's windows: the rows and hashes of its clean texts and of its split, in one small file.

It is a checkpoint of the workflow: when cleaning or splitting runs again and everything comes out as it was, this file
is equal too, and nothing behind it runs.
"""

from lib import shards, stage


def main(job: stage.Job) -> None:
    content = {}
    for kind in ("clean", "split"):
        windows = {path.stem: shards.read_json(path) for path in job.paths(kind)}
        content[kind] = {name: {key: manifest[key] for key in ("files", "rows")} for name, manifest in windows.items()}
    shards.write_json(job.path("inventory"), content)
    texts, stays = (sum(window["rows"] for window in content[kind].values()) for kind in ("clean", "split"))
    job.say(f"{stays} stays, {texts} with a text, in {len(content['clean'])} windows")


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=["clean*", "split*"], outputs=["inventory"])
