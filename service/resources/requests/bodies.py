"""Reads the bodies of creations, replacements and patches."""

from collections.abc import Collection
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from service.http.content.body import JSON, read_body
from service.http.problems import ValidationFailed
from service.resources.declaration import RestResource
from service.resources.requests.unwritable import report_unwritable
from service.resources.schemas.items import Schemas

MERGE_PATCH = ("application/merge-patch+json", "application/json")

M = TypeVar("M", bound=BaseModel)


async def read_new(request: Request, resource: RestResource, schemas: Schemas) -> BaseModel:
    """Return a whole item. Raises as `read_body` does; fields that only the service sets are named."""
    return await _read(request, schemas.create, resource, JSON, new=True)


async def read_patch(request: Request, resource: RestResource, schemas: Schemas) -> BaseModel:
    """Return a merge patch (RFC 7396). Raises as `read_body` does; fields that cannot change are named."""
    return await _read(request, schemas.patch, resource, MERGE_PATCH, new=False)


async def _read(
    request: Request, model: type[M], resource: RestResource, media_types: Collection[str], *, new: bool
) -> M:
    try:
        return await read_body(request, model, media_types)
    except ValidationFailed as error:
        errors = report_unwritable(error.errors, resource, new=new)
        raise ValidationFailed(errors=errors) from None
