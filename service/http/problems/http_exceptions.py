"""Turns `HTTPException`, raised by the framework or by hand-written routes, into problems.

The status, text and headers of a team's exception are kept, also for a 5xx, which was raised on purpose.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import structlog
from pydantic_core import PydanticSerializationError, to_json
from starlette.exceptions import HTTPException

from service.http import problems
from service.http.problems import Problem
from service.http.problems.raised import problem_of_status

log = structlog.get_logger(__name__)

LEAST, MOST = 400, 599
_OF_THE_CONTENT = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding"})
_WHILE_READING = (
    "There was an error parsing the body"  # FastAPI's wrapper around any error while reading the body
)


def problem_of_exception(error: HTTPException, *, allowed: Callable[[], str]) -> Problem:
    """Return the problem for an exception. `allowed` returns the value of `Allow` for a 405 without one."""
    status, cause = error.status_code, error.__cause__
    if error.detail == _WHILE_READING and isinstance(cause, Problem):
        return cause
    if not LEAST <= status <= MOST:
        log.error("HTTPException with an invalid status", status=status)
        return problems.InternalError()
    headers = {n: v for n, v in (error.headers or {}).items() if n.lower() not in _OF_THE_CONTENT}
    if is_frameworks(error, problems.MethodNotAllowed.status):
        headers = {"Allow": allowed()}  # the framework names the methods of the first route only
    elif status == problems.MethodNotAllowed.status and not any(name.lower() == "allow" for name in headers):
        headers["Allow"] = allowed()  # RFC 9110, 15.5.6
    text, context = _said(error)
    return problem_of_status(status)(text, headers=headers, context=context)


@contextmanager
def raised_as_problem() -> Iterator[None]:
    """Raise an `HTTPException` of the block as its problem, for callers that collect problems."""
    try:
        yield
    except HTTPException as error:
        if LEAST <= error.status_code <= MOST:
            raise problem_of_exception(error, allowed=str) from error
        raise


def is_frameworks(error: HTTPException, status: int) -> bool:
    """Whether the exception has this status and no detail of its own, like the framework's exceptions."""
    return error.status_code == status and error.detail == _phrase(status)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _said(error: HTTPException) -> tuple[str | None, bytes | None]:
    """Return the detail as text, or any other type as JSON. The status's standard phrase only repeats the title."""
    detail: Any = error.detail
    if detail is None or detail in ("", _phrase(error.status_code)):
        return None, None
    if isinstance(detail, str):
        return detail.encode("utf-8", "replace").decode("utf-8"), None  # a lone surrogate cannot be sent
    try:
        return None, to_json(detail, fallback=str, inf_nan_mode="null")
    except (PydanticSerializationError, ValueError) as wrong:
        log.warning("the detail of an HTTPException cannot be serialized", reason=str(wrong))
        return None, None
