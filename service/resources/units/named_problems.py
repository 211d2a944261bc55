"""Problems of changes that the client did not ask for itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from service.http.problems import Conflict, Problem, ValidationFailed
from service.resources.declaration import RestResource

_DONE = {"create": "created", "update": "changed", "delete": "deleted"}
_MOST = 3  # reasons in one sentence


@contextmanager
def naming(resource: RestResource, operation: str) -> Iterator[None]:
    """Let the problems of a change name its resource, under the same code.

    Pointers to its fields become words: they would point into a body that the client did not send.
    """
    try:
        yield
    except Problem as problem:
        reasons = [
            f"{error.pointer.strip('/').replace('/', '.')} {error.message}"
            for error in problem.errors
            if error.pointer is not None
        ]
        by_database = isinstance(problem.__cause__, asyncpg.PostgresError)
        if not reasons and not (by_database and isinstance(problem, Conflict | ValidationFailed)):
            raise
        why = "; ".join(reasons[:_MOST]) or problem.detail or problem.title
        detail = f"{resource.a_singular.capitalize()} cannot be {_DONE[operation]}: {why}"
        raise type(problem)(detail, headers=problem.all_headers, context=problem.context) from None
