"""The state of a run's trainings at a glance: finished, training (how far, how fast, how long still), stopped, waiting.

    python scripts/status.py --configfile config/hospital.yaml

Read from manifests and logs, so it may be asked at any time, from any machine that sees the folders, and disturbs
nothing. A training whose log has been silent for five minutes has stopped, or its machine has.
"""

import argparse
import sys
import time
from pathlib import Path

from lib import config_files, states
from lib.config_errors import ConfigError
from lib.plan import Plan


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", required=True, nargs="+", type=Path, metavar="FILE", help="as for snakemake")
    try:
        plan = Plan(config_files.read(parser.parse_args(argv).configfile), main_process=False)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = [
        states.of(task, fit, Path(plan.private), Path(plan.results), time.time())
        for task in plan.config.tasks
        for fit in plan.fits
    ]
    print("\n".join(states.page(plan.config.name, found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
