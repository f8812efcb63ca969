"""Write the configuration as it was understood: every default filled in, without host paths."""

import yaml

from lib import shards, stage


def main(job: stage.Job) -> None:
    with shards.atomic(job.path("config")) as temporary:
        temporary.write_text(yaml.safe_dump(job.settings, sort_keys=False, allow_unicode=True), encoding="utf-8")


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=[], outputs=["config"])
