"""Many changes in one transaction: reading them, applying them by kind, and what became of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from service.http import problems
from service.http.problems import FieldError, Problem, pointer
from service.models.ids import uuid7
from service.resources.columns.kind import Kind
from service.resources.declaration import BULK_KINDS, Change
from service.resources.engine import Engine, values_of
from service.resources.requests.preconditions import parse_tags, stale
from service.resources.statements.statement import Statement
from service.security.principals import Principal


@dataclass(slots=True)
class Entry:
    """One operation of a bulk request, by its place; `values` are what a hook may alter."""

    index: int
    kind: str
    id: UUID
    values: dict[str, Any]
    versions: list[int] | None = None
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an operation that went through: its status and the item after it, and whether that is new."""

    status: int
    id: UUID
    etag: str | None = None
    body: str | None = None
    changed: bool = True

    def as_bytes(self) -> bytes:
        head = orjson.dumps({"status": self.status, "id": self.id, "etag": self.etag})
        return head if self.body is None else head[:-1] + b',"item":' + self.body.encode() + b"}"


Outcome = Done | Problem
_KINDS = {(kind,) for kind in BULK_KINDS}


def read_entries(engine: Engine, operations: Sequence[Any]) -> tuple[list[Entry], dict[int, Outcome]]:
    """The operations that make sense, and the problems of those that do not."""
    entries: list[Entry] = []
    outcomes: dict[int, Outcome] = {}
    seen: set[UUID] = set()
    for index, raw in enumerate(operations):
        try:
            entry = _entry(engine, index, engine.schemas.bulk.operation.validate_json(orjson.dumps(raw)))
        except ValidationError as error:
            outcomes[index] = problems.ValidationFailed(errors=_errors(index, error))
            continue
        except problems.MalformedRequest as error:
            outcomes[index] = error
            continue
        if entry.id in seen:
            here = pointer(("operations", index, "id"))
            outcomes[index] = problems.ValidationFailed(errors=[FieldError("is named twice", pointer=here)])
            continue
        seen.add(entry.id)
        entries.append(entry)
    _rise([entry for entry in entries if entry.kind == "create"])
    return entries, outcomes


def _rise(created: Sequence[Entry]) -> None:
    """Give new items ids that rise in the order of the request: the statement works by id, and the first one wins."""
    for entry, rising in zip(created, sorted(entry.id for entry in created), strict=True):
        entry.id = rising


def _errors(index: int, error: ValidationError) -> list[FieldError]:
    found = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        # Where there are several kinds of operation, a location begins with the kind, which is no member of the body.
        path = item["loc"][1:] if item["loc"][:1] in _KINDS else item["loc"]
        found.append(FieldError(item["msg"], pointer=pointer(("operations", index, *path))))
    return found


def _entry(engine: Engine, index: int, operation: Any) -> Entry:
    if operation.op == "create":
        return Entry(index, "create", uuid7(), values_of(operation.item, engine.resource.own_fields))
    tags = parse_tags(operation.if_match)
    if tags is None:
        here = pointer(("operations", index, "if_match"))
        raise problems.MalformedRequest(errors=[FieldError("must be an entity tag or *", pointer=here)])
    versions = None if tags.any else engine.tags.versions(tags)
    changes: BaseModel | None = getattr(operation, "changes", None)
    fields = tuple(
        name for name in engine.resource.own_fields if changes and name in changes.model_fields_set
    )
    values = values_of(changes, fields) if changes else {}
    return Entry(index, operation.op, operation.id, values, versions, tags.some_are_weak)


