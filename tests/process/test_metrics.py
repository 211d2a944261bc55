"""Metrics of dependencies, in one process and across several workers."""

import math
from datetime import timedelta

import httpx2
from prometheus_client import REGISTRY

from service import clock
from service.config import Settings
from service.database import Database
from service.security.api_keys.commands import revoke_key
from service.security.api_keys.expiry import KeyExpiry
from tests.conftest import DatabaseFactory
from tests.process.conftest import Serve, age_keys, new_key
from tests.process.served import Served, eventually

LIST = "/api/v1/articles?limit=1"
EXPIRY = "slipway_api_key_expiry_timestamp_seconds"
IDLE = 'slipway_database_connections{state="idle"}'


def test_pools_and_statements_are_measured(shared: Served, headers: dict[str, str]) -> None:
    def value(name: str) -> float:
        return shared.metric(f"slipway_database_{name}") or 0

    counts = ('statement_seconds_count{outcome="ok"}', "acquire_seconds_count")
    before = [value(name) for name in counts]
    for _ in range(5):
        assert shared.api.get(LIST, headers=headers).status_code == 200
    assert all(value(name) >= old + 5 for name, old in zip(counts, before, strict=True))
    assert value("connections_limit") == 8
    assert eventually(lambda: (shared.metric(IDLE) or 0) >= 2)
    assert eventually(lambda: value('connections{state="used"}') == 0)
    assert value("acquire_timeouts_total") == 0


def test_recently_verified_credentials_count_as_cache_hits(serve: Serve, headers: dict[str, str]) -> None:
    service = serve(security__key_cache_seconds=60).ready()
    for _ in range(4):
        assert service.api.get(LIST, headers=headers).status_code == 200
    for wrong in ("slw_nonsense", "x.y.z"):
        assert service.api.get(LIST, headers={"Authorization": f"Bearer {wrong}"}).status_code == 401
    found = {
        (cache, result): service.metric(f'slipway_cache_requests_total{{cache="{cache}",result="{result}"}}')
        for cache in ("api_keys", "tokens")
        for result in ("hit", "miss")
    }
    assert found == {
        ("api_keys", "hit"): 3,
        ("api_keys", "miss"): 1,
        ("tokens", "hit"): None,  # without an issuer there are no tokens
        ("tokens", "miss"): None,
    }


def test_limiter_series_exist_before_the_first_decision(serve: Serve) -> None:
    """`rate` needs the growth from 0; a series that starts after a burst shows none."""
    service = serve().ready()
    for policy in ("default", "write", "auth-failure"):
        for decision, by in (
            ("allowed", "lease"), ("allowed", "redis"), ("refused", "redis"), ("refused", "process"),
        ):  # fmt: skip
            labels = f'counted_by="{by}",decision="{decision}",policy="{policy}"'
            assert service.metric(f"slipway_limiter_decisions_total{{{labels}}}") == 0, labels


def test_event_loop_tasks_are_measured_and_end_with_requests(shared: Served, headers: dict[str, str]) -> None:
    def value() -> float:
        return shared.metric("slipway_event_loop_tasks") or 0

    assert eventually(lambda: value() > 0)
    before = value()
    waiting = [httpx2.Client(base_url=shared.api.base_url, headers=headers) for _ in range(30)]
    try:
        for client in waiting:
            assert client.get(LIST).status_code == 200
    finally:
        for client in waiting:
            client.close()
    assert eventually(lambda: value() <= before + 5)


def test_loop_lag_and_redis_are_measured_without_requests(shared: Served) -> None:
    def probed() -> float:
        return shared.metric("slipway_event_loop_lag_seconds_count") or 0

    before, pings = probed(), shared.metric("slipway_redis_command_seconds_count") or 0
    assert eventually(lambda: probed() >= before + 4)
    assert eventually(lambda: (shared.metric("slipway_redis_command_seconds_count") or 0) > pings)
    assert shared.metric("slipway_redis_breaker_open") == 0
    assert shared.metric('slipway_dependency_up{dependency="redis"}') == 1


def test_database_behind_this_version_is_reported(
    serve: Serve, shared: Served, fresh_database: DatabaseFactory
) -> None:
    assert shared.metric("slipway_migration_pending") == 0
    service = serve(database__url=fresh_database(migrated=False), redis__enabled="false").listening()
    assert eventually(lambda: service.metric("slipway_migration_pending") == 1)
    assert service.metric('slipway_dependency_up{dependency="database"}') == 1


async def test_next_key_expiry_ignores_inactive_and_short_lived_keys(
    fresh_database: DatabaseFactory,
) -> None:
    """Set them in this process, as the periodic job does."""
    url = fresh_database()
    database = Database(Settings.model_validate({"database": {"url": url}}))
    await database.start()
    expiry = KeyExpiry(database)

    async def value() -> float:
        await expiry.report()
        return REGISTRY.get_sample_value(EXPIRY) or 0

    try:
        await new_key(url, "shop:read", expires_at=clock.now() - timedelta(days=1))
        await age_keys(url)
        assert math.isnan(await value())
        for days in (1, 14):
            await new_key(url, "shop:read", expires_at=clock.now() + timedelta(days=days))
        assert math.isnan(await value())
        ends = [clock.now() + timedelta(days=days) for days in (15, 16)]
        soonest = await new_key(url, "shop:read", expires_at=ends[0])
        await new_key(url, "shop:read", expires_at=ends[1])
        assert await value() == ends[0].timestamp()
        async with database.session() as session:
            await revoke_key(session, soonest.split("_")[1])
        assert await value() == ends[1].timestamp()
    finally:
        await database.stop()
