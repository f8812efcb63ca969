"""Say whether a run is what its files say: every hash from the metrics back to the extracts, and the figures once more.

    python scripts/verify.py --configfile config/hospital.yaml             a line a finding; exit status 1 with any
    python scripts/verify.py --configfile config/hospital.yaml --source    asks the warehouse for its counts again

Run it from the repository's root, with the run's configuration; it needs no .snakemake/ and writes nothing. A line is
`kind: file: what it should be and is; which metrics stand on it; what to do`, and docs/provenance.md has examples. The
exit status is 0 if nothing was found, 1 if something was, another if it could not be looked for.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import extract
from lib import commands, optouts, reasons, verification, wording
from lib.files import read_json
from lib.findings import SHOWN, Finding
from lib.links import Links
from lib.plan import Plan


def main(argv: list[str] | None = None) -> int:
    arguments = _arguments(argv)

    def verify() -> int:
        plan = Plan(commands.read(arguments.configfile), main_process=False)
        links = Links(plan, _progress)
        more = _source(plan, links) if arguments.source else ()
        return 0 if verification.run(plan, links, print, arguments.intervals, arguments.document, more) else 1

    return commands.ended(verify, fault=2)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = commands.parser(__doc__)
    parser.add_argument("--source", action="store_true", help="ask the warehouse for each window's rows again")
    parser.add_argument("--intervals", action="store_true", help="recompute intervals too, which takes longer")
    parser.add_argument(
        "--document", type=Path, metavar="FILE", help="a copy of provenance.json that was kept elsewhere"
    )
    return parser.parse_args(argv)


def _progress(told: str) -> None:
    print(told, file=sys.stderr, flush=True)


def _source(plan: Plan, links: Links) -> Iterator[Finding]:
    """The rows that each query gives today, window by window, against the manifests of the extracts."""
    database = Path(plan.database)
    listed = Path(plan.exclusions)
    opted_out = frozenset(optouts.read(listed).to_pylist() if listed.is_file() else ())
    for made in links.of("extract"):
        manifest = links.path(made.job.output).with_suffix(".json")
        if not made.record or not manifest.is_file():
            continue  # told by other findings
        settings: dict[str, Any] = json.loads(plan.settings_of(made.stage, made.job.wildcards))
        with extract.asked(database, settings, {}, opted_out) as (extraction, batches):
            rows = sum(batch.num_rows for batch in batches)
        before = read_json(manifest)
        told, today = {"rows": before["rows"], **before["counts"]}, {"rows": rows, **extraction.counts()}
        if changed := list(reasons.differences(told, today)):
            wrong = "; ".join(
                f"{key} {_shown(old, plan)} when extracted, {_shown(new, plan)} now"
                for key, old, new in changed[:SHOWN]
            )
            yield Finding("source", made.job.output, wrong, [made])


def _shown(value: Any, plan: Plan) -> str:
    """A count, unless it is small, for a line may be sent on. A reason that there was not is `none`, and small too."""
    return str(value) if value == 0 or (isinstance(value, int) and value >= plan.config.min_cell) else wording.HIDDEN


if __name__ == "__main__":
    sys.exit(main())
