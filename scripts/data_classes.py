"""Write docs/data-classes.md: what class each file of a run is of, from the table in lib.data_classes."""

import argparse
from pathlib import Path

from lib.data_classes import page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data-classes.md"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
