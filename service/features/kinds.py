"""The types of flag values: how a value is checked, and read from the text of a command."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from enum import StrEnum
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

LONGEST_VALUE = 10_000
"""Bytes of a value as JSON."""
_NOUNS = {bool: "true or false", str: "text", int: "a whole number", float: "a number", list: "a JSON list"}
_NAMES = {bool: "boolean", str: "string", int: "integer", float: "number"}
_BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_WORDS = {"true": True, "on": True, "false": False, "off": False}


class WrongValueError(ValueError):
    """A value that does not have the flag's type. The message continues a sentence: `must be true or false`."""


class Kind:
    """The type of a flag's values, taken from its default: bool, str, enumeration of texts, int, float, dict, list or a
    Pydantic model."""

    def __init__(self, python_type: type, bounds: Sequence[Any] = ()) -> None:
        """`bounds` are Pydantic's metadata, such as `annotated_types.Ge`."""
        self._type = python_type
        self._choices = list(python_type) if issubclass(python_type, StrEnum) else []
        bounded: Any = Annotated[python_type, *bounds] if bounds else python_type
        self._adapter: TypeAdapter[Any] = TypeAdapter(bounded)
        self.name = "string" if self._choices else _NAMES.get(python_type, "json")
        """boolean, string, integer, number or json."""
        self.is_scalar = self.name != "json"

    @classmethod
    def of(cls, default: object) -> "Kind | None":
        """Return the kind of this default; None if no flag can have it."""
        known = isinstance(default, bool | str | int | float | dict | list | BaseModel)
        return cls(type(default)) if known else None

    def check(self, value: JsonValue) -> Any:
        """Return the Python value of a JSON value. Raises `WrongValueError`."""
        if len(orjson.dumps(value)) > LONGEST_VALUE:
            raise WrongValueError(f"must have at most {LONGEST_VALUE} bytes as JSON")
        try:
            # As JSON, so that the fields of a model may be dates or enumerations.
            return self._adapter.validate_json(orjson.dumps(value), strict=True)
        except ValidationError as error:
            raise WrongValueError(self._message(error)) from None

    def parse(self, text: str) -> JsonValue:
        """Return the JSON value that the text of a command means. Raises `WrongValueError`."""
        if self.name == "string":
            return text
        if self._type is bool and text.lower() in _WORDS:
            return _WORDS[text.lower()]
        try:
            value: JsonValue = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise WrongValueError(f"must be {self._noun}") from None
        return value

    def as_json(self, value: Any) -> JsonValue:
        """Return a Python value of this kind as JSON."""
        shown: JsonValue = self._adapter.dump_python(value, mode="json")
        return shown

    def copier(self, value: Any) -> Callable[[], Any]:
        """Return what hands out the value: a caller that changes an object must not change the flag."""
        return (lambda: value) if self.is_scalar else (lambda: deepcopy(value))

    @property
    def _noun(self) -> str:
        return (
            "one of " + ", ".join(self._choices) if self._choices else _NOUNS.get(self._type, "a JSON object")
        )

    def _message(self, error: ValidationError) -> str:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] in _BOUNDS and not first["loc"]:
            return first["msg"].replace("Input should", "must")
        if not first["loc"]:
            return f"must be {self._noun}"
        place = ".".join(str(part) for part in first["loc"])
        return f"is wrong at {place}: {first['msg'][:1].lower()}{first['msg'][1:]}"
