"""Probes: liveness depends on nothing, readiness on what a request needs, start-up on the application being up."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from service import clock
from service.database import Database, DatabaseUnavailableError
from service.database.errors import CONNECTION_ERRORS
from service.http.server.lifecycle import Lifecycle
from service.migrations.schema import Schema
from service.observability.metrics import dependency_up, migration_pending

CHECK_TIMEOUT = 1.0
CACHE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check. Only a critical one makes the process not ready.

    A dependency may have answered, and still not be as it must be.
    """

    ok: bool
    critical: bool
    answered: bool
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        shown = {"ok": self.ok, "critical": self.critical}
        return {**shown, "detail": self.detail} if self.detail else shown


class Health:
    """Answers the probes. Checks run in parallel, bounded in time, and are kept for half a second."""

    def __init__(
        self,
        *,
        database: Database,
        schema: Schema,
        optional: Mapping[str, Callable[[], Awaitable[bool]]],
        lifecycle: Lifecycle,
    ) -> None:
        """`optional` are dependencies that requests can do without, and whether each works."""
        self._lifecycle = lifecycle
        self._checks: dict[str, Callable[[], Awaitable[Check]]] = {
            "database": lambda: _database(database, schema),
            **{name: partial(_optional, works) for name, works in optional.items()},
        }
        self._last: dict[str, Check] = {}
        self._fresh_until = 0.0
        self._running = asyncio.Lock()
        self._closed = False

    @property
    def started(self) -> bool:
        return self._lifecycle.started

    @property
    def draining(self) -> bool:
        return self._lifecycle.draining

    async def checks(self) -> dict[str, Check]:
        """The outcome of every check, at most half a second old."""
        async with self._running:
            if not self._closed and clock.monotonic() >= self._fresh_until:
                results = await asyncio.gather(*(check() for check in self._checks.values()))
                self._last = dict(zip(self._checks, results, strict=True))
                if self.started:  # what was missing before is no news
                    self._fresh_until = clock.monotonic() + CACHE_SECONDS
                for name, check in self._last.items():
                    dependency_up.labels(name).set(check.answered)
        return self._last

    async def close(self) -> None:
        """Look after nothing any more, and return when nothing is looked after: what was found last stays."""
        async with self._running:
            self._closed = True

    async def refresh(self) -> None:
        """Look after every dependency, so that metrics tell the truth also when nobody asks a probe."""
        await self.checks()

    async def ready(self) -> bool:
        """Whether requests may come: up, not draining, and nothing critical is missing."""
        if self.draining or not self.started:
            return False
        return all(check.ok for check in (await self.checks()).values() if check.critical)


async def _database(database: Database, schema: Schema) -> Check:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            state = await schema.look()
    except TimeoutError:
        return _no_database(f"no answer in {CHECK_TIMEOUT:g} s")
    except (DatabaseUnavailableError, *CONNECTION_ERRORS) as error:
        return _no_database(str(error) or type(error).__name__)
    migration_pending.set(state.pending)
    if state.unfit:
        return Check(ok=False, critical=True, answered=True, detail=state.unfit)
    detail = f"revision {state.at}" if database.warm else "connections are being opened"
    return Check(ok=database.warm, critical=True, answered=True, detail=detail)


def _no_database(detail: str) -> Check:
    return Check(ok=False, critical=True, answered=False, detail=detail)


async def _optional(works: Callable[[], Awaitable[bool]]) -> Check:
    """Check a dependency that requests can do without. The time limit keeps it from delaying the probe."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            ok = await works()
    except TimeoutError:
        ok = False
    return Check(ok=ok, critical=False, answered=ok)
