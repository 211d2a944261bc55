"""The OpenAPI document: FastAPI's, completed for clients, generators and linters."""

from importlib.metadata import metadata
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from service.http.openapi import flat_models as _flat_models  # noqa: F401  # changes FastAPI
from service.http.openapi import operation_ids
from service.http.openapi.operation_details import (
    BODY_SCHEMA,
    COMPONENTS,
    IsOpen,
    add_models,
    complete,
)

PACKAGE = "slipway"


class WrongValue(BaseModel):
    """What is wrong with one value: of the body by `pointer` (RFC 6901), of a parameter or header by its name."""

    pointer: str | None = Field(default=None, examples=["/price"])
    parameter: str | None = None
    header: str | None = None
    message: str = Field(examples=["must have at most 2 decimal places"])


class Problem(BaseModel):
    """Problem details (RFC 9457). `code` is stable; log lines carry the same `request_id`."""

    type: str = Field(examples=["urn:slipway:problem:not_found"])
    title: str = Field(examples=["Not found."])
    status: int = Field(examples=[404])
    code: str = Field(examples=["not_found"])
    instance: str = Field(examples=["/api/v1/orders/01a21fe4-775e-74d7-9e03-b625b2014eee"])
    request_id: str = Field(examples=["01a21fe477d67de5bf18a5581257cf4f"])
    detail: str | None = Field(default=None, examples=["There is no such order."])
    errors: list[WrongValue] | None = None
    context: Any = None


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return `openapi_extra=` for a hand-written route that reads its body with `read_body`."""
    return {BODY_SCHEMA: model.model_json_schema(ref_template=COMPONENTS + "{model}")}


def install(app: FastAPI, is_open: IsOpen) -> None:
    """Replace the application's OpenAPI document. `is_open` returns whether anonymous callers have these scopes."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, is_open)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI, is_open: IsOpen) -> dict[str, Any]:
    package = metadata(PACKAGE)
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        servers=[{"url": "/"}],
        license_info={"name": package["License-Expression"], "identifier": package["License-Expression"]},
        contact={"name": package["Author"]},
    )
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        components.pop(unused, None)
    add_models(components, Problem.model_json_schema(ref_template=COMPONENTS + "{model}"))
    paths = schema.setdefault("paths", {})
    operation_ids.settle(paths)
    for path in paths.values():
        for operation in path.values():
            complete(operation, components, is_open)
    _describe_tags(schema)
    schema["components"]["schemas"] = dict(sorted(components.items()))
    return schema


def _describe_tags(schema: dict[str, Any]) -> None:
    """List the tags of all operations; tags of hand-written routers may lack a description."""
    described = {tag["name"]: tag for tag in schema.get("tags", ())}
    used = (tag for path in schema["paths"].values() for one in path.values() for tag in one.get("tags", ()))
    for name in used:
        described.setdefault(name, {"name": name, "description": f"{name.replace('-', ' ').capitalize()}."})
    schema["tags"] = sorted(described.values(), key=lambda tag: str(tag["name"]))
