"""The OpenAPI document: FastAPI's, with problems instead of its own validation errors."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from service.http import problems
from service.http.problems import MEDIA_TYPE

# JSON in is refused with it (RFC 7493), and PostgreSQL has no place for it.
NO_NUL = r"^[^\u0000]*$"
_TEXT: dict[str, Any] = {"type": "string"}
_NARROWED = {"pattern", "format", "enum", "const"}
_BEFORE_ALL = (
    problems.MalformedRequest,
    problems.RequestTimeout,
    problems.BodyTooLarge,
    problems.TargetTooLong,
    problems.ExpectationFailed,
    problems.HeadersTooLarge,
    problems.InternalError,
    problems.Unavailable,
)
_INTEGER: dict[str, Any] = {"type": "integer", "minimum": 0}
_MORE_HEADERS: dict[int, dict[str, Any]] = {429: {"Retry-After": _INTEGER}, 415: {"Accept": _TEXT}}


class WrongValue(BaseModel):
    """What is wrong with one value: of the body by `pointer` (RFC 6901), of a parameter or header by its name."""

    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    message: str


class Problem(BaseModel):
    """Problem details (RFC 9457). `code` is stable; log lines carry the same `request_id`."""

    type: str = Field(examples=["urn:slipway:problem:not_found"])
    title: str
    status: int
    code: str = Field(examples=["not_found"])
    instance: str
    request_id: str
    detail: str | None = None
    errors: list[WrongValue] | None = None
    context: Any = None


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
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components.update(problem.pop("$defs", {}))
    components["Problem"] = problem
    for path in schema.get("paths", {}).values():
        for operation in path.values():
            _without_frameworks_422(operation)
            _with_all_media_types(operation)
            _with_answers_of_the_edge(operation)
            for text in _texts(operation.get("requestBody", {}), components, set()):
                text["pattern"] = NO_NUL
    return schema


def _texts(node: Any, components: dict[str, Any], seen: set[str]) -> Iterator[dict[str, Any]]:
    """The schemas of texts under `node`, also in components that it refers to, that nothing else narrows."""
    if isinstance(node, dict):
        name = node.get("$ref", "").removeprefix("#/components/schemas/") if "$ref" in node else ""
        if name and name not in seen:
            seen.add(name)
            yield from _texts(components[name], components, seen)
        if node.get("type") == "string" and not node.keys() & _NARROWED:
            yield node
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _texts(child, components, seen)


def _with_answers_of_the_edge(operation: dict[str, Any]) -> None:
    """Any request may be refused before an operation sees it."""
    answers = operation["responses"]
    for status, answer in responses_of(*_BEFORE_ALL).items():
        answers.setdefault(str(status), answer)
    operation["responses"] = dict(sorted(answers.items()))


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


def responses_of(*classes: type[problems.Problem]) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that may answer with these problems."""
    found: dict[int | str, dict[str, Any]] = {}
    for cls in classes:
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        response = found.setdefault(cls.status, {"description": cls.title, "content": content})
        headers = dict.fromkeys(cls.headers, _TEXT) | _MORE_HEADERS.get(cls.status, {})
        if headers:
            response["headers"] = {name: {"schema": schema} for name, schema in headers.items()}
    return found
