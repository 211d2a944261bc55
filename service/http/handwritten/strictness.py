"""Hand-written routes are as strict as generated ones on queries, bodies and media types.

What FastAPI allows is checked before its own validation: unknown and repeated parameters and members, and content of
another media type. A route opts out with `any_query` or `any_body`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import parse_qsl

from fastapi import Request, params
from fastapi.dependencies.models import Dependant
from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from service.http.content.negotiation import require_acceptable
from service.http.handwritten.idempotency import HEADER, refuse_key
from service.http.middleware.state import route_of
from service.http.problems import FieldError, InvalidParameter, NotFound

MAX_PARAMETERS = 100
_KEPT = "slipway_rules"
_LISTS = {list, set, frozenset, tuple, Sequence}


async def any_query() -> None:
    """A dependency that allows any query: the route parses all parameters itself, repeated ones included."""


async def any_body() -> None:
    """A dependency that allows any body: the route needs the raw bytes, such as a signed webhook.

    The limits on size and time still apply.
    """


@dataclass(frozen=True, eq=False)
class Rules:
    """What a hand-written route accepts. `query` maps each parameter to whether it may be repeated; None accepts any
    query."""

    query: dict[str, bool] | None
    any_body: bool
    body: params.Body | None
    """How FastAPI reads the body; None if it does not."""
    dependencies: frozenset[Any]
    takes_key: bool
    """Whether the route declares the header Idempotency-Key."""


def rules_of(scope: Any) -> Rules | None:
    """Return the rules of the matched route; None if the route is generated or not FastAPI's."""
    route = route_of(scope)
    dependant = getattr(route, "dependant", None)
    if dependant is None or getattr(scope["route"], "checks_requests", False):
        return None
    kept = vars(route)  # cached on the route, which is not hashable
    if _KEPT not in kept:
        kept[_KEPT] = _rules(dependant, route.body_field)
    rules: Rules = kept[_KEPT]
    return rules


def _rules(dependant: Dependant, body_field: Any) -> Rules:
    tree = list(_tree(dependant))
    calls = frozenset(one.call for one in tree)
    query = dict(_query(tree)) if any_query not in calls else None
    if query is not None and None in query:
        query = None
    info = body_field.field_info if body_field is not None else None
    headers = {str(field.alias).lower() for dependant in tree for field in dependant.header_params}
    return Rules(query, any_body in calls, info, calls, takes_key=HEADER.lower() in headers)


def _tree(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for child in dependant.dependencies:
        yield from _tree(child)


def _query(tree: Iterable[Dependant]) -> Iterator[tuple[Any, bool]]:
    """Yield (name, may be repeated) for every parameter; the name is None for a model that accepts any name."""
    for field in (field for dependant in tree for field in dependant.query_params):
        annotation = field.field_info.annotation
        if not is_model(annotation):
            yield field.validation_alias or field.alias, _repeats(annotation)
        elif (fields := fields_of(annotation)) is None:
            yield None, True
        else:
            yield from fields.items()


def fields_of(annotation: Any) -> dict[str, bool] | None:
    """Return the names that a model reads, and whether each is a list; None if it accepts any name or is not a
    model."""
    if not is_model(annotation) or annotation.model_config.get("extra") in ("allow", "ignore"):
        return None
    return {
        alias: _repeats(info.annotation)
        for name, info in annotation.model_fields.items()
        for alias in names_of(name, info, annotation)
    }


def names_of(name: str, info: FieldInfo, model: type[BaseModel]) -> Iterator[str]:
    """Yield the names from which a field of a model is read."""
    alias = info.validation_alias or info.alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    texts = [choice for choice in choices if isinstance(choice, str)]
    yield from texts
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    if not texts or by_name:
        yield name


def is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _repeats(annotation: Any) -> bool:
    """Whether a parameter of this type is a list."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return any(_repeats(one) for one in get_args(annotation))
    if origin is Annotated:
        return _repeats(get_args(annotation)[0])
    return (origin or annotation) in _LISTS


def check_key(request: Request, rules: Rules) -> None:
    """Raise `KeyNotSupported` for an Idempotency-Key that the route does not declare and so would ignore."""
    if not rules.takes_key:
        refuse_key(request)


def check_query(request: Request, rules: Rules) -> None:
    """Raise `InvalidParameter` for unknown or repeated parameters and for values with NUL or that are not UTF-8; and
    `NotFound` for a NUL in the path."""
    if "\x00" in request.scope["path"]:
        raise NotFound
    if rules.query is None or not request.scope["query_string"]:
        return
    given = _pairs(request.scope["query_string"])
    names = [name for name, _ in given]
    wrong = {name: "There is no such parameter." for name in names if name not in rules.query}
    for name, value in given:
        if name in rules.query and not rules.query[name] and names.count(name) > 1:
            wrong[name] = "The parameter is given twice."
        elif "\x00" in value:
            wrong.setdefault(name, "The value must not have a NUL character.")
    if wrong:
        errors = [FieldError(message, parameter=name[:100]) for name, message in sorted(wrong.items())]
        raise InvalidParameter(errors=errors)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except ValueError:
        raise InvalidParameter("The query is not UTF-8, or has too many parameters.") from None


async def plain_request(request: Request) -> None:
    """The dependency of hand-written routes that answer in JSON. Raises `NotAcceptable`."""
    require_acceptable(request, "application/json")
