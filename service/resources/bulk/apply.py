"""Applies the operations of a bulk request in one transaction; errors do not increase the number of statements."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from pydantic_core import to_jsonable_python

from service.http import problems
from service.http.content.preconditions import Guard
from service.http.problems import FieldError, Problem, pointer
from service.resources.actions.run_action import ActionRun
from service.resources.bulk.entries import Entry
from service.resources.bulk.results import Done, Outcome
from service.resources.declaration import Change
from service.resources.engine import Engine
from service.resources.statements.batches import EACH, text_for_each
from service.resources.statements.ownership import Rows
from service.resources.statements.statement import Statement
from service.resources.units.engine_unit import EngineUnit

_REFUSED = (problems.Conflict, problems.ValidationFailed)


class BulkRun:
    """Applies entries in a unit of work of a principal who sees `rows`.

    Sends one statement for each kind of operation. If the database refuses it, a second statement applies the
    operations of that kind one by one inside the server. After `most_errors` errors an atomic run, which is rolled back
    anyway, stops; the remaining operations then have no outcome.
    """

    def __init__(
        self,
        engine: Engine,
        unit: EngineUnit,
        rows: Rows,
        *,
        most_errors: int | None = None,
    ) -> None:
        self._engine = engine
        self._unit = unit
        self._rows = rows
        self._most = most_errors
        self._fixed = {"principal": unit.principal.id, "request_id": unit.caller.request_id}
        self._wrong = 0

    async def apply(self, entries: Sequence[Entry]) -> dict[int, Outcome]:
        """Return the outcome of each entry: creates first, then patches, then actions, then deletes."""
        outcomes: dict[int, Outcome] = {}
        batches = self._engine.batches
        doomed = [entry.id for entry in entries if entry.kind == "delete"]
        for kind, statement, strict, also_locked in (
            ("create", batches.create, batches.create_strictly, []),
            ("patch", batches.patch, batches.patch, doomed),
            ("delete", batches.delete, batches.delete, []),
        ):
            if kind == "delete":
                await self._act([entry for entry in entries if entry.action is not None], outcomes)
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
        """The order of locks: new rows by unique values, on a tie in request order; others by id."""
        if entry.kind != "create":
            return (entry.id,)
        return tuple(str(entry.values.get(name)) for name in self._engine.unique_fields)

    async def _act(self, entries: Sequence[Entry], outcomes: dict[int, Outcome]) -> None:
        """Run actions one after the other, each in a savepoint, in the order of ids, as batches take their locks."""
        run = ActionRun(self._engine, self._unit, self._rows)
        for entry in sorted(entries, key=self._order):
            if self._enough():
                break
            assert entry.action is not None
            guard = Guard(entry.versions, None, entry.advice)
            try:
                async with self._unit.savepoint():
                    row, change = await run.run(entry.action, entry.id, guard, entry.body)
            except Problem as problem:
                self._note(outcomes, {entry.index: problem})
            else:
                entry.values = change.values
                tag = self._engine.tags.tag(row["version"])
                self._note(outcomes, {entry.index: Done(200, entry.id, tag, row["body"])})

    async def _prepared(self, entries: list[Entry], outcomes: dict[int, Outcome]) -> list[Entry]:
        """Return the entries that pass their hooks."""
        hooks = self._engine.hooks
        passed = []
        for entry in entries:
            if not hooks.stand_before(_operation(entry)):
                return entries
            if self._enough():
                break
            change = self._change(entry)
            try:
                async with self._unit.savepoint():  # a failure affects only its entry
                    await hooks.before(change)
            except Problem as problem:
                self._note(outcomes, {entry.index: problem})
            else:
                entry.values = change.values
                passed.append(entry)
        return passed

    async def finish(self, entries: Sequence[Entry], outcomes: Mapping[int, Outcome]) -> None:
        """Run the hooks at the end of the entries that made a change."""
        if self._engine.hooks.exist:
            made = (
                entry for entry in entries if isinstance(done := outcomes[entry.index], Done) and done.changed
            )
            await self._unit.finish(self._engine, *map(self._change, made))

    async def final(self, outcomes: Mapping[int, Outcome]) -> dict[int, Outcome]:
        """Return the outcomes with the items as all entries and hooks leave them, if members have subqueries."""
        shown = {i: o for i, o in outcomes.items() if isinstance(o, Done) and o.body is not None}
        rows = await self._engine.final_rows(self._unit.connection, [done.id for done in shown.values()])
        tag = self._engine.tags.tag
        found = {
            index: replace(done, etag=tag(row["version"]), body=row["body"])
            for index, done in shown.items()
            if (row := rows.get(done.id)) is not None
        }
        return {**outcomes, **found}

    def _change(self, entry: Entry) -> Change:
        """Return the entry as hooks see it."""
        action = entry.action.name if entry.action else None
        return self._unit.change(
            self._engine, _operation(entry), entry.id, entry.values, self._rows, action=action
        )

    async def _batch(
        self, statement: Statement, strict: Statement, entries: Sequence[Entry], also_locked: Sequence[UUID]
    ) -> dict[int, Outcome]:
        """Run one statement for all entries; if the database refuses it, apply them one by one.

        `also_locked` are items that a later statement changes: all locks are taken together, in the order of ids.
        """
        try:
            async with self._unit.connection.transaction():  # a savepoint
                values = {"document": self._document(entries, also_locked), **self._fixed}
                rows = await self._engine.run_on(self._unit.connection, statement, values)
        except _REFUSED:
            return await self._one_by_one(strict, entries, also_locked)
        found = {row["id"]: row for row in rows}
        skipped = [entry for entry in entries if entry.kind == "create" and entry.id not in found]
        if skipped and self._engine.sole_key is None:  # only an error tells in which constraint they conflict
            outcomes = await self._one_by_one(strict, skipped, [])
            entries = [entry for entry in entries if entry.id in found]
        else:
            outcomes = {}
        return outcomes | {entry.index: self._outcome(entry, found.get(entry.id)) for entry in entries}

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
        rows = {row["id"]: row for row in await self._engine.run_on(self._unit.connection, EACH, values)}
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
        """Return the entries as statement parameters, in lock order."""
        rows: list[dict[str, Any]]
        if entries[0].kind == "create":
            rows = [{"id": entry.id, **self._in_json(entry)} for entry in entries]
        else:
            rows = [{"_id": e.id, "_versions": e.versions, "_patch": self._in_json(e)} for e in entries]
            # No version matches, so these rows are locked but not changed.
            rows += [{"_id": item_id, "_versions": [], "_patch": {}} for item_id in also_locked]
            rows.sort(key=lambda row: row["_id"])
        if self._rows.arguments:
            seen = self._rows.in_json()
            rows = [{**row, "_rows": seen} for row in rows]
        return orjson.dumps(rows, default=to_jsonable_python).decode()

    def _in_json(self, entry: Entry) -> dict[str, Any]:
        """Return the values as document members; kinds that travel as text are converted."""
        kinds = self._engine.resource.kinds
        return {
            name: value if (kind := kinds[name]).native else kind.wire(value)
            for name, value in entry.values.items()
        }

    def _problem(self, error: str) -> Problem:
        """Return the problem for an error recorded by the server, an object with the fields of the wire protocol."""
        problem = self._engine.problem(asyncpg.PostgresError.new(orjson.loads(error)))
        if not isinstance(problem, Problem):
            raise problem
        return problem

    def _outcome(self, entry: Entry, row: asyncpg.Record | None) -> Outcome:
        engine = self._engine
        if entry.kind == "create":
            if row is None:
                errors = [
                    FieldError("is already used by another item", pointer=pointer((name,)))
                    for name in engine.sole_key or ()
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
    return entry.kind if entry.kind in {"create", "delete"} else "update"
