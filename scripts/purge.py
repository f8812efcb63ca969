"""Say what holds the patients who opted out, and remove it: shards, predictions, and the models that learned from them.

    python scripts/purge.py --configfile config/hospital.yaml             lists, by kind, with counts
    python scripts/purge.py --configfile config/hospital.yaml --remove    removes, and records it; then run again

Run it from the repository's root, for each configuration that has run. Ids come from a file or standard input, never
from the command line, which others can see; none is printed. docs/withdrawal.md says what remains.
"""

import argparse
import os
import sys
from pathlib import Path

from lib import commands, optouts, purge
from lib.config import Config
from lib.config_errors import ConfigError


def main(argv: list[str] | None = None) -> int:
    arguments = _arguments(argv)
    os.umask(0o077)

    def look() -> int:
        config = commands.read(arguments.configfile)
        private = Path(config.private_root, config.name)
        ids = _ids([arguments.patients] if arguments.patients else _lists(config, private), config.source.id_type)
        purge.run(private, Path("results", config.name), ids, arguments.remove, print)
        return 0

    return commands.ended(look)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = commands.parser(__doc__)
    parser.add_argument("--patients", metavar="FILE", help="ids, one a line; - for standard input (source.exclusions)")
    parser.add_argument("--remove", action="store_true", help="remove what is listed, and record it")
    return parser.parse_args(argv)


def _lists(config: Config, private: Path) -> list[str]:
    """The site's list, and what its warehouse said when `snakemake refresh` asked it last."""
    source, asked = config.source, optouts.answer(private)
    if source.exclusions_sql and not asked.is_file():
        raise ConfigError(optouts.NOT_ASKED)
    return [*filter(None, [source.exclusions]), *([str(asked)] if source.exclusions_sql else [])]


def _ids(lists: list[str], id_type: str) -> list[str]:
    if not lists:
        raise ConfigError("there is no source.exclusions; give --patients FILE")
    try:
        ids = optouts.together(lists, id_type)
    except ValueError as error:
        raise ConfigError(f"the list of patients: {error}") from None
    if not ids:
        raise ConfigError("the list of patients is empty: there is nobody to look for")
    return ids


if __name__ == "__main__":
    sys.exit(main())
