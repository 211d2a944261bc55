"""The states of all flags in this process, refreshed from PostgreSQL, so that no request needs a statement."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import asyncpg
import orjson
import structlog
from prometheus_client import Gauge
from pydantic import JsonValue, TypeAdapter, ValidationError

from service import actor, clock
from service.actor import Actor, acting_as
from service.database import Database, DatabaseUnavailableError
from service.database.errors import CONNECTION_ERRORS, describe
from service.features.flag_names import AnyFlag, by_name
from service.features.flag_settings import check_values
from service.features.flag_state import FlagState
from service.features.kinds import WrongValueError
from service.features.targeting import Rule
from service.jobs.job import Job

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 0.5
START_SECONDS = 1.0
_STORED = (
    "SELECT name, value::text, rules::text, version FROM feature_flag WHERE deleted_at IS NULL ORDER BY name"
)
_RULES = TypeAdapter(list[Rule])
_refreshed = Gauge(
    "slipway_feature_refresh_timestamp_seconds",
    "When the process last read the feature flags from the database, in seconds since 1970.",
    multiprocess_mode="livemin",
)


class _Row(NamedTuple):
    name: str
    value: str | None
    rules: str
    version: int


class FlagStore:
    """The flags of all domains. What is set at run time comes before the settings, and those before the default.

    While the database is unreachable, flags keep their last state.
    """

    def __init__(
        self,
        database: Database,
        flags: Sequence[AnyFlag],
        settings: Mapping[str, JsonValue],
        follow: Callable[[Mapping[str, FlagState]], None] = lambda _: None,
    ) -> None:
        """`follow` is called with the states whenever they change.

        Raises `FlagError` for two flags of one name, and `ValueError` for a setting that fits no flag.
        """
        self._database = database
        self.declared = by_name(flags)
        self._settings = check_values(settings, self.declared)
        self._follow = follow
        self._rows: list[_Row] = []
        self._failing = False
        self.states: Mapping[str, FlagState] = self._states_of([])

    @property
    def jobs(self) -> list[Job]:
        """The job that refreshes the states."""
        return [Job("feature-flags", self.refresh, REFRESH_SECONDS)]

    def current(self) -> Mapping[str, FlagState]:
        """Return the states for a request or job that begins now. The mapping never changes."""
        return self.states

    async def start(self) -> None:
        """Read the flags before the first request. Gives up after `START_SECONDS`."""
        first = asyncio.create_task(self.refresh())
        await asyncio.wait({first}, timeout=START_SECONDS)
        first.cancel()

    async def refresh(self) -> None:
        """Read the flags. If that fails, log one line for the outage and keep the states."""
        # The probes' connection: flags must not wait for a busy pool.
        try:
            rows = [_Row(*row) for row in await self._database.probe(_STORED)]
        except (DatabaseUnavailableError, asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            if not self._failing:
                log.warning("feature flags cannot be read; they keep their state", reason=describe(error))
            self._failing = True
            return
        self._failing = False
        _refreshed.set(clock.unix_ns() / 1e9)
        if rows != self._rows:
            self._rows, self.states = rows, self._states_of(rows)
            self._follow(self.states)

    def source_value(self, flag: AnyFlag) -> tuple[Any, bool]:
        """Return the value of a flag without the database, and whether it is a setting."""
        if flag.name in self._settings:
            return self._settings[flag.name], True
        return flag.default, False

    def _states_of(self, rows: Sequence[_Row]) -> dict[str, FlagState]:
        stored = {row.name: row for row in rows}
        return {name: self._state(flag, stored.get(name)) for name, flag in self.declared.items()}

    def _state(self, flag: AnyFlag, row: _Row | None) -> FlagState:
        value, is_setting = self.source_value(flag)
        below = FlagState(flag.name, flag.kind, value, "settings" if is_setting else "default")
        if row is None:
            return below
        try:
            rules = _RULES.validate_json(row.rules)
            if row.value is None:
                return FlagState(flag.name, flag.kind, value, below.source, rules)
            stored = flag.kind.check(orjson.loads(row.value))
            return FlagState(flag.name, flag.kind, stored, "database", rules)
        except (WrongValueError, ValidationError) as error:
            # Set by another version of the service, in which the flag has another type.
            log.warning(
                "a stored feature flag does not fit and is ignored", flag=flag.name, reason=str(error)
            )
            return below


def with_flags(job: Job, store: FlagStore) -> Job:
    """Return the job with flags that keep their state during each run."""

    async def work() -> None:
        acting = actor.current()
        name = job.name if acting is None else acting.actor
        with acting_as(Actor(name, flags=store.current(), rows=actor.seen_rows())):
            await job.work()

    return replace(job, work=work)
