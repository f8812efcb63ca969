"""The facts of a data model and when each becomes known: `point_in_time.yaml` beside its SQL, as data.

workflow/sql/README.md explains the file. It is read while the workflow is parsed: nothing here connects to anything.
The replay (`replay`) takes from a copy of the database what by this file was not known.
"""

from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, StrictStr
from pydantic import model_validator as check

from lib import sqltext
from lib.config_errors import ConfigError, validated
from lib.config_types import Block

NAME = "point_in_time.yaml"
MOMENT = ("data_end", "now", "person", "visit")  # what an expression may ask of the replayed stay


def _expression(sql: str) -> str:
    """Raises ValueError for what is no expression over a row and the replayed stay."""
    kept = sqltext.significant(sql)
    unknown = [name for name in sqltext.parameters_of(sql) if name not in MOMENT]
    if unknown:
        raise ValueError(f"there is no :{unknown[0]}; there is {', '.join(f':{name}' for name in MOMENT)}")
    if not kept or ("sign", ";") in kept:
        raise ValueError("write one SQL expression")
    return sql


def _literal(value: Any) -> Any:
    """YAML reads NULL and 32220 as its own; in SQL they are what they look like."""
    return "NULL" if value is None else str(value) if type(value) is int else value


Expression = Annotated[StrictStr, AfterValidator(_expression)]
Identifier = Annotated[StrictStr, Field(pattern=r"^[A-Za-z_]\w*$")]


class Reopened(Block):
    """Rows known in part: as they stood at :now."""

    when: Expression
    set: dict[Identifier, Annotated[Expression, BeforeValidator(_literal)]] = Field(min_length=1)


class Fact(Block):
    """What of a patient in one table was not known at :now, and what belongs to the coding of the stay itself."""

    table: Identifier
    patient: Expression
    later: Expression | None = None
    coding: Expression | None = None
    reopened: Reopened | None = None

    @check(mode="after")
    def _something(self) -> Self:
        if self.later is None and self.coding is None and self.reopened is None:
            raise ValueError("give later, coding or reopened; a table without any is timeless")
        return self


class PointInTime(Block):
    timeless: list[Identifier] = Field([])
    facts: list[Fact] = Field(min_length=1)


def read(folder: Path) -> dict[str, Any] | None:
    """The checked content of the file in a folder of SQL; None without one. Raises ConfigError for its faults."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{path}: it is not YAML in UTF-8") from None
    try:
        return validated(PointInTime, content).model_dump()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
