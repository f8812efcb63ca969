"""What the commands beside the workflow share: their configuration, read from its files, and how they fail."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lib.config import Config
from lib.config_errors import ConfigError, validated
from lib.stage import StageError, without_data

UNFORESEEN = 70  # EX_SOFTWARE of sysexits.h, as of a stage


def parser(doc: str | None) -> argparse.ArgumentParser:
    """With the configuration's files, and the command's docstring as its help."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--configfile", required=True, nargs="+", type=Path, metavar="FILE", help="as for snakemake")
    return made


def ended(work: Callable[[], int], fault: int = 1) -> int:
    """The exit status: what `work` returns. Where it fails, one line without data says why, and it is `fault`."""
    try:
        return work()
    except (StageError, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)
        return fault
    except Exception as error:
        print(f"error: {without_data(error)}", file=sys.stderr)
        return UNFORESEEN


def read(files: list[Path]) -> Config:
    """The configuration as the workflow understands it: files overlaid, on the demo's if they have no source."""
    from snakemake.common.configfile import load_configfile
    from snakemake.utils import update_config

    config: dict[str, Any] = {}
    for path in files:
        if not path.is_file():
            raise ConfigError(f"there is no file {path}")
        update_config(config, load_configfile(path))
    if "source" not in config:
        demo = load_configfile("config/config.yaml")
        update_config(demo, config)
        config = demo
    return validated(Config, config)
