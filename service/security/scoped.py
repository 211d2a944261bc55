"""Deny by default: an application with a route that asks for no scope does not start."""

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from service.security.access import current_principal


class ScopelessRouteError(Exception):
    """A route that anybody could call; the message names it."""


def require_scopes(app: FastAPI, prefix: str) -> None:
    """Raise `ScopelessRouteError` unless every route under `prefix` admits only principals with a scope."""
    for context in iter_route_contexts(app.routes):
        path = getattr(context, "path_format", None) or getattr(context, "path", None) or ""
        if not path.startswith(prefix):
            continue
        dependant = getattr(context, "dependant", None)
        asked = dependant.dependencies if dependant is not None else []
        if not any(d.call is current_principal and d.own_oauth_scopes for d in asked):
            methods = ", ".join(sorted(getattr(context, "methods", None) or ["ANY"]))
            raise ScopelessRouteError(
                f'{methods} {path} asks for no scope: give it a parameter Annotated[Principal, needs("…")]'
            )
