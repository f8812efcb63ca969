"""Say what a run would do before anything runs: which jobs by rule, why, and what they would take.

    python scripts/explain.py --configfile config/hospital.yaml
    python scripts/explain.py results/hospital/compare/readmission.json --configfile config/hospital.yaml

Run it from the repository's root. What would run Snakemake says (a dry run); why, the records beside the outputs say,
against today's settings and code; what it takes, the records of such jobs. Nothing is run.
"""

import sys
from collections import Counter
from pathlib import Path

from lib import commands, dry_run, explanation_page
from lib.costs import Costs
from lib.explanation import Explanation
from lib.plan import Plan
from lib.stage import StageError


def main(argv: list[str] | None = None) -> int:
    parser = commands.parser(__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="files or rules, as for snakemake; a whole run")
    arguments = parser.parse_args(argv)

    def explain() -> int:
        plan = Plan(commands.read(arguments.configfile), main_process=False)
        print("\n".join(explained(plan, arguments.configfile, arguments.targets)))
        return 0

    return commands.ended(explain)


def explained(plan: Plan, configfiles: list[Path], targets: list[str]) -> list[str]:
    """The page's lines."""
    try:
        pending = dry_run.pending(configfiles, targets)
    except dry_run.DryRunError as error:
        raise StageError(f"snakemake does not get as far as a plan:\n{error}") from None
    explanation = Explanation(plan, pending, whole=not targets)
    costs = Costs(plan, explanation.planned)
    every = Counter(job.stage for job in explanation.planned)
    told = [costs.of(one.job) for one in explanation.jobs]
    lines = list(explanation_page.page(plan.config.name, explanation.jobs, every, told, explanation.waits))
    if explanation.jobs:
        lines.append(f"to run it: snakemake --cores 4 {' '.join([*targets, '--configfile', *map(str, configfiles)])}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
