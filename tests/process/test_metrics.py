"""What the metrics tell of what a process depends on, in one process and over several workers."""

import math
import re
from datetime import timedelta

import pytest

from service import clock
from tests.conftest import DatabaseFactory
from tests.process.conftest import Serve, new_key
from tests.process.served import Served, eventually

LIST = "/api/v1/products?limit=1"
EXPIRY = "slipway_api_key_expiry_timestamp_seconds"
IDLE = 'slipway_database_connections{pool="fast",state="idle"}'


def value(service: Served, name: str) -> float | None:
    """The value of a series, given as the text format writes it; None when it is not there."""
    text = service.admin.get("/metrics").text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def test_pools_and_statements_are_told(shared: Served, headers: dict[str, str]) -> None:
    def told(name: str) -> float:
        return value(shared, f"slipway_database_{name}") or 0

    counts = ('statement_seconds_count{outcome="ok",pool="fast"}', "acquire_seconds_count")
    before = [told(name) for name in counts]
    for _ in range(5):
        assert shared.api.get(LIST, headers=headers).status_code == 200
    assert all(told(name) >= old + 5 for name, old in zip(counts, before, strict=True))
    assert told('connections_limit{pool="fast"}') == 8
    assert told('connections_limit{pool="session"}') == 2
    assert eventually(lambda: (value(shared, IDLE) or 0) >= 2)
    assert told('connections{pool="fast",state="used"}') == 0
    assert told('acquire_timeouts_total{pool="fast"}') == 0


def test_credentials_verified_a_moment_ago_are_hits(serve: Serve, headers: dict[str, str]) -> None:
    service = serve(security__key_cache_seconds=60).ready()
    for _ in range(4):
        assert service.api.get(LIST, headers=headers).status_code == 200
    for wrong in ("slw_nonsense", "x.y.z"):
        assert service.api.get(LIST, headers={"Authorization": f"Bearer {wrong}"}).status_code == 401
    found = {
        (cache, result): value(service, f'slipway_cache_requests_total{{cache="{cache}",result="{result}"}}')
        for cache in ("api_keys", "tokens")
        for result in ("hit", "miss")
    }
    assert found == {
        ("api_keys", "hit"): 3,
        ("api_keys", "miss"): 1,
        ("tokens", "hit"): 0,
        ("tokens", "miss"): 0,
    }


def test_loop_lag_and_redis_are_told_without_a_request(shared: Served) -> None:
    def probed() -> float:
        return value(shared, "slipway_event_loop_lag_seconds_count") or 0

    before, pings = probed(), value(shared, "slipway_redis_command_seconds_count") or 0
    assert eventually(lambda: probed() >= before + 4)
    assert eventually(lambda: (value(shared, "slipway_redis_command_seconds_count") or 0) > pings)
    assert value(shared, "slipway_redis_breaker_open") == 0
    assert value(shared, 'slipway_dependency_up{dependency="redis"}') == 1


def test_database_behind_this_version_is_told(
    serve: Serve, shared: Served, fresh_database: DatabaseFactory
) -> None:
    assert value(shared, "slipway_migration_pending") == 0
    service = serve(database__url=fresh_database(migrated=False), redis__enabled="false").listening()
    assert eventually(lambda: value(service, "slipway_migration_pending") == 1)
    assert value(service, 'slipway_dependency_up{dependency="database"}') == 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_next_end_of_a_key_is_told(serve: Serve, fresh_database: DatabaseFactory, workers: int) -> None:
    url, soon = fresh_database(), clock.now() + timedelta(days=3)
    for expires_at in (soon + timedelta(days=1), soon, clock.now() - timedelta(days=1), None):
        await new_key(url, "catalog:read", expires_at=expires_at)
    # gunicorn leaves a socket object to the garbage collector.
    service = serve(
        database__url=url, server__workers=workers, PYTHONWARNINGS="error,ignore::ResourceWarning"
    ).ready()
    assert eventually(lambda: value(service, EXPIRY) == soon.timestamp())
    assert eventually(lambda: (value(service, IDLE) or 0) >= 2 * workers)
    assert value(service, 'slipway_database_connections_limit{pool="fast"}') == 8 * workers


def test_no_key_ends_is_not_a_number(serve: Serve, fresh_database: DatabaseFactory) -> None:
    service = serve(database__url=fresh_database()).ready()
    assert math.isnan(value(service, EXPIRY) or 0)
