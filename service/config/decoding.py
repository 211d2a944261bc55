"""Decodes values given as text: comma-separated lists, and lists and objects as JSON."""

import types
from typing import Any, Union, get_args, get_origin

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_OPENING = {tuple: "[", dict: "{"}
_NAMES = {tuple: "list", dict: "object"}


def decode(text: str, field: FieldInfo) -> Any:
    """Return the list or object in the text of a field; for any other field, the text itself.

    Raises `ValueError` for malformed JSON; the message shows the expected form and none of the text.
    """
    kind, items = _container(field.annotation)
    if kind is None:
        return text
    if kind is tuple and not _is_object(items) and not text.lstrip().startswith("["):
        return words(text)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not JSON (at character {error.pos + 1}); {_advice(kind, field)}") from None
    if not isinstance(value, list if kind is tuple else kind):
        raise ValueError(f"must be a JSON {_NAMES[kind]}; {_advice(kind, field)}")  # noqa: TRY004  # pydantic's way
    return value


def words(text: str) -> list[str]:
    """Return the words separated by commas."""
    return [word for part in text.split(",") if (word := part.strip())]


def is_list(field: FieldInfo) -> bool:
    """Whether the field is a list, of words or of objects."""
    return _container(field.annotation)[0] is tuple


def _container(annotation: Any) -> tuple[Any, Any]:
    """Return `(tuple, type of its items)`, `(dict, …)`, or `(None, None)` for a scalar."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        found = [_container(one) for one in arguments]
        return next((pair for pair in found if pair[0] is not None), (None, None))
    return (origin, arguments[0]) if origin in _OPENING else (None, None)


def _is_object(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _advice(kind: Any, field: FieldInfo) -> str:
    example = (field.examples or [f"{_OPENING[kind]}…"])[0]
    return f"write {example}"
