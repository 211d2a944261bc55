"""Bodies that FastAPI reads for hand-written routes, checked as strictly as those of generated routes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, params
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import Headers

from service.http.content import strict_json
from service.http.content.gc_pause import LARGE, collector_paused, pause_collector_for_a_turn
from service.http.content.media_types import MediaType, media_type, require_media_type
from service.http.content.validation import MOST_DESCRIBED, fail_fast, field_errors, many_unknown
from service.http.handwritten.strictness import Rules, check_key, check_query, fields_of, names_of, rules_of
from service.http.problems import (
    FieldError,
    MalformedRequest,
    UnsupportedMediaType,
    ValidationFailed,
    pointer,
)

MOST_FIELDS = 1000
"""Most fields in a form, as in Starlette's parsers."""
URL_ENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


class BodyCheck:
    """Checks the body of a hand-written route as it arrives, whether FastAPI or the route reads it."""

    __slots__ = ("_chunks", "_judge")

    def __init__(self, scope: Any) -> None:
        rules = rules_of(scope)
        kind = media_type(Headers(scope=scope).get("content-type", ""))
        self._judge = None if rules is None or rules.any_body or kind is None else _judge_of(kind)
        self._chunks: list[bytes] = []

    async def add(self, chunk: bytes, *, last: bool) -> None:
        """Buffer a chunk; after the last one, check the whole body. Raises `InvalidJson` or `MalformedRequest`."""
        if self._judge is None:
            return
        self._chunks.append(chunk)
        if last and (body := b"".join(self._chunks)):
            self._chunks.clear()
            await self._judge(body)
            if len(body) > LARGE:
                await asyncio.sleep(0)
                pause_collector_for_a_turn()  # in which FastAPI parses the document again


def _is_json(kind: MediaType) -> bool:
    return kind.name == "application/json" or kind.name.endswith("+json")


def _judge_of(kind: MediaType) -> Callable[[bytes], Awaitable[Any]] | None:
    if _is_json(kind):
        return _check_json
    return _check_url_encoded if kind.name == URL_ENCODED else None


async def _check_json(body: bytes) -> None:
    with collector_paused(len(body)):
        _ = await strict_json.read(body)
        del _  # or the collector would traverse it


async def _check_url_encoded(body: bytes) -> None:
    if body.count(b"&") >= MOST_FIELDS:
        raise MalformedRequest(f"The form has more than {MOST_FIELDS} fields.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise MalformedRequest("The form is not UTF-8 in percent-encoding.") from None
    if any("\x00" in text for pair in pairs for text in pair):
        raise MalformedRequest("A text has a NUL character.")


async def check_body(request: Request, rules: Rules) -> None:
    """Raise `UnsupportedMediaType` for a type that FastAPI does not read here, and `ValidationFailed` for members
    unknown to the body's model, unless the model sets `extra` itself."""
    declared = rules.body
    if declared is None or rules.any_body:
        return
    if isinstance(declared, params.Form):
        await _check_form(request, declared)
        return
    if not await request.body() or declared.media_type != "application/json":
        return
    kind = media_type(request.headers.get("content-type", ""))
    if kind is None or not _is_json(kind) or not kind.is_utf_8:
        require_media_type(request, ("application/json",))
    size, document = len(await request.body()), await request.json()
    if size > LARGE:
        await asyncio.sleep(0)
    with collector_paused(size):
        if errors := _unknown_members(declared.annotation, document, large=size > LARGE):
            raise ValidationFailed(errors=errors)


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def _errors(adapter: TypeAdapter[Any], document: Any) -> int:
    try:
        adapter.validate_python(document)
    except ValidationError as error:
        return error.error_count()
    return 0


@cache
def _has_choosers(annotation: Any) -> bool:
    """Whether a model in the type sets `extra` itself, according to Pydantic's schema."""
    return "extra_fields_behavior" in repr(_adapter(annotation).core_schema)


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
            _has_choosers(annotation) and _errors(adapter, document) <= MOST_DESCRIBED
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
        FieldError("There is no such member.", pointer=pointer(item["loc"]))
        for item in unknown
        if not _chosen(value, item["loc"][:-1])
    ]


def _chosen(value: Any, path: Sequence[Any]) -> bool:
    """Whether the model at `path` of a valid value sets `extra` itself."""
    for part in path:
        if isinstance(value, BaseModel):
            value = next(_named(value, part), value)  # without this field: the tag of a union
        elif isinstance(value, Mapping):
            value = value.get(part, value)
        elif isinstance(value, Sequence) and isinstance(part, int):
            value = value[part]
    return isinstance(value, BaseModel) and "extra" in value.model_config


def _named(model: BaseModel, part: Any) -> Iterator[Any]:
    for name, info in type(model).model_fields.items():
        if part in names_of(name, info, type(model)):
            yield getattr(model, name)


async def _check_form(request: Request, declared: params.Form) -> None:
    """As for JSON: known fields only, each once unless it is a list, and no NUL in texts."""
    allowed = (MULTIPART,) if isinstance(declared, params.File) else (URL_ENCODED, MULTIPART)
    kind = media_type(request.headers.get("content-type", ""))
    if kind is None or kind.name not in allowed:
        if {"content-length", "transfer-encoding"}.intersection(request.headers):
            raise UnsupportedMediaType(
                f"Send {' or '.join(allowed)}.", headers={"Accept": ", ".join(allowed)}
            )
        return
    fields = fields_of(declared.annotation)
    given = (await request.form()).multi_items()
    names = [name for name, _ in given]
    wrong = {}
    for name, value in given:
        if fields is not None and name not in fields:
            wrong[name] = "There is no such field."
        elif fields is not None and not fields[name] and names.count(name) > 1:
            wrong[name] = "The field is given twice."
        elif isinstance(value, str) and "\x00" in value:
            wrong[name] = "The value must not have a NUL character."
    if wrong:
        errors = [FieldError(message, pointer=pointer([name])) for name, message in sorted(wrong.items())]
        raise ValidationFailed(errors=errors)


async def check_request(request: Request) -> None:
    """Check a request against the rules of its hand-written route. Raises `InvalidParameter`, `NotFound`,
    `UnsupportedMediaType` or `ValidationFailed`."""
    if (rules := rules_of(request.scope)) is not None:
        check_query(request, rules)
        check_key(request, rules)
        await check_body(request, rules)
