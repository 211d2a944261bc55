"""Formats errors of settings: one line each, with the variable, the place in a list, and what the value must be.

The lines never show the value, which may be a secret in the wrong place.
"""

import dataclasses
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from service.config.decoding import is_list
from service.config.group import PREFIX, Group
from service.config.settings import Settings

_BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"}
_WORDS = {Ge: "at least", Gt: "over", Le: "at most", Lt: "under"}
_FIXED = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "bool_parsing": "must be true or false",
    "path_not_file": "must be the path of a file that exists",
    "string_type": "must be text",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "tuple_type": "must be a list",
}


def variable(*path: str) -> str:
    """Return the environment variable of a field: `variable("database", "host")` is `SLIPWAY_DATABASE__HOST`."""
    return PREFIX + "__".join(path).upper()


def lines(error: ValidationError, settings: type[Settings]) -> list[str]:
    """Return a line for each error, in the order of the settings."""
    return [_line(one, settings) for one in error.errors(include_input=False) if not is_unknown(one)]


def is_unknown(error: ErrorDetails) -> bool:
    """Whether the error is an unknown setting."""
    return error["type"] == "extra_forbidden" and len(error["loc"]) == 2  # noqa: PLR2004  # group and field


def _line(error: ErrorDetails, settings: type[Settings]) -> str:
    group, *path = error["loc"]
    if not path:
        return f"{variable(str(group))}: must be a JSON object with the fields of the group"
    field = _field(settings, str(group), str(path[0]))
    place = variable(str(group), str(path[0])) + _place(field, path[1:])
    return f"{place}: {_message(error, field if len(path) == 1 else None)}"


def _field(settings: type[Settings], group: str, name: str) -> FieldInfo | None:
    default = settings.model_fields[group].default
    return type(default).model_fields.get(name) if isinstance(default, Group) else None


def _place(field: FieldInfo | None, rest: list[int | str]) -> str:
    """Return a place in a list or an object as text, such as ` entry 2, audience`."""
    if not rest:
        return ""
    if field is not None and is_list(field) and isinstance(rest[0], int):
        first, rest = f" entry {rest[0] + 1}", rest[1:]
        return first + (f", {'.'.join(map(str, rest))}" if rest else "")
    return f" {'.'.join(map(str, rest))}"


def _message(error: ErrorDetails, field: FieldInfo | None) -> str:
    kind = error["type"]
    if kind in _FIXED:
        return _FIXED[kind]
    if field is not None and (kind.startswith(("int_", "float_")) or kind in _BOUNDS):
        return _number(field)
    if kind in {"enum", "literal_error"}:
        return f"must be one of {error.get('ctx', {}).get('expected', '')}"
    text = error["msg"].removeprefix("Value error, ").partition(", unable to parse")[0]
    return text.replace("Input should be", "must be").replace("String should", "must")


def _number(field: FieldInfo) -> str:
    """Return what a number must be, such as `must be a whole number, at least 1, at most 65535`."""
    noun = "a whole number" if field.annotation is int else "a number"
    bounds = [f"{_WORDS[type(bound)]} {_value(bound)}" for bound in field.metadata if type(bound) in _WORDS]
    return ", ".join([f"must be {noun}", *bounds])


def _value(bound: Any) -> str:
    return str(dataclasses.astuple(bound)[0])
