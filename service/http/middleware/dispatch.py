"""Finds the handler of a generated route by one look-up, however many resources there are.

The framework compares a path with its routes one after the other, twice for included routers, and passes through a
dozen layers on the way. So its routes of generated operations only document them, and the edge calls their handlers.
Hand-written routes, and methods that no generated route has, take the framework's way.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from service.http.middleware.public_path import own_path

Handler = Callable[[Request], Awaitable[Response]]

ID = "{id}"
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LENGTH = 36  # of a UUID


@dataclass(frozen=True, slots=True)
class Route:
    """A generated route. `template` is its path, such as `/api/v1/orders/{id}`."""

    method: str
    template: str
    handler: Handler


class Dispatch:
    """The generated routes under `prefix`, which is followed by one segment, and by an id if the template has one."""

    def __init__(self, prefix: str, routes: Iterable[Route]) -> None:
        self._name_at = len(prefix) + 1
        self._fixed: dict[tuple[str, str], Route] = {}
        self._of_items: dict[tuple[str, str], Route] = {}
        for route in routes:
            found = self._of_items if ID in route.template else self._fixed
            found[route.method, route.template] = route

    def find(self, scope: Scope) -> Route | None:
        """Return the route of a request, and put the text of its id into the scope; None for the framework's."""
        method, path = scope["method"], own_path(scope)
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed
        id_at = path.find("/", self._name_at) + 1
        if id_at == 0:
            return None
        end = id_at + _LENGTH
        route = self._of_items.get((method, f"{path[:id_at]}{ID}{path[end:]}"))
        if route is None or _UUID.fullmatch(path, id_at, end) is None:
            return None
        scope["path_params"] = {"id": path[id_at:end]}
        return route


class NoDispatch:
    """For an application without generated routes."""

    def find(self, scope: Scope) -> None:
        pass
