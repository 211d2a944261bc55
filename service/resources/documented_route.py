"""A route that documents an operation, for OpenAPI alone: the edge finds the operation's handler and calls it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import compile_path

from service.http.problems import NotFound

Describe = Callable[[], dict[str, Any]]


class DocumentedRoute(APIRoute):
    """Documents an operation, and answers nothing.

    FastAPI analyses it when the document is first built: that takes most of the time in which an application is made,
    and few processes are asked for the document. Until then it has what makes it a route: path, method, names, scopes.
    """

    def __init__(self, method: str, path: str, *, operation_id: str, scope: str, describe: Describe) -> None:
        """`describe` returns the other arguments of `APIRoute`, its endpoint among them."""
        self.path, self.methods = path, {method}
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.name = self.operation_id = operation_id
        self.endpoint = _nowhere
        self.gate_scopes = frozenset({scope})
        self._describe = describe

    def __getattr__(self, name: str) -> Any:
        """Let FastAPI analyse the route when an attribute is read that it has not set."""
        describe: Describe | None = vars(self).pop("_describe", None)
        if describe is None:
            raise AttributeError(name)
        try:
            super().__init__(
                self.path, methods=self.methods, name=self.name, operation_id=self.operation_id, **describe()
            )
        except Exception:
            # The next read fails with the cause, too, not for lack of the attribute.
            self._describe = describe
            raise
        return getattr(self, name)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return _nowhere


async def _nowhere(_: Request) -> Response:
    """The framework's routes also fit a path with a line break at its end, which names nothing."""
    raise NotFound
