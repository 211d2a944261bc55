"""A model's field and its column: whether they agree, and the field's types in schemas."""

import types
from collections.abc import Iterable
from enum import Enum
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

import sqlalchemy as sa
from pydantic import Field
from pydantic.fields import FieldInfo
from sqlmodel.main import FieldInfoMetadata

from service.resources.columns import scalars
from service.resources.columns.column_types import kind_of
from service.resources.columns.kind import ColumnError, Kind

LONGEST_LIST = 1000
"""Most elements of an array whose field has no `max_length`."""


def checked_kind(info: FieldInfo, column: sa.Column[Any]) -> Kind:
    """Return the kind of the column. Raises `ColumnError` if the field and the column disagree."""
    kind = kind_of(column.type)
    annotation, _ = without_none(info.annotation)
    if kind.element is not None:
        parts = get_args(annotation) if get_origin(annotation) is list else ()
        fits = len(parts) == 1 and _fits(without_none(parts[0])[0], kind.element)
    else:
        fits = _fits(annotation, kind)
    if not fits:
        raise ColumnError(
            f"is {_name(annotation)} in the model and {kind.name} in the table; make them agree"
        )
    if column.computed is not None and not column.computed.persisted:
        raise ColumnError("is computed when it is read, so history would lack it; use persisted=True")
    return kind


def is_generated(column: sa.Column[Any]) -> bool:
    """Whether only the database sets the value."""
    return column.computed is not None or column.identity is not None


def without_none(annotation: Any) -> tuple[Any, bool]:
    """Return the annotation without `None`, and whether it allowed `None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not types.NoneType]
        if len(parts) == 1:
            return parts[0], True
    return annotation, False


def _fits(annotation: Any, kind: Kind) -> bool:
    annotation = _plain(annotation)
    if kind.is_json:
        return True
    if get_origin(annotation) is Literal:
        words = get_args(annotation)
        enum = kind.annotations == (Enum,)
        return all(isinstance(word, str if enum else kind.annotations) for word in words) and (
            not enum or set(words) <= set(kind.schema["enum"])
        )
    if not isinstance(annotation, type):
        return annotation in kind.annotations
    if kind is scalars.TEXT:
        # Types with a text form: URLs, addresses, paths.
        return not issubclass(annotation, _NO_TEXT)
    if bool in (annotation, *kind.annotations):
        return kind.annotations == (annotation,)
    return issubclass(annotation, kind.annotations)


_NO_TEXT = (
    int,
    float,
    bytes,
    list,
    dict,
    tuple,
    set,
    *scalars.DATE.annotations,
    *scalars.INTERVAL.annotations,
)


def _plain(annotation: Any) -> Any:
    """Return the annotation without constraints and aliases."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        else:
            return annotation


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).removeprefix("typing.")


def input_type(info: FieldInfo, column: sa.Column[Any], kind: Kind) -> Any:
    """Return the field's type for requests, with its own rules and the bounds of its column."""
    annotation = info.annotation
    if kind.element is not None:
        inner, optional = without_none(annotation)
        inner = types.GenericAlias(list, (_checked(get_args(inner)[0], kind.element, ()),))
        annotation = inner | None if optional else inner
    own = [rule for rule in info.metadata if not isinstance(rule, FieldInfoMetadata)]
    length, bound = getattr(column.type, "length", None), max_length(info)
    if kind is scalars.TEXT and length is not None and (bound is None or bound > length):
        own.append(Field(max_length=length))
    if kind.element is not None and bound is None:
        own.append(Field(max_length=LONGEST_LIST))
    return _checked(annotation, kind, own)


def _checked(annotation: Any, kind: Kind, own: Iterable[Any]) -> Any:
    """Return the annotation with its `own` rules between those of its kind."""
    if kind.grammar is not None:
        inner, optional = without_none(annotation)
        inner = Annotated[inner, kind.grammar]
        annotation = inner | None if optional else inner
    rules = (*kind.rules, *own, *kind.before)
    return Annotated[(annotation, *rules)] if rules else annotation


def output_type(info: FieldInfo, kind: Kind) -> Any:
    """Return the field's type for responses, without input rules: stored values may predate them."""
    inner, optional = without_none(info.annotation)
    if kind.shown is not None:
        inner = kind.shown
    elif kind.element is not None and kind.element.shown is not None:
        inner = types.GenericAlias(list, (kind.element.shown,))
    return inner | None if optional else inner


def shown_type(kind: Kind) -> Any:
    """Return the type of a kind in responses, of a value that no field describes."""
    if kind.shown is not None:
        return kind.shown
    if kind.element is not None:
        return types.GenericAlias(list, (shown_type(kind.element),))
    annotation = kind.annotations[0] if kind.annotations else Any
    return str if annotation is Enum else annotation


def max_length(info: FieldInfo, annotation: Any = None) -> int | None:
    """Return the maximum length of a text field, or of an array's elements given their `annotation`; None if
    unbounded."""
    rules = info.metadata if annotation is None else get_args(annotation)[1:]
    bounds = [getattr(rule, "max_length", None) for rule in rules]
    return min((bound for bound in bounds if bound is not None), default=None)
