"""`POST /orders/bulk`: up to a thousand changes, all or nothing, or each on its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from service.http import problems
from service.http.content import strict_json
from service.http.content.body import JSON
from service.http.content.media_types import require_media_type
from service.http.content.validation import field_errors
from service.http.middleware.admission import turned_away
from service.http.middleware.state import state_of
from service.http.openapi import ALWAYS, WITH_BODY, responses_of
from service.http.problems import MOST_ERRORS, FieldError, Problem, pointer
from service.resources.bulk.parsing import SLICE, Done, Outcome, read_entries
from service.resources.bulk.run import BulkRun
from service.resources.declaration import Change
from service.resources.documentation import IDEMPOTENCY_KEY, REPLAYED, Documented
from service.resources.engine import Engine, again_after_rollback
from service.resources.once import once
from service.resources.operations.operation import Operation
from service.resources.requests.idempotency import answer, keyed_request
from service.resources.requests.parameters import query_of, refuse_others
from service.resources.schemas.bulk_bodies import Envelope
from service.security.principals import Principal

SLOT_SECONDS = 5.0  # most time that a bulk request waits for earlier ones, without holding a connection
_MEMBERS = {"create": "/item", "patch": "/changes", "delete": ""}  # of an operation, with its values


async def bulk(engine: Engine, request: Request, principal: Principal) -> Response:
    """One result for each operation, in order. In atomic mode one failure undoes all, and is the answer."""
    refuse_others(query_of(request))
    require_media_type(request, JSON)
    body = await request.body()
    mode, operations = _envelope(engine, await strict_json.read(body))
    keyed = keyed_request(request, principal, body)
    if keyed is not None and (stored := await engine.services.records.replay(keyed)) is not None:
        return stored
    entries, outcomes = await read_entries(engine, operations)
    kinds = {entry.index: entry.kind for entry in entries}
    atomic = mode == "atomic"
    if atomic:
        _refuse_any(outcomes, kinds)
    made: list[Change] = []

    async def effect() -> Response:
        request_id = state_of(request.scope).request_id
        own = deepcopy(entries) if engine.hooks.exist else entries  # retries need the originals
        async with _slot(engine.services.database.long_slots), engine.transaction() as connection:
            run = BulkRun(
                engine, connection, principal, request_id, most_errors=MOST_ERRORS if atomic else None
            )
            results = outcomes | await run.apply(own)
            if atomic:
                _refuse_any(results, kinds)
            made[:] = run.changes(own, results)
            await engine.hooks.before_commit(made)
            done = await _results(request.url.path, request_id, results, kinds)
            if keyed is not None:
                await engine.services.records.store(connection, keyed, 200, {}, done)
        return answer(200, {}, done)

    async def attempts() -> Response:
        response = await again_after_rollback(effect)
        await engine.hooks.after_commit(made)  # outside the retries
        return response

    return await attempts() if keyed is None else await once(engine, keyed, attempts)


@asynccontextmanager
async def _slot(slots: asyncio.Semaphore) -> AsyncIterator[None]:
    """Wait for a slot, and hold it. Raises `Overloaded`."""
    try:
        async with asyncio.timeout(SLOT_SECONDS):
            await slots.acquire()
    except TimeoutError:
        turned_away.labels("bulks").inc()
        raise problems.Overloaded("Too many bulk requests are running.") from None
    try:
        yield
    finally:
        slots.release()


def _envelope(engine: Engine, document: Any) -> tuple[str, list[Any]]:
    most = engine.services.sizes.bulk_operations
    if isinstance(document, dict) and isinstance(document.get("operations"), list):
        count = len(document["operations"])
        if count > most:
            error = FieldError(f"must be at most {most} operations, not {count}", pointer="/operations")
            raise problems.ValidationFailed(errors=[error])
    try:
        envelope = Envelope.model_validate(document)
    except ValidationError as error:
        raise problems.ValidationFailed(errors=field_errors(error)) from None
    return envelope.mode, envelope.operations


def _refuse_any(outcomes: Mapping[int, Outcome], kinds: Mapping[int, str]) -> None:
    """Raise the first problem, with the errors of all and pointers from the body's root."""
    wrong = {index: outcome for index, outcome in sorted(outcomes.items()) if isinstance(outcome, Problem)}
    if not wrong:
        return
    errors = [error for index, problem in wrong.items() for error in _placed(index, problem, kinds)]
    first = next(iter(wrong.values()))
    raise _with_errors(first, errors)


def _with_errors(problem: Problem, errors: list[FieldError]) -> Problem:
    return type(problem)(problem.detail, errors=errors, headers=problem.all_headers, context=problem.context)


def _placed(index: int, problem: Problem, kinds: Mapping[int, str]) -> list[FieldError]:
    """The errors of one operation, with pointers from the body's root."""
    here = pointer(("operations", index))
    if not problem.errors:
        return [FieldError(problem.detail or problem.title, pointer=here)]
    return [
        error
        if (error.pointer or "").startswith("/operations/")
        else FieldError(error.message, pointer=f"{here}{_MEMBERS[kinds[index]]}{error.pointer or ''}")
        for error in problem.errors
    ]


async def _results(
    path: str, request_id: str, outcomes: Mapping[int, Outcome], kinds: Mapping[int, str]
) -> bytes:
    parts = []
    for index, outcome in sorted(outcomes.items()):
        if index % SLICE == SLICE - 1:
            await asyncio.sleep(0)
        if isinstance(outcome, Done):
            parts.append(outcome.as_bytes())
        else:
            placed = _with_errors(outcome, _placed(index, outcome, kinds))
            document = placed.as_json(instance=path, request_id=request_id)
            parts.append(orjson.dumps({"status": outcome.status, "problem": document}))
    return b'{"results":[' + b",".join(parts) + b"]}"


def _document(engine: Engine) -> Documented:
    return {
        "summary": f"Change many {engine.resource.plural}",
        "description": "In mode `atomic` all operations succeed or none has an effect, and the answer is the "
        "problem of the first that failed. In mode `partial` each stands for itself. "
        "An item may be named once; creations come first, then patches, then deletions, whatever the order given.",
        "status_code": 200,
        "response_model": engine.schemas.bulk.results,
        "responses": {
            200: {"headers": {**REPLAYED}},
            **responses_of(*ALWAYS, *WITH_BODY, problems.NotFound, problems.PreconditionFailed),
        },
        "openapi_extra": {"parameters": [IDEMPOTENCY_KEY]},
    }


BULK = Operation(
    "bulk",
    "POST",
    "/bulk",
    writes=True,
    handle=bulk,
    takes_key=True,
    document=_document,
    body=lambda engine: engine.schemas.bulk.request,
)
