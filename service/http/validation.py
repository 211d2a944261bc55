"""Validation by Pydantic at a bounded cost, however many values of a body are wrong.

Pydantic has no bound on the errors that it collects. For half a million wrong elements it takes 160 ms to find them
and 230 ms to describe them.
"""

from collections.abc import Collection, Container
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import CoreSchema, SchemaValidator

from service.http.messages import UNKNOWN_FIELD, message_of, place_of
from service.http.problems import MOST_ERRORS, FieldError, pointer

MOST_DESCRIBED = 1000
_LISTS = {"list", "tuple", "set", "frozenset"}
_NO_SCHEMAS = {"config", "default", "expected", "metadata", "serialization"}


@cache
def fail_fast(annotation: Any) -> SchemaValidator:
    """A validator of the type, and of all types within it, whose lists stop at their first wrong element."""
    return validator_of(TypeAdapter(annotation).core_schema)


def validator_of(schema: CoreSchema) -> SchemaValidator:
    """As `fail_fast`, of a schema of Pydantic's."""
    # Not the validators that models within have made already.
    return SchemaValidator(cast("CoreSchema", _stopping(schema)), _use_prebuilt=False)


def _stopping(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_stopping(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {key: part if key in _NO_SCHEMAS else _stopping(part) for key, part in schema.items()}
    return {**copy, "fail_fast": True} if copy.get("type") in _LISTS else copy


def too_many(error: ValidationError) -> list[FieldError]:
    """One error for the whole body when there are too many to describe each, otherwise none."""
    if error.error_count() <= MOST_DESCRIBED:
        return []
    return [FieldError(f"has more than {MOST_DESCRIBED} values that are wrong or unknown", pointer="")]


def field_errors(error: ValidationError) -> list[FieldError]:
    """What Pydantic found, as pointers into the body (RFC 6901)."""
    return too_many(error) or [
        FieldError(message_of(item), pointer=pointer(place_of(item)))
        for item in error.errors(include_url=False, include_input=False)
    ]


def many_unknown(document: Any, *, known: Container[str], at: Collection[Any] = ()) -> list[FieldError]:
    """The unknown members of an object, as many as one answer lists, when there are more; otherwise none.

    Pydantic describes each of them, which for a megabyte of short names takes a third of a second.
    """
    if not isinstance(document, dict) or len(document) <= MOST_ERRORS:
        return []
    unknown = [name for name in document if name not in known]
    if len(unknown) <= MOST_ERRORS:
        return []
    return [FieldError(UNKNOWN_FIELD, pointer=pointer((*at, name))) for name in unknown[:MOST_ERRORS]]
