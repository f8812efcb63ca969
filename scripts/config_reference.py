"""Write what is made from the configuration's model: config/README.md, key by key, and the JSON schema."""

import argparse
import json
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from lib.config import Config

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "config" / "README.md"
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.json"
INTRODUCTION = """# The configuration, key by key

Made from `scripts/lib/config.py` by `make docs`; do not edit it here. `config.yaml` is the embedded demo, commented;
`examples/` holds complete starting points. Without `--configfile` the demo's file is read. A file given with
`--configfile` that has no `source` overlays the demo, key by key; one that has a `source` stands alone, and
`--configfile a.yaml b.yaml` overlays the second on the first. Unknown keys, wrong types and names that refer to
nothing stop the run before it starts, with the key's path.
"""


def kind_of(annotation: Any) -> str:
    """A reader's name for a type: number, text, date, list of ..., block."""
    origin, arguments = getattr(annotation, "__origin__", None), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return kind_of(arguments[0]) if not isinstance(origin, type) else kind_of(origin)
    if type(annotation).__name__ == "_LiteralGenericAlias":
        return " \\| ".join(f"`{argument}`" for argument in arguments)
    if origin is list:
        return f"list of {kind_of(arguments[0])}"
    if origin is dict:
        return f"mapping of name to {kind_of(arguments[1])}"
    if arguments:
        names = list(dict.fromkeys(kind_of(a) for a in arguments if a is not type(None)))
        return " or ".join(name for name in names if name != "whole number" or "number" not in names)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return {"str": "text", "int": "whole number", "float": "number", "bool": "true \\| false", "date": "date"}.get(
        annotation.__name__, annotation.__name__
    )


def default_of(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its defaults"
    return "none" if value is None else f"`{json.dumps(value, default=str, ensure_ascii=False)}`"


def blocks(model: type[BaseModel], found: list[type[BaseModel]]) -> list[type[BaseModel]]:
    """`model` and every block below it, each once, in the order of the configuration."""
    if model in found:
        return found
    found.append(model)
    pending = [field.annotation for field in model.model_fields.values()]
    while pending:
        annotation = pending.pop(0)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            blocks(annotation, found)
        pending = [*get_args(annotation), *pending]
    return found


def readme() -> str:
    lines = [INTRODUCTION]
    for block in blocks(Config, []):
        lines += [f"## {block.__name__}", "", *([block.__doc__, ""] if block.__doc__ else [])]
        lines += ["| key | is | default | means |", "|---|---|---|---|"]
        for name, field in block.model_fields.items():
            kind = kind_of(field.annotation)
            lines.append(f"| `{name}` | {kind} | {default_of(field)} | {field.description} |")
        lines.append("")
    return "\n".join(lines)


def schema() -> str:
    return json.dumps(Config.model_json_schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    README.write_text(readme(), encoding="utf-8")
    SCHEMA.parent.mkdir(exist_ok=True)
    SCHEMA.write_text(schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
