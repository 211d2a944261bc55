"""Parses the operations of a bulk request."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError

from service.http import problems
from service.http.content.gc_pause import LARGE
from service.http.content.outline import hollow, outlined, put_back
from service.http.content.preconditions import STALE, parse_tags
from service.http.content.validation import many_unknown, too_many
from service.http.problems import FieldError, pointer
from service.http.problems.messages import message_of, place_of
from service.models.uuid7 import uuid7
from service.resources.bulk.results import Outcome
from service.resources.declaration import Action
from service.resources.engine import Engine, new_values, values_of
from service.resources.requests.unwritable import report_unwritable
from service.resources.statements.ownership import Rows


@dataclass(slots=True)
class Entry:
    """One operation of a bulk request. `index` is its position; hooks may change `values`.

    `kind` is "create", "patch" or "delete", or the name of the `action`.
    """

    index: int
    kind: str
    id: UUID
    values: dict[str, Any]
    versions: list[int] | None = None
    advice: str = STALE
    """What to do if no tag matches."""
    action: Action | None = None
    body: BaseModel | None = None


_SLICE = 20  # operations parsed in one step


async def read_entries(
    engine: Engine, operations: Sequence[Any], rows: Rows
) -> tuple[list[Entry], dict[int, Outcome]]:
    """Return the valid operations, and the problems of the others. Yields to the event loop between slices."""
    entries: list[Entry] = []
    outcomes: dict[int, Outcome] = {}
    seen: set[UUID] = set()
    for index, raw in enumerate(operations):
        if index % _SLICE == _SLICE - 1:
            await asyncio.sleep(0)
        try:
            _refuse_many_unknown(engine, index, raw)
            entry = _entry(engine, index, _validated(engine, raw), rows)
        except ValidationError as error:
            outcomes[index] = problems.ValidationFailed(errors=_errors(engine, index, error))
            continue
        except (problems.MalformedRequest, problems.ValidationFailed, problems.Forbidden) as error:
            outcomes[index] = error
            continue
        if entry.id in seen:
            here = pointer(("operations", index, "id"))
            outcomes[index] = problems.ValidationFailed(errors=[FieldError("is listed twice", pointer=here)])
            continue
        seen.add(entry.id)
        entries.append(entry)
    _sort_ids([entry for entry in entries if entry.kind == "create"])
    return entries, outcomes


def _validated(engine: Engine, raw: Any) -> Any:
    """Parse one operation into its model. Raises `ValidationError`."""
    text = orjson.dumps(raw)
    schemas = engine.schemas
    if len(text) <= LARGE:
        return schemas.bulk.operation.validate_json(text)
    if not isinstance(raw, dict):
        return schemas.bulk.operation.validate_json(orjson.dumps(hollow(raw)))
    outline, taken = {name: hollow(value) for name, value in raw.items()}, {}
    for member, schema in engine.schemas.bulk.members(raw.get("op")).items():
        if member in raw:
            outline[member], taken[member] = outlined(schema, raw[member])
    operation = schemas.bulk.large_operation.validate_json(orjson.dumps(outline))
    for member, documents in taken.items():
        put_back(getattr(operation, member), documents)
    return operation


def _refuse_many_unknown(engine: Engine, index: int, operation: Any) -> None:
    if isinstance(operation, dict):
        here = ("operations", index)
        schemas = engine.schemas.bulk.members(operation.get("op"))
        members = {"op", "id", "if_match", "item", "changes", "body"}
        wrong = many_unknown(operation, known=members, at=here)
        for member, schema in schemas.items():
            wrong = wrong or many_unknown(
                operation.get(member), known=schema.model_fields, at=(*here, member)
            )
        if wrong:
            raise problems.ValidationFailed(errors=wrong)


def _sort_ids(created: Sequence[Entry]) -> None:
    """Give new items ascending ids, so that they sort in the order of the request."""
    for entry, item_id in zip(created, sorted(entry.id for entry in created), strict=True):
        entry.id = item_id


def _errors(engine: Engine, index: int, error: ValidationError) -> list[FieldError]:
    found = too_many(error)
    for item in () if found else error.errors(include_url=False, include_input=False):
        # With several kinds of operation, a location begins with the kind, which is not in the body.
        place = place_of(item)
        path = place[1:] if place[:1] and place[0] in engine.schemas.bulk.kinds else place
        found.append(FieldError(message_of(item), pointer=pointer(("operations", index, *path))))
    at = ("operations", index)
    found = report_unwritable(found, engine.resource, (*at, "item"), new=True)
    return report_unwritable(found, engine.resource, (*at, "changes"), new=False)


def _entry(engine: Engine, index: int, operation: Any, rows: Rows) -> Entry:
    if operation.op == "create":
        return Entry(index, "create", uuid7(), new_values(engine, operation.item, rows))
    tags = parse_tags(operation.if_match)
    if tags is None:
        here = pointer(("operations", index, "if_match"))
        raise problems.MalformedRequest(errors=[FieldError("must be an entity tag or *", pointer=here)])
    versions = None if tags.any else engine.tags.versions(tags)
    changes: BaseModel | None = getattr(operation, "changes", None)
    fields = tuple(
        name for name in engine.resource.input_fields if changes and name in changes.model_fields_set
    )
    values = values_of(changes, fields) if changes else {}
    action = engine.actions.get(operation.op)
    body = getattr(operation, "body", None)
    return Entry(index, operation.op, operation.id, values, versions, tags.advice, action, body)
