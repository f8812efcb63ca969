"""The state of a run's trainings at a glance: finished, training (how far, how fast, how long still), stopped, waiting.

    python scripts/status.py --configfile config/hospital.yaml

Read from manifests and logs, so it may be asked at any time, from any machine that sees the folders, and disturbs
nothing. A training whose log has been silent for five minutes has stopped, or its machine has.
"""

import sys
import time
from pathlib import Path

from lib import commands, states
from lib.plan import Plan


def main(argv: list[str] | None = None) -> int:
    arguments = commands.parser(__doc__).parse_args(argv)

    def look() -> int:
        plan = Plan(commands.read(arguments.configfile), main_process=False)
        found = [
            states.of(task, fit, Path(plan.private), Path(plan.results), time.time())
            for task in plan.config.tasks
            for fit in plan.fits
        ]
        print("\n".join(states.page(plan.config.name, found)))
        return 0

    return commands.ended(look)


if __name__ == "__main__":
    sys.exit(main())