class Bulk:
    """Applies entries on one connection, in its transaction."""

    def __init__(
        self, engine: Engine, connection: asyncpg.Connection, principal: Principal, request_id: str
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._principal = principal
        self._fixed = {"principal": principal.id, "ctx_request_id": request_id}

    async def apply(self, entries: Sequence[Entry]) -> dict[int, Outcome]:
        """What became of each entry: one statement for each kind of operation, more only to find who is wrong."""
        outcomes: dict[int, Outcome] = {}
        batches = self._engine.batches
        doomed = [entry.id for entry in entries if entry.kind == "delete"]
        for kind, statement, also_locked in (
            ("create", batches.create, []),
            ("patch", batches.patch, doomed),
            ("delete", batches.delete, []),
        ):
            some = await self._prepared([entry for entry in entries if entry.kind == kind], outcomes)
            if some:
                outcomes |= await self._batch(statement, some, also_locked)
        return outcomes

    async def _prepared(self, entries: list[Entry], outcomes: dict[int, Outcome]) -> list[Entry]:
        """The entries that their hooks let through."""
        hooks = self._engine.resource.hooks
        if hooks is None:
            return entries
        before = {"create": hooks.before_create, "patch": hooks.before_update, "delete": hooks.before_delete}
        passed = []
        for entry in entries:
            try:
                async with (
                    self._connection.transaction()
                ):  # a savepoint: a hook's failure is its entry's alone
                    await before[entry.kind](self.change(entry))
            except Problem as problem:
                outcomes[entry.index] = problem
            else:
                passed.append(entry)
        return passed

    def changes(self, entries: Sequence[Entry], outcomes: Mapping[int, Outcome]) -> list[Change]:
        """The entries that made a change, as hooks see them."""
        made = (
            entry for entry in entries if isinstance(done := outcomes[entry.index], Done) and done.changed
        )
        return [self.change(entry) for entry in made]

    def change(self, entry: Entry) -> Change:
        """The entry as hooks see it."""
        kind = "update" if entry.kind == "patch" else entry.kind
        return Change(kind, entry.id, self._principal, entry.values, self._connection)

    async def _batch(
        self, statement: Statement, entries: Sequence[Entry], also_locked: Sequence[UUID] = ()
    ) -> dict[int, Outcome]:
        """Run one statement for all entries; when it fails, halve them until those that are wrong stand alone.

        `also_locked` are items that a later statement changes: all locks are taken in the order of ids at once.
        """
        try:
            async with self._connection.transaction():  # a savepoint
                document = {"document": _document(self._engine.resource.kinds, entries, also_locked)}
                rows = await self._engine.run_on(self._connection, statement, {**document, **self._fixed})
        except (problems.Conflict, problems.ValidationFailed) as problem:
            if len(entries) == 1:
                return {entries[0].index: problem}
            middle = len(entries) // 2
            first = await self._batch(statement, entries[:middle], also_locked)
            return first | await self._batch(statement, entries[middle:], also_locked)
        found = {row["id"]: row for row in rows}
        return {entry.index: self._outcome(entry, found.get(entry.id)) for entry in entries}

    def _outcome(self, entry: Entry, row: asyncpg.Record | None) -> Outcome:
        engine = self._engine
        if entry.kind == "create":
            if row is None:
                errors = [
                    FieldError("is taken by another item", pointer=f"/{n}") for n in engine.unique_fields
                ]
                return problems.Duplicate(errors=errors)
            return Done(201, entry.id, engine.tags.tag(row["version"]), row["body"])
        if row is None:
            return engine.missing()
        if not row["allowed"]:
            return stale(weak=entry.weak)
        if entry.kind == "delete":
            return Done(204, entry.id)
        return Done(200, entry.id, engine.tags.tag(row["version"]), row["body"], changed=row["done"])


def _document(kinds: Mapping[str, Kind], entries: Sequence[Entry], also_locked: Sequence[UUID]) -> str:
    rows: list[dict[str, Any]] = [
        {"id": entry.id, **_in_json(kinds, entry.values)}
        if entry.kind == "create"
        else {"id": entry.id, "versions": entry.versions, "patch": _in_json(kinds, entry.values)}
        for entry in entries
    ]
    # No version at all fits, so these are locked and stay as they are.
    rows += [{"id": item_id, "versions": [], "patch": {}} for item_id in also_locked]
    return orjson.dumps(rows, default=to_jsonable_python).decode()


def _in_json(kinds: Mapping[str, Kind], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as members of a document: what PostgreSQL reads as text is written by its kind, not by a library."""
    return {
        name: value if (kind := kinds[name]).native else kind.wire(value) for name, value in values.items()
    }
