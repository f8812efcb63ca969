"""What Snakemake itself would run: it alone knows the graph."""

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

PENDING = "update pending"


class DryRunError(Exception):
    """Snakemake ended with an error; its last lines."""


def pending(configfiles: Sequence[Path], targets: Sequence[str] = ()) -> dict[str, str]:
    """The files that would be made, and by which rule. From the table of `--summary`, which is made for machines.

    As with `snakemake -n`, stamps are brought up to date and nothing is run. Jobs behind a checkpoint that has to run
    are not all among them: Snakemake looks at them again when it has run.
    """
    command = [sys.executable, "-m", "snakemake", "--summary", "--nolock", "--cores", "1", *targets]
    command += ["--configfile", *map(str, configfiles)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise DryRunError("\n".join((ended.stdout + ended.stderr).strip().splitlines()[-12:]))
    return parsed(ended.stdout.splitlines())


def parsed(lines: Iterable[str]) -> dict[str, str]:
    """The rows of the table that are pending: output_file, date, rule, log-file(s), status, plan."""
    rows = (line.split("\t") for line in lines)
    return {row[0]: row[2] for row in rows if len(row) == 6 and row[5] == PENDING}
