"""Write the configuration as it was understood: every default filled in, without host paths."""

import yaml

from lib import stage
from lib.files import write_text


def main(job: stage.Job) -> None:
    write_text(job.path("config"), yaml.safe_dump(job.settings, sort_keys=False, allow_unicode=True))


if __name__ == "__main__":
    stage.run(main, __doc__, inputs=[], outputs=["config"])
