"""Imports newline-delimited JSON in batches. Lines that cannot be imported go to a report, to be fixed and retried."""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO
from uuid import UUID

import orjson
import sqlalchemy as sa
from pydantic import ValidationError

from service import actor
from service.actor import EVERY_ROW, Actor, acting_as
from service.http import problems
from service.http.content import strict_json
from service.http.content.validation import field_errors
from service.http.problems import FieldError, Problem
from service.models.base import SYSTEM_FIELDS
from service.models.uuid7 import uuid7
from service.ndjson import escape_separators
from service.resources.bulk.apply import BulkRun
from service.resources.bulk.entries import Entry
from service.resources.bulk.results import Outcome
from service.resources.columns.text import uuid
from service.resources.engine import Engine, new_values
from service.resources.imports.source import DAMAGED, ImportFormatError, open_lines
from service.resources.retries import retry_rolled_back
from service.resources.statements.statement import compile_statement, parameter
from service.resources.units.engine_unit import Caller, EngineUnit, unit_on
from service.security.principals import Principal

BATCH = 1000
LONGEST_LINE = 4 * 2**20  # bytes
REPORTED = {"line", "code", "detail", "errors", "item"}  # the members of a line in a report
LONGEST_SAMPLE = 2000  # bytes of a line that is not JSON, in the report


@dataclass(slots=True)
class Tally:
    """The progress of an import. `line` is the last line read."""

    line: int = 0
    added: int = 0
    known: int = 0
    wrong: int = 0

    def __str__(self) -> str:
        return f"{self.added} added, {self.known} already present, {self.wrong} invalid"


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    raw: bytes
    entry: Entry


class Importer:
    """Adds the items of a file to a resource, a transaction for each batch. Items whose id exists are skipped."""

    def __init__(
        self,
        engine: Engine,
        *,
        report: BinaryIO | None = None,
        progress: Callable[[Tally], None] | None = None,
    ) -> None:
        self._engine = engine
        self._report = report
        self._progress = progress
        request_id = f"import-{uuid7().hex}"
        self._actor = Actor(actor.name(), request_id, rows=EVERY_ROW)
        self._caller = Caller(Principal(self._actor.actor, frozenset()), request_id, is_service=True)
        self.tally = Tally()
        table = engine.resource.table
        self._known = compile_statement(
            sa.select(table.c.id).where(table.c.id == sa.any_(parameter("ids", sa.ARRAY(sa.Uuid()))))
        )

    async def run(self, source: BinaryIO, *, from_line: int = 1) -> Tally:
        """Import the lines from `from_line` on. Committed batches stay if this raises.

        Raises `DatabaseUnavailableError`, the `Problem` of a batch that timed out, or `ImportFormatError` for a file in
        another format.
        """
        numbered = _lines(open_lines(source), from_line)
        while batch := list(islice(numbered, BATCH)):
            with acting_as(self._actor):
                await self._batch(list(self._valid(batch)))
            self.tally.line = batch[-1][0]
            if self._progress is not None:
                self._progress(self.tally)
        return self.tally

    def _valid(self, batch: Iterable[tuple[int, bytes]]) -> Iterator[_Line]:
        seen: set[UUID] = set()
        for number, raw in batch:
            if not raw.strip():
                continue
            try:
                entry = self._entry(number, raw)
            except Problem as problem:
                self._wrong(number, raw, problem)
                continue
            if entry.id in seen:
                self.tally.known += 1
                continue
            seen.add(entry.id)
            yield _Line(number, raw, entry)

    def _entry(self, number: int, raw: bytes) -> Entry:
        if len(raw) > LONGEST_LINE:
            raise problems.InvalidJson(f"The line is longer than {LONGEST_LINE // 2**20} MiB.")
        item = _item(strict_json.parse(raw))
        given = item.pop("id", None)
        try:
            item_id = uuid7() if given is None else uuid(str(given))
        except ValueError as error:
            raise problems.ValidationFailed(errors=[FieldError(str(error), pointer="/id")]) from None
        # Exports contain these too; the database sets them itself.
        skipped = {*SYSTEM_FIELDS, *self._engine.resource.generated_fields, *self._engine.resource.computed}
        own = {name: value for name, value in item.items() if name not in skipped}
        try:
            model = self._engine.schemas.imported.model_validate_json(orjson.dumps(own))
        except ValidationError as error:
            raise problems.ValidationFailed(errors=field_errors(error)) from None
        return Entry(
            number, "create", item_id, new_values(self._engine, model, self._engine.access.every_row)
        )

    async def _batch(self, lines: list[_Line]) -> None:
        if not lines:
            return
        known, outcomes, unit = await retry_rolled_back(lambda: self._apply(lines))
        await unit.after_commit(cancellable=True)
        new = [line for line in lines if line.entry.id not in known]
        self.tally.known += len(known)
        for line in new:
            outcome = outcomes[line.entry.index]
            if isinstance(outcome, Problem):
                self._wrong(line.number, line.raw, outcome)
            else:
                self.tally.added += 1

    async def _apply(self, lines: list[_Line]) -> tuple[set[UUID], dict[int, Outcome], EngineUnit]:
        """Return the existing ids, the outcomes of the other lines, and the unit of work: one transaction."""
        engine = self._engine
        async with engine.transaction() as connection:
            ids = [line.entry.id for line in lines]
            known = {row["id"] for row in await connection.fetch(self._known.sql, ids)}
            entries = deepcopy([line.entry for line in lines if line.entry.id not in known])
            unit = unit_on(connection, engine.services.engines, self._caller)
            run = BulkRun(engine, unit, engine.access.every_row)
            outcomes = await run.apply(entries)
            await run.finish(entries, outcomes)
        return known, outcomes, unit

    def _wrong(self, number: int, raw: bytes, problem: Problem) -> None:
        self.tally.wrong += 1
        if self._report is None:
            return
        head: dict[str, Any] = {
            "line": number,
            "code": problem.code,
            "detail": problem.detail or problem.title,
            "errors": [error.as_json() for error in problem.errors],
        }
        try:
            orjson.loads(raw if len(raw) <= LONGEST_LINE else b"")
            item: Any = orjson.Fragment(raw)
        except orjson.JSONDecodeError:
            item = raw[:LONGEST_SAMPLE].decode("utf-8", "replace")
        line = orjson.dumps({**head, "item": item}, option=orjson.OPT_APPEND_NEWLINE)
        self._report.write(escape_separators(line))


def _lines(source: BinaryIO, from_line: int) -> Iterator[tuple[int, bytes]]:
    number = 0
    while raw := _readline(source):
        number += 1
        tail = raw
        while tail and not tail.endswith(b"\n"):
            tail = _readline(source)  # skip the rest of a line that is too long
        if number >= from_line:
            yield number, raw.rstrip(b"\r\n")


def _readline(source: BinaryIO) -> bytes:
    try:
        return source.readline(LONGEST_LINE + 1)
    except DAMAGED as error:
        raise ImportFormatError(f"the gzip data is damaged: {error}") from None


def _item(document: Any) -> dict[str, Any]:
    """Return the item of a line: the line itself, or the `item` of a line in a report."""
    if isinstance(document, dict) and document.keys() == REPORTED:
        document = document["item"]
    if not isinstance(document, dict):
        raise problems.ValidationFailed(errors=[FieldError("must be an object", pointer="")])
    return dict(document)
