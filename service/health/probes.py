"""What the probes report: liveness depends on nothing, readiness on what requests need, start-up on the lifespan."""

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

    `answered` but not `ok`: the dependency is reachable and in the wrong state, such as a database without migrations.
    """

    ok: bool
    critical: bool
    answered: bool
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        shown = {"ok": self.ok, "critical": self.critical}
        return {**shown, "detail": self.detail} if self.detail else shown


class Health:
    """Answers the probes. Checks run in parallel with a timeout; results are cached for half a second."""

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
        """Return the outcome of every check, at most half a second old."""
        async with self._running:
            if not self._closed and clock.monotonic() >= self._fresh_until:
                results = await asyncio.gather(*(check() for check in self._checks.values()))
                self._last = dict(zip(self._checks, results, strict=True))
                if self.started:  # while starting, do not cache: readiness must follow at once
                    self._fresh_until = clock.monotonic() + CACHE_SECONDS
                for name, check in self._last.items():
                    dependency_up.labels(name).set(check.answered)
        return self._last

    async def close(self) -> None:
        """Stop checking. Returns when no check is running; the last results stay."""
        async with self._running:
            self._closed = True

    async def refresh(self) -> None:
        """Run the checks if needed, so that the metrics are current even if nobody calls a probe."""
        await self.checks()

    async def ready(self) -> bool:
        """Whether the process can take requests: started, not draining, all critical checks ok."""
        if self.draining or not self.started:
            return False
        return all(check.ok for check in (await self.checks()).values() if check.critical)


async def _database(database: Database, schema: Schema) -> Check:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            state = await schema.look()
    except TimeoutError:
        return _no_database(f"no response in {CHECK_TIMEOUT:g} s")
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
