"""Request bodies: media type, strict JSON, then the schema; every value that is wrong is named."""

import asyncio
from collections.abc import Collection
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from service.http import problems
from service.http.content import strict_json
from service.http.content.gc_pause import LARGE, collector_paused
from service.http.content.media_types import require_media_type
from service.http.content.outline import validate_in_outline
from service.http.content.validation import field_errors, many_unknown
from service.http.middleware.state import KEY, RequestState

JSON = ("application/json",)

M = TypeVar("M", bound=BaseModel)


async def content_of(request: Request) -> bytes:
    """Return the whole content; the request's own `body()`, `json()` and `stream()` return it afterwards, too.

    Raises `RuntimeError` if the route has consumed the stream: the content will not arrive again.
    """
    state: RequestState = request.scope[KEY]
    if state.content is None:
        state.content = request._body = await _received(request)  # noqa: SLF001  # where Starlette keeps it
    return state.content


async def _received(request: Request) -> bytes:
    """Starlette's `body()` takes longer: it uses an asynchronous generator."""
    # Starlette keeps its own copy, and has no public way to ask.
    if hasattr(request, "_body") or request._stream_consumed:  # noqa: SLF001
        return await request.body()
    chunks: list[bytes] = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def read_body(request: Request, model: type[M], media_types: Collection[str] = JSON) -> M:
    """The body as `model`. Raises `UnsupportedMediaType`, `InvalidJson` or `ValidationFailed`."""
    require_media_type(request, media_types)
    state: RequestState = request.scope[KEY]
    body = state.content
    if body is None:
        body = await content_of(request)
    if len(body) > LARGE:
        return await _read_large(body, model)
    document = strict_json.parse(body)
    try:
        item: M = model.__pydantic_validator__.validate_json(body)  # as `model_validate_json`
    except ValidationError as error:
        wrong = many_unknown(document, known=model.__pydantic_fields__) or field_errors(error)
    else:
        return item
    raise problems.ValidationFailed(errors=wrong)


async def _read_large(body: bytes, model: type[M]) -> M:
    with collector_paused(len(body)):
        document = await strict_json.read(body)
        wrong = many_unknown(document, known=model.model_fields)
        await asyncio.sleep(0)
        try:
            if not wrong:
                return validate_in_outline(model, document)
        except ValidationError as error:
            wrong = field_errors(error)
        del document  # a problem being raised would keep it alive, and the collector would traverse it
    raise problems.ValidationFailed(errors=wrong)
