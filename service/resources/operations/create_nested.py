"""`POST /orders` with lines: creates an item and its children in one transaction, all or none."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from starlette.responses import Response

from service.http.content.body import read_body
from service.http.problems import MOST_ERRORS, FieldError, Problem, ValidationFailed, pointer
from service.models.uuid7 import uuid7
from service.resources.bulk.apply import BulkRun
from service.resources.bulk.entries import Entry
from service.resources.bulk.results import Done, Outcome, with_errors
from service.resources.declaration import Change
from service.resources.engine import Engine, new_values
from service.resources.operations.create import CREATE
from service.resources.operations.operation import Call, Operation
from service.resources.relations.children import MOST, Children
from service.resources.relations.relation import require_scopes
from service.resources.requests.idempotency import KeyedRequest, run_once
from service.resources.requests.json_response import JsonResponse
from service.resources.requests.unwritable import report_unwritable
from service.resources.retries import retry_rolled_back
from service.resources.schemas.nested import nested_schemas
from service.resources.units.engine_unit import EngineUnit


@dataclass(frozen=True, slots=True)
class _Creation:
    """A valid request: an item with its new id, and the children with the engine of each kind."""

    call: Call
    id: UUID
    item: BaseModel
    children: Sequence[tuple[Children, Engine, Sequence[BaseModel]]]
    keyed: KeyedRequest | None


def create_with(children: Sequence[Children]) -> Operation:
    """Return the operation that creates an item with its children."""
    schemas = cache(
        lambda *engines: nested_schemas(engines[0], list(zip(children, engines[1:], strict=True)))
    )

    def documented(engine: Engine) -> Any:
        return schemas(engine, *(child.engine for child in children))

    async def handle(call: Call) -> Response:
        pairs = [(child, child.engine_for(call.principal)) for child in children]
        item = await _read(call, schemas(call.engine, *(own for _, own in pairs)).body, pairs)
        given = [(child, own, getattr(item, child.member)) for child, own in pairs]
        require_scopes(call.principal, [own.resource.scopes.write for _, own, some in given if some])
        keyed = call.keyed([name for _, own in pairs for name in own.unseen])
        return await _create(_Creation(call, uuid7(), item, given, keyed))

    names = " and ".join(f"`{child.member}`" for child in children)
    return replace(
        CREATE,
        handle=handle,
        description=f"{CREATE.description} Its {names} are created in the same transaction: all or none.",
        body=lambda engine: documented(engine).body,
        response_model=lambda engine: documented(engine).response,
    )


async def _read(call: Call, model: type[BaseModel], children: Sequence[tuple[Children, Engine]]) -> BaseModel:
    try:
        return await read_body(call.request, model)
    except ValidationFailed as error:
        errors = report_unwritable(error.errors, call.engine.resource, new=True)
        for child, own in children:
            for index in range(MOST):
                errors = report_unwritable(errors, own.resource, (child.member, index), new=True)
        raise ValidationFailed(errors=errors) from None


async def _create(creation: _Creation) -> Response:
    records = creation.call.engine.services.records

    async def effect() -> Response:
        response, unit = await retry_rolled_back(partial(_in_transaction, creation))
        await unit.after_commit()
        return response

    return await effect() if creation.keyed is None else await run_once(records, creation.keyed, effect)


async def _in_transaction(creation: _Creation) -> tuple[Response, EngineUnit]:
    call, engine = creation.call, creation.call.engine
    async with engine.transaction() as connection:
        unit = call.unit_on(connection)
        row, change = await _create_item(creation, unit)
        made = {
            child: await _create_children(creation, unit, child, own, items)
            for child, own, items in creation.children
            if items
        }
        await unit.finish(engine, change)  # last, so that its hooks see its children
        shown = [
            (child, await _bodies(*made[child]) if items else "") for child, _, items in creation.children
        ]
        parts = [f',"{child.member}":[{bodies}]' for child, bodies in shown]
        hooked = engine.hooks.exist or any(own.hooks.exist for _, own, _ in creation.children)
        # Hooks may have changed the item, and members may depend on its children.
        row = (await engine.final_rows(connection, [creation.id], hooked=hooked)).get(creation.id, row)
        body = f"{row['body'][:-1]}{''.join(parts)}}}".encode()
        location = f"{call.request.scope['path'].rstrip('/')}/{creation.id}"
        headers = {"Location": location, "ETag": engine.tags.tag(row["version"])}
        if creation.keyed is not None:
            await engine.services.records.store(connection, creation.keyed, 201, headers, body)
    return JsonResponse(201, headers, body), unit


async def _create_item(creation: _Creation, unit: EngineUnit) -> tuple[Mapping[str, Any], Change]:
    call, engine = creation.call, creation.call.engine
    values = new_values(engine, creation.item, call.rows)
    change = unit.change(engine, "create", creation.id, values, call.rows)
    await engine.hooks.before(change)
    arguments = unit.arguments(engine, change, call.rows)
    (row,) = await engine.run_on(unit.connection, engine.writer.create, arguments)
    return row, change


async def _create_children(
    creation: _Creation,
    unit: EngineUnit,
    child: Children,
    own: Engine,
    items: Sequence[BaseModel],
) -> tuple[BulkRun, dict[int, Outcome]]:
    """Return their outcomes. Raises the problem of the first that failed, with all errors."""
    rows = own.access.of(creation.call.principal)
    ids = sorted(uuid7() for _ in items)  # so that they sort in the order of the request
    entries = [
        Entry(index, "create", item_id, new_values(own, item, rows, {child.column: creation.id}))
        for index, (item_id, item) in enumerate(zip(ids, items, strict=True))
    ]
    if own.hooks.exist:
        entries = deepcopy(entries)  # another attempt begins with what the client sent
    run = BulkRun(own, unit, rows, most_errors=MOST_ERRORS)
    outcomes = await run.apply(entries)
    _refuse_any(child.member, outcomes)
    await run.finish(entries, outcomes)
    return run, outcomes


async def _bodies(run: BulkRun, outcomes: Mapping[int, Outcome]) -> str:
    """Return the representations of the children, in the order of the request, separated by commas."""
    final = sorted((await run.final(outcomes)).items())
    return ",".join(outcome.body or "" for _, outcome in final if isinstance(outcome, Done))


def _refuse_any(member: str, outcomes: Mapping[int, Outcome]) -> None:
    wrong = {index: outcome for index, outcome in sorted(outcomes.items()) if isinstance(outcome, Problem)}
    if not wrong:
        return
    errors = []
    for index, problem in wrong.items():
        here = pointer((member, index))
        given = problem.errors or [FieldError(problem.detail or problem.title, pointer="")]
        errors += [FieldError(error.message, pointer=f"{here}{error.pointer or ''}") for error in given]
    raise with_errors(next(iter(wrong.values())), errors)
