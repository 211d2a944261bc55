"""The scopes of routes. Deny by default: an application with a route that requires no scope does not start."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from service.security.access import current_principal
from service.security.principals import ADMIN


class ScopelessRouteError(Exception):
    """A route that anyone could call, or a scope that nothing checks; the message names it."""


def require_scopes(app: FastAPI, prefix: str) -> None:
    """Raise `ScopelessRouteError` unless every route under `prefix` admits only principals with a scope.

    A scope counts anywhere in the tree of dependencies: on a parameter, the route, its router, or a dependency in
    between. Under any path, a scope that no `current_principal` checks is refused, because it would protect nothing.
    """
    for context in iter_route_contexts(app.routes):
        path = getattr(context, "path_format", None) or getattr(context, "path", None) or ""
        enforced, named = _scopes_on(context)
        if unenforced := named - enforced:
            raise ScopelessRouteError(
                f"{_route(context, path)} names {', '.join(sorted(unenforced))}, but nothing checks it: "
                "make the dependency that names it depend on current_principal"
            )
        if path.startswith(prefix) and not enforced:
            raise ScopelessRouteError(
                f"{_route(context, path)} requires no scope: "
                'give it a parameter Annotated[Principal, require_scope("…")]'
            )


def scopes_of(dependant: Dependant) -> set[str]:
    """Every scope that a route's tree of dependencies requires of a principal."""
    return set(_required(dependant, frozenset()))


def known_scopes(app: FastAPI) -> set[str]:
    """Every scope that some route of the application requires, and `admin`."""
    found = {ADMIN}
    for context in iter_route_contexts(app.routes):
        found |= _scopes_on(context)[0]
    return found


def _scopes_on(context: RouteContext) -> tuple[AbstractSet[str], AbstractSet[str]]:
    """The scopes that a route enforces, and those that it names. A generated route has `gate_scopes`: the gate at the
    edge requires them."""
    if (of_gate := getattr(context, "gate_scopes", None)) is not None:
        return of_gate, of_gate
    dependant: Dependant | None = getattr(context, "dependant", None)
    return (set(), set()) if dependant is None else (scopes_of(dependant), set(_named(dependant)))


def _required(dependant: Dependant, above: frozenset[str]) -> Iterator[str]:
    scopes = above | set(dependant.own_oauth_scopes or ())
    if dependant.call is current_principal:
        yield from scopes
    for dependency in dependant.dependencies:
        yield from _required(dependency, scopes)


def _named(dependant: Dependant) -> Iterator[str]:
    yield from dependant.own_oauth_scopes or ()
    for dependency in dependant.dependencies:
        yield from _named(dependency)


def _route(context: Any, path: str) -> str:
    return f"{', '.join(sorted(getattr(context, 'methods', None) or ['ANY']))} {path}"
