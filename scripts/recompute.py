"""Recompute the metrics of a task from its shared rows, and say whether the published files come out equal.

    python scripts/recompute.py --share results/demo/share/readmission.parquet --results results/demo

The exit status is 1 where a file differs.
"""

import argparse
import sys
from pathlib import Path

from lib.recomputation import recomputed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", required=True, type=Path, metavar="PATH", help="the task's shared rows")
    parser.add_argument("--results", required=True, type=Path, metavar="FOLDER", help="with evaluate/ and compare/")
    arguments = parser.parse_args()
    found = []
    for file, equal in recomputed(arguments.share, arguments.results):
        print(f"{file}: {'equal' if equal else 'differs'}", flush=True)
        found.append(equal)
    sys.exit(0 if all(found) else 1)


if __name__ == "__main__":
    main()
