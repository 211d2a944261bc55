"""The scopes of routes. Deny by default: an application with a route that asks for no scope does not start."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from service.security.access import current_principal
from service.security.principals import ADMIN


class ScopelessRouteError(Exception):
    """A route that anyone could call, or a scope that nothing checks; the message names it."""


def require_scopes(app: FastAPI, prefix: str) -> None:
    """Raise `ScopelessRouteError` unless every route under `prefix` admits only principals with a scope.

    A scope counts anywhere in the tree of dependencies: on a parameter, the route, its router, or a dependency in
    between. Under any path, a scope that no `current_principal` checks is refused: it would only look like a guard.
    """
    for context in iter_route_contexts(app.routes):
        path = getattr(context, "path_format", None) or getattr(context, "path", None) or ""
        dependant: Dependant | None = getattr(context, "dependant", None)
        asked = set() if dependant is None else scopes_of(dependant)
        unheard = set() if dependant is None else set(_named(dependant)) - asked
        if unheard:
            raise ScopelessRouteError(
                f"{_route(context, path)} names {', '.join(sorted(unheard))}, but nothing asks for it: "
                "let what names it depend on current_principal"
            )
        if path.startswith(prefix) and not asked:
            raise ScopelessRouteError(
                f"{_route(context, path)} asks for no scope: "
                'give it a parameter Annotated[Principal, require_scope("…")]'
            )


def scopes_of(dependant: Dependant) -> set[str]:
    """Every scope that a route's tree of dependencies asks a principal for."""
    return set(_asked(dependant, frozenset()))


def known_scopes(app: FastAPI) -> set[str]:
    """Every scope that some route of the application asks for, and `admin`."""
    found = {ADMIN}
    for context in iter_route_contexts(app.routes):
        dependant: Dependant | None = getattr(context, "dependant", None)
        if dependant is not None:
            found |= scopes_of(dependant)
    return found


def _asked(dependant: Dependant, above: frozenset[str]) -> Iterator[str]:
    scopes = above | set(dependant.own_oauth_scopes or ())
    if dependant.call is current_principal:
        yield from scopes
    for dependency in dependant.dependencies:
        yield from _asked(dependency, scopes)


def _named(dependant: Dependant) -> Iterator[str]:
    yield from dependant.own_oauth_scopes or ()
    for dependency in dependant.dependencies:
        yield from _named(dependency)


def _route(context: Any, path: str) -> str:
    return f"{', '.join(sorted(getattr(context, 'methods', None) or ['ANY']))} {path}"
