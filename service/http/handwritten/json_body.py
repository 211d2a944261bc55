"""Checks a JSON body that FastAPI validates: its media type, and members that its model does not know."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from fastapi import Request, params
from pydantic import BaseModel, TypeAdapter, ValidationError

from service.http.content.gc_pause import LARGE, collector_paused
from service.http.content.media_types import media_type, require_media_type
from service.http.content.validation import MOST_DESCRIBED, fail_fast, field_errors, many_unknown
from service.http.handwritten.signature import fields_of, names_of
from service.http.problems import FieldError, ValidationFailed, pointer


async def check_json(request: Request, declared: params.Body) -> None:
    """Raise `UnsupportedMediaType` for a type that FastAPI does not read here, and `ValidationFailed` for members
    unknown to the body's model, unless the model sets `extra` itself."""
    if not await request.body() or declared.media_type != "application/json":
        return
    kind = media_type(request.headers.get("content-type", ""))
    if kind is None or not kind.is_json or not kind.is_utf_8:
        require_media_type(request, ("application/json",))
    size, document = len(await request.body()), await request.json()
    if size > LARGE:
        await asyncio.sleep(0)
    with collector_paused(size):
        if errors := _unknown_members(declared.annotation, document, large=size > LARGE):
            raise ValidationFailed(errors=errors)


def _unknown_members(annotation: Any, document: Any, *, large: bool) -> list[FieldError]:
    """Return the errors of a document with unknown members; otherwise FastAPI's own validation reports the errors.

    All errors of a large document are returned here, since FastAPI would describe every wrong value. Raises
    `ValidationFailed` for too many errors to list.
    """
    adapter = _adapter(annotation)
    if large:
        known = fields_of(annotation)
        if errors := many_unknown(document, known=document if known is None else known):
            return errors
        try:
            fail_fast(annotation).validate_python(document)
        except ValidationError as error:
            return field_errors(error)
    try:
        adapter.validate_python(document, extra="forbid")
    except ValidationError as error:
        if error.error_count() > MOST_DESCRIBED and not (
            _sets_extra_somewhere(annotation) and _count_errors(adapter, document) <= MOST_DESCRIBED
        ):
            raise ValidationFailed(f"More than {MOST_DESCRIBED} values are wrong or unknown.") from None
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
    else:
        return []
    unknown = [item for item in wrong if item["type"] == "extra_forbidden"]
    try:
        value = adapter.validate_python(document)
    except ValidationError:
        return []  # FastAPI reports the errors
    return [
        FieldError("This member does not exist.", pointer=pointer(item["loc"]))
        for item in unknown
        if not _sets_extra(value, item["loc"][:-1])
    ]


def _sets_extra(value: Any, path: Sequence[Any]) -> bool:
    """Whether the model at `path` of a valid value sets `extra` itself."""
    for part in path:
        if isinstance(value, BaseModel):
            value = next(_values_named(value, part), value)  # without this field: the tag of a union
        elif isinstance(value, Mapping):
            value = value.get(part, value)
        elif isinstance(value, Sequence) and isinstance(part, int):
            value = value[part]
    return isinstance(value, BaseModel) and "extra" in value.model_config


def _values_named(model: BaseModel, part: Any) -> Iterator[Any]:
    for name, info in type(model).model_fields.items():
        if part in names_of(name, info, type(model)):
            yield getattr(model, name)


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def _count_errors(adapter: TypeAdapter[Any], document: Any) -> int:
    try:
        adapter.validate_python(document)
    except ValidationError as error:
        return error.error_count()
    return 0


@cache
def _sets_extra_somewhere(annotation: Any) -> bool:
    """Whether a model in the type sets `extra` itself, according to Pydantic's schema."""
    return "extra_fields_behavior" in repr(_adapter(annotation).core_schema)
