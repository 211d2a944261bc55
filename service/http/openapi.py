"""The OpenAPI document: FastAPI's, with problems instead of its own validation errors."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from service.http.problems import MEDIA_TYPE, Problem


class WrongValue(BaseModel):
    """What is wrong with one value: of the body by `pointer` (RFC 6901), of a parameter or header by its name."""

    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    message: str


class ProblemDocument(BaseModel):
    """Problem details (RFC 9457). `code` is stable; log lines carry the same `request_id`."""

    type: str = Field(examples=["urn:slipway:problem:not_found"])
    title: str
    status: int
    code: str = Field(examples=["not_found"])
    instance: str
    request_id: str
    detail: str | None = None
    errors: list[WrongValue] | None = None


def install(app: FastAPI) -> None:
    """Replace the application's OpenAPI document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        components.pop(unused, None)
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    components.update(problem.pop("$defs", {}))
    components["Problem"] = {**problem, "title": "Problem"}
    for path in schema.get("paths", {}).values():
        for operation in path.values():
            _without_frameworks_422(operation)
            _with_all_media_types(operation)
    return schema


def _with_all_media_types(operation: dict[str, Any]) -> None:
    """A body that may come in several media types has one schema for all of them."""
    kinds = operation.pop("x-body-media-types", None)
    if kinds:
        content = operation["requestBody"]["content"]
        (schema,) = content.values()
        operation["requestBody"]["content"] = dict.fromkeys(kinds, schema)


def _without_frameworks_422(operation: dict[str, Any]) -> None:
    """FastAPI adds its own 422 to every operation with a parameter; ours say themselves when they have one."""
    answer = operation.get("responses", {}).get("422")
    if answer is not None and MEDIA_TYPE not in answer.get("content", {}):
        del operation["responses"]["422"]


def responses_of(*classes: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that may answer with these problems."""
    found: dict[int | str, dict[str, Any]] = {}
    for cls in classes:
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        response = found.setdefault(cls.status, {"description": cls.title, "content": content})
        if cls.headers:
            response["headers"] = {name: {"schema": {"type": "string"}} for name in cls.headers}
    return found
