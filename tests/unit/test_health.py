"""The admin port's `/readyz`: what it waits for, how long it remembers, and what the metrics say of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY

from service import clock
from service.config import Settings
from service.database import Database
from service.health import probes
from service.health.admin_port import create_admin_app
from service.health.probes import CACHE_SECONDS, Health
from service.http.server.lifecycle import Lifecycle
from service.migrations.revisions import heads
from service.migrations.schema import Schema
from tests.listener import listener

FINE = {"ok": True, "critical": True, "detail": f"revision {heads()}"}


class Extra:
    """A dependency that requests can do without."""

    def __init__(self) -> None:
        self.works, self.asked, self.hangs = True, 0, False

    async def __call__(self) -> bool:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(3600)
        return self.works


class Probed:
    """The admin port of a process whose lifecycle and dependency a test sets."""

    def __init__(self, url: str) -> None:
        settings = Settings.model_validate({"database": {"url": url}})
        self.database = Database(settings)
        self.lifecycle, self.extra = Lifecycle(started=True), Extra()
        self.health = Health(
            database=self.database,
            schema=Schema(self.database, []),
            optional={"extra": self.extra},
            lifecycle=self.lifecycle,
        )
        app: Any = create_admin_app(self.health, settings, self.lifecycle)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://admin")

    async def ready(self) -> tuple[int, Any]:
        response = await self.client.get("/readyz")
        return response.status_code, response.json()

    async def close(self) -> None:
        await self.client.aclose()
        await self.database.stop()


@pytest.fixture
async def probed(database_url: str) -> AsyncIterator[Probed]:
    made = Probed(database_url)
    await made.database.start()
    async with asyncio.timeout(10):
        while not made.database.warm:  # noqa: ASYNC110  # the pool tells nobody
            await asyncio.sleep(0.001)
    yield made
    await made.close()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the clock."""
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    return now


def up(name: str) -> float | None:
    return REGISTRY.get_sample_value("slipway_dependency_up", {"dependency": name})


async def test_checks_are_remembered_for_half_a_second(probed: Probed, now: list[float]) -> None:
    assert CACHE_SECONDS == 0.5
    for passed, asked in ((0, 1), (0.49, 1), (0.01, 2), (0.2, 2)):
        now[0] += passed
        assert (await probed.ready())[0] == 200
        assert probed.extra.asked == asked
    await asyncio.gather(probed.ready(), probed.ready(), probed.health.refresh())
    now[0] += 1
    await asyncio.gather(probed.ready(), probed.ready(), probed.health.refresh())
    assert probed.extra.asked == 3


async def test_process_that_starts_is_ready_as_soon_as_it_has_started(probed: Probed) -> None:
    probed.lifecycle.started = False
    for asked in (1, 2):
        assert await probed.ready() == (
            503, {"status": "not ready", "checks": {"database": FINE, "extra": {"ok": True, "critical": False}}},
        )  # fmt: skip
        assert probed.extra.asked == asked
    assert (await probed.client.get("/startupz")).status_code == 503
    probed.lifecycle.started = True
    assert (await probed.client.get("/startupz")).json() == {"status": "started"}
    assert (await probed.ready())[1]["status"] == "ready"
    assert probed.extra.asked == 3


async def test_process_that_drains_is_alive_and_not_ready(probed: Probed) -> None:
    probed.lifecycle.draining = True
    status, shown = await probed.ready()
    assert (status, shown["status"], shown["checks"]["database"]) == (503, "draining", FINE)
    assert (await probed.client.get("/livez")).json() == {"status": "alive"}


async def test_metrics_have_the_content_type_of_their_format(probed: Probed) -> None:
    """Prometheus 3 does not read a response without it."""
    response = await probed.client.get("/metrics")
    assert response.headers["content-type"] == CONTENT_TYPE_LATEST


async def test_dependency_that_fails_does_not_make_it_unready(probed: Probed, now: list[float]) -> None:
    await probed.ready()
    assert (up("extra"), up("database")) == (1, 1)
    probed.extra.works = False
    now[0] += 1
    status, shown = await probed.ready()
    assert (status, shown["checks"]["extra"]) == (200, {"ok": False, "critical": False})
    assert (up("extra"), up("database")) == (0, 1)


async def test_dependency_that_hangs_counts_as_failed(
    probed: Probed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "CHECK_TIMEOUT", 0.05)
    probed.extra.hangs = True
    async with asyncio.timeout(20):
        _, shown = await probed.ready()
    assert shown["checks"]["extra"] == {"ok": False, "critical": False}


async def test_last_results_stay_once_checks_have_stopped(probed: Probed, now: list[float]) -> None:
    await probed.ready()
    await probed.health.close()
    probed.extra.works = False
    now[0] += 1
    assert (await probed.ready())[1]["checks"]["extra"]["ok"]
    assert probed.extra.asked == 1


async def test_database_that_does_not_respond_makes_it_unready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "CHECK_TIMEOUT", 0.05)

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listener(silent) as port:
        probed = Probed(f"postgresql://u:p@127.0.0.1:{port}/d")
        status, shown = await probed.ready()
        await probed.close()
    assert (status, up("database"), up("extra")) == (503, 0, 1)
    assert shown["checks"]["database"] == {"ok": False, "critical": True, "detail": "no response in 0.05 s"}
    refused = Probed("postgresql://u:p@127.0.0.1:1/d")
    status, shown = await refused.ready()
    await refused.close()
    assert (status, shown["checks"]["database"]["ok"]) == (503, False)
    assert shown["checks"]["database"]["detail"]


async def test_database_without_open_connections_is_not_ready_yet(database_url: str) -> None:
    probed = Probed(database_url)
    status, shown = await probed.ready()
    await probed.close()
    assert (status, up("database")) == (503, 1)
    assert shown["checks"]["database"]["detail"] == "connections are being opened"
