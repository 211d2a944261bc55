"""Reads the bodies of creations, replacements and patches."""

from pydantic import BaseModel
from starlette.requests import Request

from service.http.content.body import JSON, read_body
from service.http.problems import ValidationFailed
from service.resources.declaration import RestResource
from service.resources.requests.unwritable import report_unwritable
from service.resources.schemas.items import Schemas

MERGE_PATCH = ("application/merge-patch+json", "application/json")


async def read_new(request: Request, resource: RestResource, schemas: Schemas) -> BaseModel:
    """Return a whole item. Raises as `read_body` does; fields that only the service sets are named."""
    try:
        return await read_body(request, schemas.create, JSON)
    except ValidationFailed as error:
        raise _named(error, resource, new=True) from None


async def read_patch(request: Request, resource: RestResource, schemas: Schemas) -> BaseModel:
    """Return a merge patch (RFC 7396). Raises as `read_body` does; fields that cannot change are named."""
    try:
        return await read_body(request, schemas.patch, MERGE_PATCH)
    except ValidationFailed as error:
        raise _named(error, resource, new=False) from None


def _named(error: ValidationFailed, resource: RestResource, *, new: bool) -> ValidationFailed:
    return ValidationFailed(errors=report_unwritable(error.errors, resource, new=new))
