"""What a hand-written route accepts, read from its signature.

What FastAPI allows beyond that is refused before its own validation: unknown and repeated parameters and members, and
content of another media type. A route opts out with `any_query` or `any_body`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from fastapi import params
from fastapi.dependencies.models import Dependant
from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from service.http.handwritten.opt_outs import any_body, any_query
from service.http.handwritten.refuse_idempotency_key import HEADER
from service.http.middleware.state import route_of

_KEPT = "slipway_rules"
_LISTS = {list, set, frozenset, tuple, Sequence}


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
    """Return the rules of the matched route; None if it is not FastAPI's."""
    route = route_of(scope)
    if (dependant := getattr(route, "dependant", None)) is None:
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
