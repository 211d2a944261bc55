"""Bodies that FastAPI reads for hand-written routes: as strict as those that generated routes read."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, params
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import Headers

from service.http import strict_json
from service.http.collector import LARGE, collector_paused, pause_collector_for_a_turn
from service.http.handwritten import Rules, check_key, check_query, fields_of, names_of, rules_of
from service.http.media_types import MediaType, media_type, require_media_type
from service.http.problems import (
    FieldError,
    MalformedRequest,
    UnsupportedMediaType,
    ValidationFailed,
    pointer,
)
from service.http.validation import MOST_DESCRIBED, fail_fast, field_errors, many_unknown

MOST_FIELDS = 1000
"""Fields of a form, as Starlette's parsers have it."""
URL_ENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


class BodyCheck:
    """Judges the body of a hand-written route as it arrives, whoever reads it: FastAPI or the route itself."""

    __slots__ = ("_chunks", "_judge")

    def __init__(self, scope: Any) -> None:
        rules = rules_of(scope)
        kind = media_type(Headers(scope=scope).get("content-type", ""))
        self._judge = None if rules is None or rules.any_body or kind is None else _judge_of(kind)
        self._chunks: list[bytes] = []

    async def add(self, chunk: bytes, *, last: bool) -> None:
        """Keep a chunk; with the last one, judge the whole. Raises `InvalidJson` or `MalformedRequest`."""
        if self._judge is None:
            return
        self._chunks.append(chunk)
        if last and (body := b"".join(self._chunks)):
            self._chunks.clear()
            await self._judge(body)
            if len(body) > LARGE:
                await asyncio.sleep(0)
                pause_collector_for_a_turn()  # in which FastAPI reads the document once more


def _is_json(kind: MediaType) -> bool:
    return kind.name == "application/json" or kind.name.endswith("+json")


def _judge_of(kind: MediaType) -> Callable[[bytes], Awaitable[Any]] | None:
    if _is_json(kind):
        return _check_json
    return _check_url_encoded if kind.name == URL_ENCODED else None


async def _check_json(body: bytes) -> None:
    with collector_paused(len(body)):
        _ = await strict_json.read(body)
        del _  # or the collector would walk it


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
    """Raises `UnsupportedMediaType` for content of another type than FastAPI reads here, and `ValidationFailed` for
    members that the body's model does not know. A model that sets `extra` itself has chosen what to do with them."""
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
    """Whether a model in it sets `extra` itself, by what Pydantic made of it."""
    return "extra_fields_behavior" in repr(_adapter(annotation).core_schema)


def _unknown_members(annotation: Any, document: Any, *, large: bool) -> list[FieldError]:
    """What is wrong with the document, if anything in it is unknown; nothing else is worth a second validation.

    Whatever is wrong with a large one is told from here, since FastAPI would describe every wrong value of it.
    Raises `ValidationFailed` for more errors than are worth naming.
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
        return []  # FastAPI names what is wrong
    return [
        FieldError("There is no such member.", pointer=pointer(item["loc"]))
        for item in unknown
        if not _chosen(value, item["loc"][:-1])
    ]


def _chosen(value: Any, path: Sequence[Any]) -> bool:
    """Whether the model at `path` of a valid value sets `extra` itself."""
    for part in path:
        if isinstance(value, BaseModel):
            value = next(_named(value, part), value)  # without such a field: the tag of a union
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
    """As for JSON: known fields only, once each unless they are lists, and no NUL in a text."""
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
    """Hold a request of a hand-written route to the route's rules. Raises `InvalidParameter`, `NotFound`,
    `UnsupportedMediaType` or `ValidationFailed`."""
    if (rules := rules_of(request.scope)) is not None:
        check_query(request, rules)
        check_key(request, rules)
        await check_body(request, rules)
