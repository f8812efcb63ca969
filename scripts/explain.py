"""Say what a run would do before anything runs: which jobs by rule, why, and what they would take.

    python scripts/explain.py --configfile config/hospital.yaml
    python scripts/explain.py results/hospital/compare/readmission.json --configfile config/hospital.yaml

Run it from the repository's root. What would run Snakemake says (a dry run); why, the records beside the outputs say,
against today's settings and code; what it takes, the records of such jobs. Nothing is run.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from lib import config_files, dry_run, explanation_page
from lib.config_errors import ConfigError
from lib.costs import Costs
from lib.explanation import Explanation
from lib.plan import Plan
from lib.stage import StageError, without_data


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="files or rules, as for snakemake; a whole run")
    parser.add_argument("--configfile", required=True, nargs="+", type=Path, metavar="FILE", help="as for snakemake")
    arguments = parser.parse_args(argv)
    try:
        plan = Plan(config_files.read(arguments.configfile), main_process=False)
        print("\n".join(explained(plan, arguments.configfile, arguments.targets)))
    except dry_run.DryRunError as error:
        print(f"error: snakemake does not get as far as a plan:\n{error}", file=sys.stderr)
        return 1
    except (StageError, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        print(f"error: {without_data(error)}", file=sys.stderr)
        return 70
    return 0


def explained(plan: Plan, configfiles: list[Path], targets: list[str]) -> list[str]:
    """The page's lines."""
    pending = dry_run.pending(configfiles, targets)
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
