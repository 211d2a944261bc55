"""Turns problems into responses, and the framework's exceptions into problems."""

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.database import DatabaseUnavailableError
from service.database.errors import OutOfResourcesError
from service.http import problems
from service.http.middleware.public_path import own_path
from service.http.middleware.state import state_of
from service.http.problems import FieldError, Problem, pointer
from service.http.problems.http_exceptions import is_frameworks, problem_of_exception
from service.http.problems.messages import message_of, place_of
from service.http.problems.sqlstate import problem_of

HTTP_OK, BAD_REQUEST = 200, 400


def problem_response(request: Request, problem: Problem) -> Response:
    """Return the problem as a response to this request."""
    body = problem.as_bytes(instance=request.url.path, request_id=state_of(request.scope).request_id)
    return Response(body, problem.status, problem.all_headers, media_type=problems.MEDIA_TYPE)


HANDLED = (
    Problem,
    HTTPException,
    RequestValidationError,
    DatabaseUnavailableError,
    asyncpg.PostgresError,
)


def install(app: FastAPI) -> None:
    """Install handlers, so that the application turns every exception into a problem response."""
    for kind in HANDLED:
        app.add_exception_handler(kind, response_to)


async def response_to(request: Request, error: Exception) -> Response:
    """Return the response to one of the `HANDLED` exceptions. Raises it again if it is a defect: the edge logs it."""
    if isinstance(error, Problem):
        return problem_response(request, error)
    if isinstance(error, HTTPException):
        return await _http(request, error)
    if isinstance(error, RequestValidationError):
        return _validation(request, error)
    problem = problem_of_error(error)
    if isinstance(problem, problems.InternalError):
        raise error
    return problem_response(request, problem)


def problem_of_error(error: Exception) -> Problem:
    """Return the problem for an error of the database; `InternalError` for any error that is a bug."""
    if isinstance(error, OutOfResourcesError):
        return problems.Unavailable("The database is out of resources.")
    if isinstance(error, DatabaseUnavailableError):
        return problems.Unavailable("The database cannot be reached.")
    found = problem_of(error, {}) if isinstance(error, asyncpg.PostgresError) else None
    return found or problems.InternalError()


async def _http(request: Request, error: HTTPException) -> Response:
    """Return the response to an exception of the framework or of a hand-written route."""
    if request.method == "OPTIONS" and is_frameworks(error, 405):
        return Response(status_code=204, headers={"Allow": _allowed(request)})
    if HTTP_OK <= error.status_code < BAD_REQUEST:
        return await http_exception_handler(request, error)
    return problem_response(request, problem_of_exception(error, allowed=lambda: _allowed(request)))


def _allowed(request: Request) -> str:
    """The methods of every route that fits the path; the framework names those of the first one only."""
    path = own_path(request.scope)
    methods: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        regex = getattr(context, "path_regex", None)
        if regex is not None and regex.match(path):
            methods |= context.methods or set()
    # The edge handles HEAD as GET, and this module handles OPTIONS.
    methods |= {"OPTIONS", "HEAD"} if "GET" in methods else {"OPTIONS"}
    return ", ".join(sorted(methods))


def _validation(request: Request, error: RequestValidationError) -> Response:
    if any(item["type"] == "json_invalid" for item in error.errors()):
        return problem_response(request, problems.InvalidJson())
    wrong, in_body = [], False
    for item in error.errors():
        place, *rest = place_of(item)
        in_body = in_body or place == "body"
        path = pointer(rest)
        wrong.append(
            FieldError(message_of(item), pointer=path)
            if place == "body"
            else FieldError(message_of(item), **{"header" if place == "header" else "parameter": path[1:]})
        )
    kind = problems.ValidationFailed if in_body else problems.InvalidParameter
    return problem_response(request, kind(errors=wrong))
