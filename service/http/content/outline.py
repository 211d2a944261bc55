"""Reduces large bodies to an outline, without the parts whose content cannot change the result of validation.

Pydantic parses the text a second time, in one go. For a megabyte of small values that takes up to 180 ms, four times as
long as orjson. The outline is short.
"""

import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import orjson
from pydantic import BaseModel

from service.http.content.validation import fail_fast

M = TypeVar("M", bound=BaseModel)

_DOCUMENTS = (Any, object, dict, list, dict[str, Any], list[Any])
_ONE_VALUE, _LIST, _DOCUMENT, _OTHER = "one value", "list", "document", "other"


def validate_in_outline(model: type[M], document: Any) -> M:
    """Validate the body as `model`. Raises the same `ValidationError` as for the whole document."""
    outline, documents = outlined(model, document)
    item: M = fail_fast(model).validate_json(orjson.dumps(outline))
    put_back(item, documents)
    return item


def outlined(model: type[BaseModel], document: Any) -> tuple[Any, dict[str, Any]]:
    """Return the outline, and the JSON documents removed from it, by field."""
    if not isinstance(document, dict):
        return hollow(document), {}
    shapes = _shapes(model)
    outline = {
        name: _outline(value, *shapes.get(name, (_ONE_VALUE, None))) for name, value in document.items()
    }
    taken = {
        name: document[name] for name, shape in shapes.items() if shape[0] is _DOCUMENT and name in document
    }
    return outline, taken


def put_back(item: BaseModel, documents: Mapping[str, Any]) -> None:
    """Put the removed JSON documents back into the validated item."""
    vars(item).update(documents)


def hollow(value: Any) -> Any:
    """Replace a container by an empty one, if its type is wrong or only its type matters; keep other values."""
    return type(value)() if isinstance(value, dict | list) else value


def _outline(value: Any, shape: str, most: int | None) -> Any:
    if shape is _OTHER:
        return value
    if shape is _LIST and isinstance(value, list):
        # One element too many is refused just like any larger number.
        return [hollow(part) for part in (value if most is None else value[: most + 1])]
    return hollow(value)


@cache
def _shapes(model: type[BaseModel]) -> Mapping[str, tuple[str, int | None]]:
    """Return the shape of each field's values, and the most elements of a list."""
    found = {}
    for name, info in model.model_fields.items():
        shape = _shape(info.annotation)
        if shape is _DOCUMENT and info.metadata:
            shape = _OTHER  # its rules look inside
        bounds = [rule.max_length for rule in info.metadata if hasattr(rule, "max_length")]
        found[name] = shape, min(bounds, default=None)
    return found


def _shape(annotation: Any) -> str:
    annotation = _plain(annotation)
    if annotation in _DOCUMENTS:
        return _DOCUMENT
    if get_origin(annotation) is list:
        return _LIST if _shape(get_args(annotation)[0]) is _ONE_VALUE else _OTHER
    if get_origin(annotation) is Literal:
        return _ONE_VALUE
    if isinstance(annotation, type) and not issubclass(annotation, BaseModel | dict | list | tuple | set):
        return _ONE_VALUE if get_origin(annotation) is None else _OTHER
    return _OTHER


def _plain(annotation: Any) -> Any:
    """The annotation without rules, and without None."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not types.NoneType]
        if len(parts) == 1:
            return _plain(parts[0])
    return annotation
