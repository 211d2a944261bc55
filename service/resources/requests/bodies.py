"""Request bodies: media type, strict JSON, then the schema; every value that is wrong is named."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from service.http import problems, strict_json
from service.http.collector import LARGE, collector_paused
from service.http.media_types import require_media_type
from service.http.messages import UNKNOWN_FIELD
from service.http.problems import FieldError, pointer
from service.http.validation import field_errors, many_unknown
from service.resources.requests.outline import validate_in_outline

JSON = ("application/json",)
FIXED = "cannot be changed"
MERGE_PATCH = ("application/merge-patch+json", "application/json")

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M], media_types: Collection[str] = JSON) -> M:
    """The body as `model`. Raises `UnsupportedMediaType`, `InvalidJson` or `ValidationFailed`."""
    require_media_type(request, media_types)
    body = await request.body()
    with collector_paused(len(body)):
        document = await strict_json.read(body)
        wrong = many_unknown(document, known=model.model_fields)
        try:
            if not wrong and len(body) <= LARGE:
                return model.model_validate_json(body)
            await asyncio.sleep(0)
            if not wrong:
                return validate_in_outline(model, document)
        except ValidationError as error:
            wrong = field_errors(error)
        del document  # a problem being raised would keep it alive, and the collector would traverse it
    raise problems.ValidationFailed(errors=wrong)


def told_fixed(
    errors: Sequence[FieldError], fixed: Iterable[str], at: Sequence[Any] = ()
) -> list[FieldError]:
    """Return the errors of a patch `at` a place in the body. Fields set only at creation are reported as immutable."""
    places = {pointer((*at, name)) for name in fixed}
    return [
        replace(error, message=FIXED) if error.message == UNKNOWN_FIELD and error.pointer in places else error
        for error in errors
    ]
