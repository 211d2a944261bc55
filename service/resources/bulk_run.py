"""Applying the operations of a bulk request in one transaction, in a number of statements that errors do not raise."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from pydantic_core import to_jsonable_python

from service.http import problems
from service.http.problems import FieldError, Problem
from service.resources.bulk import Done, Entry, Outcome
from service.resources.declaration import Change
from service.resources.engine import Engine
from service.resources.statements.batches import EACH, text_for_each
from service.resources.statements.statement import Statement
from service.security.principals import Principal

_REFUSED = (problems.Conflict, problems.ValidationFailed)


class BulkRun:
    """Applies entries on one connection, in its transaction.

    One statement for each kind of operation. When the database refuses one, a second statement applies the operations
    of that kind one by one within the server. `most_errors` ends a run early that its first errors undo anyway; the
    operations that are left then have no outcome.
    """

    def __init__(
        self,
        engine: Engine,
        connection: asyncpg.Connection,
        principal: Principal,
        request_id: str,
        *,
        most_errors: int | None = None,
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._principal = principal
        self._most = most_errors
        self._fixed = {"principal": principal.id, "request_id": request_id}
        self._wrong = 0

    async def apply(self, entries: Sequence[Entry]) -> dict[int, Outcome]:
        """What became of each entry: creations first, then patches, then deletions."""
        outcomes: dict[int, Outcome] = {}
        batches = self._engine.batches
        doomed = [entry.id for entry in entries if entry.kind == "delete"]
        for kind, statement, strict, also_locked in (
            ("create", batches.create, batches.create_strictly, []),
            ("patch", batches.patch, batches.patch, doomed),
            ("delete", batches.delete, batches.delete, []),
        ):
            some = await self._prepared([entry for entry in entries if entry.kind == kind], outcomes)
            if some and not self._enough():
                some.sort(key=self._order)
                self._note(outcomes, await self._batch(statement, strict, some, also_locked))
            if self._enough():
                break
        return outcomes

    def _enough(self) -> bool:
        return self._most is not None and self._wrong >= self._most

    def _note(self, outcomes: dict[int, Outcome], found: Mapping[int, Outcome]) -> None:
        outcomes.update(found)
        self._wrong += sum(isinstance(outcome, Problem) for outcome in found.values())

    def _order(self, entry: Entry) -> tuple[Any, ...]:
        """The order of locks: by unique values for new rows, the first of equals first; by id for the others."""
        if entry.kind != "create":
            return (entry.id,)
        return tuple(str(entry.values.get(name)) for name in self._engine.unique_fields)

    async def _prepared(self, entries: list[Entry], outcomes: dict[int, Outcome]) -> list[Entry]:
        """The entries that their hooks let through."""
        hooks = self._engine.hooks
        passed = []
        for entry in entries:
            if not hooks.stand_before(_operation(entry)):
                return entries
            if self._enough():
                break
            change = self.change(entry)
            try:
                async with self._connection.transaction():  # a savepoint: a failure is its entry's alone
                    await hooks.before(change)
            except Problem as problem:
                self._note(outcomes, {entry.index: problem})
            else:
                entry.values = change.values
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
        return Change(_operation(entry), entry.id, self._principal, entry.values, self._connection)

    async def _batch(
        self, statement: Statement, strict: Statement, entries: Sequence[Entry], also_locked: Sequence[UUID]
    ) -> dict[int, Outcome]:
        """Run one statement for all entries; when the database refuses it, run it for one after the other.

        `also_locked` are items that a later statement changes: all locks are taken in the order of ids at once.
        """
        try:
            async with self._connection.transaction():  # a savepoint
                values = {"document": self._document(entries, also_locked), **self._fixed}
                rows = await self._engine.run_on(self._connection, statement, values)
        except _REFUSED:
            return await self._one_by_one(strict, entries, also_locked)
        found = {row["id"]: row for row in rows}
        taken = [entry for entry in entries if entry.kind == "create" and entry.id not in found]
        outcomes = {entry.index: self._outcome(entry, found.get(entry.id)) for entry in entries}
        if taken and self._engine.unique_keys > 1:  # which of them is taken, only an error tells
            outcomes |= await self._one_by_one(strict, taken, [])
        return outcomes

    async def _one_by_one(
        self, statement: Statement, entries: Sequence[Entry], also_locked: Sequence[UUID]
    ) -> dict[int, Outcome]:
        most = len(entries) if self._most is None else self._most
        values = {
            "statement": text_for_each(statement),
            "document": self._document(entries, also_locked),
            "most": most,
            **self._fixed,
        }
        rows = {row["id"]: row for row in await self._engine.run_on(self._connection, EACH, values)}
        outcomes: dict[int, Outcome] = {}
        for entry in entries:
            if (row := rows.get(entry.id)) is not None:
                error = row["error"]
                outcomes[entry.index] = (
                    self._outcome(entry, row if row["matched"] else None)
                    if error is None
                    else self._problem(error)
                )
        return outcomes

    def _document(self, entries: Sequence[Entry], also_locked: Sequence[UUID]) -> str:
        """The entries as the statements take them, in the order of their locks."""
        rows: list[dict[str, Any]]
        if entries[0].kind == "create":
            rows = [{"id": entry.id, **self._in_json(entry)} for entry in entries]
        else:
            rows = [{"_id": e.id, "_versions": e.versions, "_patch": self._in_json(e)} for e in entries]
            # No version at all fits, so these are locked and stay as they are.
            rows += [{"_id": item_id, "_versions": [], "_patch": {}} for item_id in also_locked]
            rows.sort(key=lambda row: row["_id"])
        return orjson.dumps(rows, default=to_jsonable_python).decode()

    def _in_json(self, entry: Entry) -> dict[str, Any]:
        """The values as members of a document: what PostgreSQL reads as text is written by its kind."""
        kinds = self._engine.resource.kinds
        return {
            name: value if (kind := kinds[name]).native else kind.wire(value)
            for name, value in entry.values.items()
        }

    def _problem(self, error: str) -> Problem:
        """The problem of an error that the server has kept as an object of its protocol's fields."""
        problem = self._engine.problem(asyncpg.PostgresError.new(orjson.loads(error)))
        if not isinstance(problem, Problem):
            raise problem
        return problem

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
            return problems.PreconditionFailed(entry.advice)
        if entry.kind == "delete":
            return Done(204, entry.id)
        return Done(200, entry.id, engine.tags.tag(row["version"]), row["body"], changed=row["done"])


def _operation(entry: Entry) -> str:
    return "update" if entry.kind == "patch" else entry.kind
