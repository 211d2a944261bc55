"""What FastAPI leaves out of operations in the OpenAPI document: scopes, bodies, responses of the edge."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from service.http import problems
from service.http.problems import MEDIA_TYPE

Json = dict[str, Any]
IsOpen = Callable[[Sequence[str]], bool]

COMPONENTS = "#/components/schemas/"
# JSON input with it is refused (RFC 7493), and PostgreSQL cannot store it.
NO_NUL = r"^[^\u0000]*$"
# Members of `openapi_extra` on their way to where they belong in the document.
BODY_MEDIA_TYPE, BODY_SCHEMA = "x-body-media-type", "x-body-schema"

_TEXT: Json = {"type": "string"}
_NARROWED = {"pattern", "format", "enum", "const", "contentMediaType"}
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
_OF_BODIES = (problems.UnsupportedMediaType, problems.ValidationFailed)
_INTEGER: Json = {"type": "integer", "minimum": 0}
_MORE_HEADERS: dict[int, Json] = {429: {"Retry-After": _INTEGER}, 415: {"Accept": _TEXT}}


def complete(operation: Json, components: Json, is_open: IsOpen) -> None:
    """Complete one operation in place; schemas that only this operation needs are added to `components`.

    `is_open` returns whether anonymous callers have these scopes.
    """
    _without_frameworks_422(operation)
    _with_body(operation, components)
    _with_responses_of_the_edge(operation)
    _with_scopes(operation, is_open)
    _with_plain_parameters(operation)
    _with_named_choices(operation, components)
    for text in _texts(operation.get("requestBody", {}), components, set()):
        text["pattern"] = NO_NUL


def add_models(components: Json, schema: Json) -> None:
    """Add a model's JSON schema, and the schemas it refers to, to the components."""
    components.update(schema.pop("$defs", {}))
    components[schema["title"]] = schema


def responses_of(*classes: type[problems.Problem]) -> dict[int | str, Json]:
    """`responses=` of a route that may return these problems."""
    found: dict[int | str, Json] = {}
    for cls in classes:
        content = {MEDIA_TYPE: {"schema": {"$ref": f"{COMPONENTS}Problem"}}}
        response = found.setdefault(cls.status, {"description": cls.title, "content": content})
        headers = dict.fromkeys(cls.headers, _TEXT) | _MORE_HEADERS.get(cls.status, {})
        if headers:
            response["headers"] = {name: {"schema": schema} for name, schema in headers.items()}
    return found


def _texts(node: Any, components: Json, seen: set[str]) -> Iterator[Json]:
    """Yield the unrestricted string schemas under `node`, including referenced components."""
    if isinstance(node, dict):
        name = node.get("$ref", "").removeprefix(COMPONENTS) if "$ref" in node else ""
        if name and name not in seen:
            seen.add(name)
            yield from _texts(components[name], components, seen)
        if node.get("type") == "string" and not node.keys() & _NARROWED:
            yield node
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _texts(child, components, seen)


def _without_frameworks_422(operation: Json) -> None:
    """Remove the 422 that FastAPI adds to every operation with a parameter; our operations declare their own."""
    response = operation.get("responses", {}).get("422")
    if response is not None and MEDIA_TYPE not in response.get("content", {}):
        del operation["responses"]["422"]


def _with_body(operation: Json, components: Json) -> None:
    """Set the body's media type to the declared one, and describe a body that the route reads itself."""
    own = operation.pop(BODY_SCHEMA, None)
    if own is not None:
        schema = {"$ref": COMPONENTS + own["title"]}
        add_models(components, own)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if (kind := operation.pop(BODY_MEDIA_TYPE, None)) is not None:
        (schema,) = operation["requestBody"]["content"].values()
        operation["requestBody"]["content"] = {kind: schema}


def _with_responses_of_the_edge(operation: Json) -> None:
    """Add the responses of the edge: it may refuse any request."""
    responses = operation["responses"]
    of_bodies = _OF_BODIES if "requestBody" in operation else ()
    for status, response in responses_of(*_BEFORE_ALL, *of_bodies).items():
        responses.setdefault(str(status), response)
    operation["responses"] = dict(sorted(responses.items()))


def _with_plain_parameters(operation: Json) -> None:
    """Remove null from parameters: an optional parameter of a hand-written route is simply not required.

    Generators drop operations whose header has an `anyOf`.
    """
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        others = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
        if len(others) == 1:
            del schema["anyOf"]
            parameter["schema"] = {**others[0], **schema}


def _with_named_choices(operation: Json, components: Json) -> None:
    """Make parameters refer to the enumeration of the field that they filter, so clients get one type for both."""
    named = {tuple(schema["enum"]): name for name, schema in components.items() if "enum" in schema}
    for parameter in operation.get("parameters", ()):
        place, key = (parameter, "schema")
        if parameter["schema"].get("type") == "array":
            place, key = (parameter["schema"], "items")
        name = named.get(tuple(place[key].get("enum", ())))
        if name is not None:
            place[key] = {"$ref": COMPONENTS + name}


def _with_scopes(operation: Json, is_open: IsOpen) -> None:
    """Put scopes into `x-required-scopes` and the description; mark open operations as open.

    A security requirement may name scopes only for OAuth flows. For keys and bearer tokens OpenAPI 3.1 (section 4.8.30)
    allows role names, but linters refuse them.
    """
    security: list[dict[str, list[str]]] = operation.setdefault("security", [])
    scopes = list(dict.fromkeys(scope for one in security for named in one.values() for scope in named))
    if scopes:
        optional: list[Json] = [{}] if is_open(scopes) else []
        operation["security"] = [*optional, *({scheme: [] for scheme in one} for one in security)]
        operation["x-required-scopes"] = scopes
        words = f"Needs the scope{'s' if len(scopes) > 1 else ''} {' and '.join(f'`{s}`' for s in scopes)}."
        operation["description"] = f"{operation.get('description', '').rstrip()}\n\n{words}".lstrip()
