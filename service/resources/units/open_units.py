"""Opens units of work for code that no change leads to: jobs, and routes written by hand."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import asyncpg
from fastapi import Depends, Request

from service import actor
from service.database import Database
from service.http.middleware.state import state_of
from service.http.problems.sqlstate import problem_of
from service.resources.declaration.unit_of_work import UnitOfWork
from service.resources.engine_registry import EngineRegistry
from service.resources.retries import retry_rolled_back
from service.resources.units.engine_unit import Caller, EngineUnit, unit_on
from service.security.principals import Principal

T = TypeVar("T")


def _service() -> Caller:
    """The job or command that runs."""
    acting = actor.current()
    request_id = None if acting is None else acting.request_id
    return Caller(Principal(actor.name(), frozenset()), request_id or "", is_service=True)


class Units:
    """Runs functions in units of work, by default those of a job, which sees the rows of all owners."""

    def __init__(
        self, database: Database, engines: EngineRegistry, caller: Callable[[], Caller] = _service
    ) -> None:
        self._database = database
        self._engines = engines
        self._caller = caller

    def of_request(self, request: Request) -> "Units":
        """Return the units of work of a request, whose principal sees its rows."""

        def caller() -> Caller:
            state = state_of(request.scope)
            if state.admitted is None:
                raise RuntimeError("a unit of work needs a principal: add require_scope to the route")
            return Caller(state.admitted, state.request_id)

        return Units(self._database, self._engines, caller)

    async def run(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Return the result of `work`, whose transaction is then committed.

        If PostgreSQL rolls it back, for example because of a deadlock, `work` runs again from the start, so it must not
        act outside the database. Its errors roll back everything; those of the database become problems.
        """
        caller = self._caller()

        async def attempt() -> tuple[T, EngineUnit]:
            try:
                async with self._database.transaction() as connection:
                    unit = unit_on(connection, self._engines, caller)
                    return await work(unit), unit
            except asyncpg.PostgresError as error:
                raise problem_of(error, {}) or error from error

        result, unit = await retry_rolled_back(attempt)
        await unit.after_commit(cancellable=caller.is_service)
        return result


async def _of_request(request: Request) -> Units:
    units: Units = request.app.state.units
    return units.of_request(request)


UnitsDep = Annotated[Units, Depends(_of_request)]
"""The units of work of a hand-written route: `await units.run(work)`."""
