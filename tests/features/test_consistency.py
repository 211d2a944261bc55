"""A request or a run of a job sees one state of each flag, however often flags change meanwhile."""

import asyncio
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
import structlog
from fastapi import APIRouter
from httpx2 import ASGITransport, AsyncClient

from service import actor, clock
from service.actor import EVERY_ROW, Actor, acting_as
from service.config import Settings
from service.database import Database
from service.features import flag_store
from service.features.flag_state import FlagState
from service.features.flag_store import FlagStore, with_flags
from service.features.live_settings import LiveGroups, live_settings
from service.jobs.job import Job
from service.main import create_app
from service.resources.domain import Domain
from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.api import settings_for
from tests.listener import few_turns, listener
from tests.shop.flags import greeting


def state(value: str) -> dict[str, FlagState]:
    return {"greeting": FlagState("greeting", greeting.kind, value, "database")}


async def test_job_keeps_its_flags_during_a_run(settings: Settings) -> None:
    store = FlagStore(Database(settings), [greeting], {"greeting": "first"})
    seen = []

    async def work() -> None:
        seen.append(greeting())
        store.states = state("second")
        seen.append(greeting())
        acting = actor.current()
        assert acting is not None
        assert (acting.actor, acting.rows) == ("job:greet", EVERY_ROW)

    job = with_flags(Job("greet", work, 1), store)
    with acting_as(Actor("job:greet", rows=EVERY_ROW)):
        await job.work()
        await job.work()
    assert seen == ["first", "first", "second", "second"]


async def test_each_outage_is_logged_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = list[float]()

    def read(time: float) -> None:
        if asyncio.current_task() is own:  # and not the store of another application
            reads.append(time)

    own = asyncio.current_task()
    monkeypatch.setattr(flag_store, "_refreshed", SimpleNamespace(set=read))
    works, gone = Database(settings), Database(settings_for("postgresql://nobody@127.0.0.1:1/none"))
    store = FlagStore(works, [greeting], {})
    with structlog.testing.capture_logs() as lines:
        for database, logged in ((gone, 1), (gone, 1), (works, 1), (gone, 2)):
            store._database = database
            began = clock.unix_ns() / 1e9
            reads.clear()
            await store.refresh()
            assert len(lines) == logged
            assert [began <= time <= clock.unix_ns() / 1e9 for time in reads] == [True] * (database is works)
    await works.stop()
    await gone.stop()


async def test_start_does_not_wait_for_a_silent_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flag_store, "START_SECONDS", 0.05)

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listener(silent) as port:
        url = f"postgresql://nobody@127.0.0.1:{port}/none"
        database = Database(settings_for(url, database={"connect_timeout": 60}))
        async with asyncio.timeout(30):
            await FlagStore(database, [greeting], {}).start()
        await few_turns()
        name = FlagStore.refresh.__qualname__
        assert [task for task in asyncio.all_tasks() if name in str(task.get_coro())] == []
        await database.stop()


def test_log_names_the_settings_that_changed_alone(settings: Settings) -> None:
    applied: list[Any] = []
    live = LiveGroups(settings, {"logging": [applied.append]})
    states = {
        flag.name: FlagState(flag.name, flag.kind, getattr(settings.logging, flag.field_name), "settings")
        for flag in live_settings()
    }
    access = next(flag for flag in live_settings() if flag.field_name == "access")
    with structlog.testing.capture_logs() as lines:
        for on in (True, True, False):
            live.follow(states | {access.name: FlagState(access.name, access.kind, on, "database")})
    assert [(line["setting"], line["value"]) for line in lines] == [
        ("SLIPWAY_LOGGING__ACCESS", True), ("SLIPWAY_LOGGING__ACCESS", False),
    ]  # fmt: skip
    assert [group.access for group in applied] == [True, False]


async def test_request_keeps_its_flags_while_they_change() -> None:
    router, running, go_on = APIRouter(), asyncio.Event(), asyncio.Event()

    @router.get("/twice")
    async def twice(_: Annotated[Principal, require_scope("twice:read")]) -> list[str]:
        first = greeting()
        running.set()
        await go_on.wait()
        return [first, greeting()]

    settings = settings_for(
        "postgresql://nobody@127.0.0.1:1/none",
        security={"anonymous": "read"},
        feature={"flags": {"greeting": "first"}},
    )
    app = create_app(settings, [Domain("twice", routers=[router], flags=[greeting])])
    async with AsyncClient(transport=ASGITransport(app), base_url="http://slipway.test") as client:
        asking = asyncio.create_task(client.get("/api/v1/twice"))
        await asyncio.wait_for(running.wait(), 10)
        app.state.flags.states = state("second")
        go_on.set()
        assert (await asking).json() == ["first", "first"]
        assert (await client.get("/api/v1/twice")).json() == ["second", "second"]
