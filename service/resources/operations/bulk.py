"""`POST /orders/bulk`: up to a thousand changes, all or nothing, or each on its own."""

from copy import deepcopy
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from service.http import problems
from service.http.content import strict_json
from service.http.content.body import JSON, content_of
from service.http.content.media_types import require_media_type
from service.http.content.validation import field_errors
from service.http.middleware.state import state_of
from service.http.problems import MOST_ERRORS, FieldError
from service.resources.bulk.apply import BulkRun
from service.resources.bulk.entries import read_entries
from service.resources.bulk.results import refuse_any, results_body
from service.resources.bulk.slots import slot
from service.resources.engine import Engine
from service.resources.operations.operation import Call, Operation
from service.resources.requests.idempotency import run_once
from service.resources.requests.json_response import JsonResponse
from service.resources.retries import retry_rolled_back
from service.resources.schemas.bulk_bodies import Envelope
from service.resources.units.engine_unit import EngineUnit


async def _bulk(call: Call) -> Response:
    """Return one result for each operation, in order. In atomic mode, one failure rolls back all and is returned."""
    engine, request = call.engine, call.request
    require_media_type(request, JSON)
    body = await content_of(request)
    mode, operations = _envelope(engine, await strict_json.read(body))
    keyed = call.keyed()
    records = engine.services.records
    if keyed is not None and (stored := await records.replay(keyed)) is not None:
        return stored
    entries, outcomes = await read_entries(engine, operations, call.rows)
    kinds = {entry.index: entry.kind for entry in entries}
    atomic = mode == "atomic"
    if atomic:
        refuse_any(outcomes, kinds)

    async def attempt() -> tuple[Response, EngineUnit]:
        request_id = state_of(request.scope).request_id
        own = deepcopy(entries) if engine.hooks.exist else entries  # retries need the originals
        async with slot(engine.services.database.long_slots), engine.transaction() as connection:
            unit = call.unit_on(connection)
            run = BulkRun(engine, unit, call.rows, most_errors=MOST_ERRORS if atomic else None)
            results = outcomes | await run.apply(own)
            if atomic:
                refuse_any(results, kinds)
            await run.finish(own, results)
            results = await run.final(results)
            content = await results_body(request.url.path, request_id, results, kinds)
            if keyed is not None:
                await records.store(connection, keyed, 200, {}, content)
        return JsonResponse(200, {}, content), unit

    async def effect() -> Response:
        response, unit = await retry_rolled_back(attempt)
        await unit.after_commit()
        return response

    return await effect() if keyed is None else await run_once(records, keyed, effect)


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


BULK = Operation(
    name="bulk",
    method="POST",
    suffix="/bulk",
    handle=_bulk,
    summary="Change many {plural}",
    description="In mode `atomic` all operations succeed or none has an effect, and the response is the problem of the "
    "first that failed. In mode `partial` each stands for itself. An item may be named once; creations come first, "
    "then patches, then deletions, regardless of their order in the request.",
    takes_key=True,
    body=lambda engine: engine.schemas.bulk.request,
    response_model=lambda engine: engine.schemas.bulk.results,
    responses=lambda _: {200: {}},
    problems=(problems.NotFound, problems.PreconditionFailed),
)
