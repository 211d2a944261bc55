"""Detects conflicts between resources, and with other routes, at start-up."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, get_args

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel

from service.http.openapi import BODY_SCHEMA, Problem
from service.resources.declaration import DeclarationError, RestResource
from service.resources.engine import Engine
from service.resources.names import snake

Model = type[BaseModel | Enum]
_OPERATION_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
# Path parameters that match any single segment; parameters with other converters do not conflict with them.
_SEGMENT = re.compile(r"\{[^}:]*(:(str|item))?\}")


def refuse_conflicts(app: FastAPI, engines: Sequence[Engine], taken: Mapping[str, str]) -> None:
    """Raise `DeclarationError` for a path, schema, singular or route shared by two resources.

    `taken` maps the paths and tags of other routes to their purpose.
    """
    resources = [engine.resource for engine in engines]
    for resource in resources:
        if resource.path in taken:
            raise DeclarationError(
                f'{resource.path}: the service has routes of its own under this path ("{taken[resource.path]}"); '
                "choose another path"
            )
    _refuse_duplicate_paths(resources)
    _refuse_duplicate_schemas(app, engines)
    _refuse_duplicate_singulars(resources)
    _refuse_duplicate_routes(app)
    _check_operation_ids(app)


def _refuse_duplicate_paths(resources: Sequence[RestResource]) -> None:
    seen: set[str] = set()
    lists = [f"{p.path}/{{id}}/{r.path}" for r in resources for p, _ in r.parents(tuple(resources))]
    for path in (*(resource.path for resource in resources), *lists):
        if path in seen:
            raise DeclarationError(
                f"{path} is declared twice; of fields that refer to one resource, only one can be filterable"
            )
        seen.add(path)


def _refuse_duplicate_schemas(app: FastAPI, engines: Sequence[Engine]) -> None:
    """Refuse two models with the same name: FastAPI would rename both."""
    found: dict[str, tuple[object, str]] = {}
    roots = [(Problem, "the service"), *_models_of_routes(app)]
    roots += [(root, engine.resource.path) for engine in engines for root in engine.schemas.named]
    for name, identity, owner in (
        (name, identity, owner) for root, owner in roots for name, identity in _within(root, set())
    ):
        other, first = found.setdefault(name, (identity, owner))
        if other is not identity:
            raise DeclarationError(
                f"{owner}: {first} has a schema {name} too; give one of them another name= in its declaration, "
                "or rename the class"
            )


def _within(model: Any, seen: set[Model]) -> Iterator[tuple[str, object]]:
    """Yield the name and class of the models and enumerations in a type, including those of their fields."""
    for part in get_args(model):
        yield from _within(part, seen)
    if isinstance(model, str):
        yield model, model
    elif isinstance(model, type) and issubclass(model, BaseModel | Enum) and model not in seen:
        seen.add(model)
        yield model.__name__, model
        for field in model.model_fields.values() if issubclass(model, BaseModel) else ():
            yield from _within(field.annotation, seen)


def _models_of_routes(app: FastAPI) -> Iterator[tuple[Any, str]]:
    """Yield the models of hand-written routes; the engines' schemas cover the generated ones."""
    for context in iter_route_contexts(app.routes):
        if getattr(context, "operation_id", None) is None:
            name = str(getattr(context, "name", ""))
            body = (getattr(context, "openapi_extra", None) or {}).get(BODY_SCHEMA, {})
            yield getattr(context, "response_model", None), name
            yield body.get("title"), name


def _refuse_duplicate_singulars(resources: Sequence[RestResource]) -> None:
    singulars: dict[str, RestResource] = {}
    for resource in resources:
        other = singulars.setdefault(snake(resource.singular), resource)
        if other is not resource:
            raise DeclarationError(
                f"{resource.path}: {other.path} calls one of its items {other.singular} too, so operations would have "
                "the same id; give one of them another singular="
            )


def _refuse_duplicate_routes(app: FastAPI) -> None:
    """Refuse two routes with the same method and path, regardless of parameter names: only the first is used."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for number, context in enumerate(iter_route_contexts(app.routes)):
        path, name = getattr(context, "path_format", None), str(getattr(context, "name", ""))
        for method in sorted(getattr(context, "methods", None) or ()) if path else ():
            key = method, _SEGMENT.sub("{}", str(getattr(context, "path", path)))
            _, first = found.setdefault(key, (number, name))
            if found[key][0] != number:
                raise DeclarationError(
                    f"{method} {path} has two routes, {first} and {name}; remove one of them, or leave out the "
                    "generated one with without="
                )


def _check_operation_ids(app: FastAPI) -> None:
    """Check explicit operation ids. Client generators turn them into function names."""
    found: dict[str, str] = {}
    for context in iter_route_contexts(app.routes):
        operation, name = getattr(context, "operation_id", None), str(getattr(context, "name", ""))
        if operation is None:
            continue
        if not _OPERATION_ID.match(operation):
            raise DeclarationError(
                f"{name}: operation_id {operation!r} may contain only letters, digits, underscores, as in cancel_order"
            )
        if operation in found:
            raise DeclarationError(
                f"{name}: {found[operation]} has the operation_id {operation} too; change one of them"
            )
        found[operation] = name
