"""Request bodies: media type, strict JSON, then the schema; every value that is wrong is named."""

from collections.abc import Collection
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from service.http import problems, strict_json
from service.http.media_types import require_media_type
from service.http.problems import FieldError

JSON = ("application/json",)
MERGE_PATCH = ("application/merge-patch+json", "application/json")

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M], media_types: Collection[str] = JSON) -> M:
    """The body as `model`. Raises `UnsupportedMediaType`, `InvalidJson` or `ValidationFailed`."""
    require_media_type(request, media_types)
    body = await request.body()
    strict_json.parse(body)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise problems.ValidationFailed(errors=field_errors(error)) from None


def field_errors(error: ValidationError) -> list[FieldError]:
    """What Pydantic found, as pointers into the body (RFC 6901)."""
    return [
        FieldError(item["msg"], pointer=pointer(item["loc"]))
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def pointer(path: Collection[Any]) -> str:
    """A JSON pointer to the value at `path`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
