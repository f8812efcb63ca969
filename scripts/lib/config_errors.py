"""Faults of a configuration, said so that they can be mended: the key's path, what is wrong, the nearest valid name."""

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class ConfigError(Exception):
    """What is wrong with the configuration, one line a key, ready to print."""


def no_such(name: str, valid: Iterable[str]) -> str:
    """Say that `name` is not among `valid`, with the nearest that is."""
    known = list(valid)
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"there is no {name!r}" + (f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(known)}")


def validated(model: type[Model], raw: dict[str, Any]) -> Model:
    """`raw` (a parsed YAML) as a `model`; raises ConfigError with every fault on a line of its own."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [line for fault in error.errors() for line in _explain(model, fault)]
        raise ConfigError("the configuration has faults:\n  " + "\n  ".join(dict.fromkeys(lines))) from None


def _explain(model: type[BaseModel], fault: Any) -> list[str]:
    path = _key_path(model, fault["loc"])
    where, kind, value = ".".join(path), fault["type"], fault.get("input")
    if kind == "extra_forbidden":
        return [f"{where}: unknown key; {no_such(path[-1], _keys_beside(model, path))}"]
    if kind == "missing":
        return [f"{where}: missing"]
    if kind == "value_error":
        said = str(fault["ctx"]["error"])
        return [f"{where}: {said}"] if where else said.splitlines()
    if isinstance(value, str) and kind in ("float_type", "int_type") and _as_number(value) is not None:
        number = repr(_as_number(value))
        number = number if "." in number else number.replace("e", ".0e")
        return [f"{where}: {value!r} is text to YAML, which wants a point before an exponent; write {number}"]
    return [f"{where}: {fault['msg']}" + (f", not {type(value).__name__}" if kind.endswith("_type") else "")]


def _key_path(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys a user typed, without the names of union members that pydantic adds."""
    path: list[str] = []
    inner: Any = model
    for step in location:
        if isinstance(step, int):
            path.append(str(step))
        elif inner is None:
            continue  # below a leaf: a union member's tag
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            path.append(step)
            field = inner.model_fields.get(step)
            inner = _below(field.annotation) if field else None
        else:  # the key of a dict of blocks
            path.append(step)
            inner = inner.__args__[1] if getattr(inner, "__args__", None) else None
            inner = _below(inner)
    return [step for step in path if step != "[key]"]


def _below(annotation: Any) -> Any:
    """A block, or the dict of blocks, inside an annotation; None for a leaf."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if getattr(annotation, "__origin__", None) is dict:
        return annotation if _below(annotation.__args__[1]) is not None else None
    for argument in getattr(annotation, "__args__", ()):
        found = _below(argument)
        if found is not None:
            return found
    return None


def _keys_beside(model: type[BaseModel], path: list[str]) -> list[str]:
    """The valid keys of the block in which the last key of `path` stands."""
    inner: Any = model
    for key in path[:-1]:
        if key.isdigit():
            continue  # a place in a list of blocks
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            inner = _below(inner.model_fields[key].annotation)
        else:
            inner = _below(inner.__args__[1])
    return list(inner.model_fields)


def _as_number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
