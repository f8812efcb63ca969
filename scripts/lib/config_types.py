"""What the blocks of the configuration are made of."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

Name = Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Count = Annotated[StrictInt, Field(ge=1)]
Days = Annotated[StrictInt, Field(ge=0)]
# 1 and 1.0 are one number, so that writing the other re-runs nothing; True is none.
Number = Annotated[StrictFloat, BeforeValidator(lambda value: float(value) if type(value) is int else value)]
Share = Annotated[Number, Field(ge=0, le=1)]
Variable = Annotated[StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]  # of the environment
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
