"""Request bodies: media type, strict JSON, then the schema; every value that is wrong is named."""

from collections.abc import Collection, Container
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from service.http import problems, strict_json
from service.http.collector import collector_paused
from service.http.media_types import require_media_type
from service.http.messages import UNKNOWN_FIELD, message_of, place_of
from service.http.problems import MOST_ERRORS, FieldError, pointer

JSON = ("application/json",)
MERGE_PATCH = ("application/merge-patch+json", "application/json")

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M], media_types: Collection[str] = JSON) -> M:
    """The body as `model`. Raises `UnsupportedMediaType`, `InvalidJson` or `ValidationFailed`."""
    require_media_type(request, media_types)
    body = await request.body()
    with collector_paused(len(body)):
        refuse_many_unknown(await strict_json.read(body), known=model.model_fields)
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise problems.ValidationFailed(errors=field_errors(error)) from None


def refuse_many_unknown(document: Any, *, known: Container[str], at: Collection[Any] = ()) -> None:
    """Raise `ValidationFailed` when an object has more unknown members than one answer lists.

    Pydantic describes each of them, which for a megabyte of short names takes a third of a second.
    """
    if not isinstance(document, dict) or len(document) <= MOST_ERRORS:
        return
    unknown = [name for name in document if name not in known]
    if len(unknown) <= MOST_ERRORS:
        return
    raise problems.ValidationFailed(
        errors=[FieldError(UNKNOWN_FIELD, pointer=pointer((*at, name))) for name in unknown[:MOST_ERRORS]]
    )


def field_errors(error: ValidationError) -> list[FieldError]:
    """What Pydantic found, as pointers into the body (RFC 6901)."""
    return [
        FieldError(message_of(item), pointer=pointer(place_of(item)))
        for item in error.errors(include_url=False, include_input=False)
    ]
