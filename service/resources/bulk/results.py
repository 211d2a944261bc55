"""The results of a bulk request, and the problems of its operations."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import orjson

from service.http.problems import FieldError, Problem, pointer

# The member of an operation that holds its values; that of an action is its body.
_MEMBERS = {"create": "/item", "patch": "/changes", "delete": ""}
_SLICE = 20  # results serialised in one step


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a successful operation. `changed` is False if the item already had the values."""

    status: int
    id: UUID
    etag: str | None = None
    body: str | None = None
    changed: bool = True

    def as_bytes(self) -> bytes:
        head = orjson.dumps({"status": self.status, "id": self.id, "etag": self.etag})
        return head if self.body is None else head[:-1] + b',"item":' + self.body.encode() + b"}"


Outcome = Done | Problem


def refuse_any(outcomes: Mapping[int, Outcome], kinds: Mapping[int, str]) -> None:
    """Raise the first problem, with the errors of all problems and pointers from the body's root."""
    wrong = {index: outcome for index, outcome in sorted(outcomes.items()) if isinstance(outcome, Problem)}
    if not wrong:
        return
    errors = [error for index, problem in wrong.items() for error in _errors(index, problem, kinds)]
    first = next(iter(wrong.values()))
    raise with_errors(first, errors)


async def results_body(
    path: str, request_id: str, outcomes: Mapping[int, Outcome], kinds: Mapping[int, str]
) -> bytes:
    """Return the body of the response. Yields to the event loop between slices."""
    parts = []
    for index, outcome in sorted(outcomes.items()):
        if index % _SLICE == _SLICE - 1:
            await asyncio.sleep(0)
        if isinstance(outcome, Done):
            parts.append(outcome.as_bytes())
        else:
            problem = with_errors(outcome, _errors(index, outcome, kinds))
            document = problem.as_json(instance=path, request_id=request_id)
            parts.append(orjson.dumps({"status": outcome.status, "problem": document}))
    return b'{"results":[' + b",".join(parts) + b"]}"


def with_errors(problem: Problem, errors: list[FieldError]) -> Problem:
    """Return the problem with these errors in place of its own."""
    return type(problem)(problem.detail, errors=errors, headers=problem.all_headers, context=problem.context)


def _errors(index: int, problem: Problem, kinds: Mapping[int, str]) -> list[FieldError]:
    """Return the errors of one operation, with pointers from the body's root."""
    here = pointer(("operations", index))
    if not problem.errors:
        return [FieldError(problem.detail or problem.title, pointer=here)]
    return [
        error
        if (error.pointer or "").startswith("/operations/")
        else FieldError(
            error.message, pointer=f"{here}{_MEMBERS.get(kinds[index], '/body')}{error.pointer or ''}"
        )
        for error in problem.errors
    ]
