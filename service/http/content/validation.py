"""Pydantic validation at bounded cost, however many values of a body are wrong.

Pydantic collects errors without limit. For half a million wrong elements, it takes 160 ms to find the errors and 230 ms
to describe them.
"""

from collections.abc import Collection, Container
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import CoreSchema, SchemaValidator

from service.http.problems import MOST_ERRORS, FieldError, pointer
from service.http.problems.messages import UNKNOWN_FIELD, message_of, place_of

MOST_DESCRIBED = 1000
_LISTS = {"list", "tuple", "set", "frozenset"}
_NO_SCHEMAS = {"config", "default", "expected", "metadata", "serialization"}


@cache
def fail_fast(annotation: Any) -> SchemaValidator:
    """Return a validator of the type whose lists, nested ones included, stop at the first wrong element."""
    return validator_of(TypeAdapter(annotation).core_schema)


def validator_of(schema: CoreSchema) -> SchemaValidator:
    """As `fail_fast`, for a Pydantic schema."""
    # Without the prebuilt validators of nested models.
    return SchemaValidator(cast("CoreSchema", _stopping(schema)), _use_prebuilt=False)


def _stopping(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_stopping(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {key: part if key in _NO_SCHEMAS else _stopping(part) for key, part in schema.items()}
    return {**copy, "fail_fast": True} if copy.get("type") in _LISTS else copy


def too_many(error: ValidationError) -> list[FieldError]:
    """Return one error for the whole body if there are too many to list, otherwise none."""
    if error.error_count() <= MOST_DESCRIBED:
        return []
    return [FieldError(f"has more than {MOST_DESCRIBED} values that are wrong or unknown", pointer="")]


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return Pydantic's errors with pointers into the body (RFC 6901)."""
    return too_many(error) or [
        FieldError(message_of(item), pointer=pointer(place_of(item)))
        for item in error.errors(include_url=False, include_input=False)
    ]


def many_unknown(document: Any, *, known: Container[str], at: Collection[Any] = ()) -> list[FieldError]:
    """Return errors for the unknown members of an object if there are more than a response may list; otherwise none.

    Pydantic would describe each member, which takes a third of a second for a megabyte of short names.
    """
    if not isinstance(document, dict) or len(document) <= MOST_ERRORS:
        return []
    unknown = [name for name in document if name not in known]
    if len(unknown) <= MOST_ERRORS:
        return []
    return [FieldError(UNKNOWN_FIELD, pointer=pointer((*at, name))) for name in unknown[:MOST_ERRORS]]
