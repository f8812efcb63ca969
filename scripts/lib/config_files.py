"""The configuration from its files, for commands beside the workflow."""

from pathlib import Path
from typing import Any

from lib.config import Config
from lib.config_errors import ConfigError, validated


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
