"""Rate limits across processes: with Redis, without it, and when it fails."""

import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from service.dev.redis_server import RedisServer
from tests.ports import placed
from tests.process.conftest import Serve
from tests.process.served import Served, eventually
from tests.process.test_seen import key_of, line_of

LIST = "/api/v1/articles?limit=1"
LIMIT = 10


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own, to fill and to stop."""
    server = RedisServer(placed(tmp_path / "redis"))
    server.start()
    yield server
    server.stop()


def strict(serve: Serve, **settings: object) -> Served:
    """A service with anonymous reads and strict limits by address."""
    given = {"rate_limit__requests": LIMIT, "rate_limit__window": 3600, "security__anonymous": "read"}
    return serve(**{**given, **settings}).ready()


def test_two_processes_share_limits_through_redis(serve: Serve, own_redis: RedisServer) -> None:
    # Long timeouts: on a busy machine, requests that time out in Redis are counted locally.
    pair = [strict(serve, redis__url=own_redis.url, redis__timeout=5) for _ in range(2)]
    responses = [pair[n % 2].api.get(LIST) for n in range(LIMIT + 6)]
    assert [a.status_code for a in responses] == [200] * LIMIT + [429] * 6
    refused = responses[-1]
    assert refused.json()["code"] == "too_many_requests"
    assert refused.headers["content-type"] == "application/problem+json"
    assert 300 <= int(refused.headers["retry-after"]) <= 360  # one of ten in an hour
    assert refused.headers["ratelimit"] == '"default";r=0'
    assert pair[0].api.get("/health").status_code == 200


def test_three_processes_keep_the_limit_during_a_redis_restart(serve: Serve, own_redis: RedisServer) -> None:
    given = {"rate_limit__requests": 600, "rate_limit__window": 3600, "security__anonymous": "read"}
    trio = [
        serve(redis__url=own_redis.url, redis__retry_after=0.3, redis__timeout=1, **given) for _ in range(3)
    ]
    statuses: list[int] = []

    def ask(service: Served) -> None:
        statuses.append(service.api.get(LIST).status_code)

    def flood(service: Served) -> None:
        for _ in range(500):
            ask(service)

    for service in trio:
        service.ready()
    for service in trio:  # before anybody asks them for anything
        assert eventually(partial(three_processes_are_registered, service))
    floods = [Thread(target=flood, args=[service]) for service in trio]
    for one in floods:
        one.start()
    assert eventually(lambda: statuses.count(200) > 200, seconds=30)
    own_redis.stop()
    sent = len(statuses)
    assert eventually(lambda: len(statuses) > sent + 100, seconds=30)
    own_redis.start()
    for one in floods:
        one.join()
    assert set(statuses) == {200, 429}
    assert 600 * 0.9 <= statuses.count(200) <= 600 * 1.05
    for service in trio:
        assert eventually(partial(service.lines, event="redis is back"))


def test_process_counts_alone_without_redis(serve: Serve, headers: dict[str, str]) -> None:
    service = strict(serve, redis__enabled="false", security__key_cache_seconds=0.2)
    keyed = [service.api.get(LIST, headers=headers) for _ in range(LIMIT + 3)]
    time.sleep(0.3)  # the key's entry ends; it still counts for its principal
    keyed.append(service.api.get(LIST, headers=headers))
    assert [a.status_code for a in keyed] == [200] * (LIMIT + 1) + [
        429
    ] * 3  # the first one counted by address
    for response in keyed:
        line = line_of(service, response.headers["x-request-id"])
        assert (line["status"], line["principal"]) == (response.status_code, key_of(headers))
    statuses = Counter(service.api.get(LIST).status_code for _ in range(LIMIT + 3))
    assert statuses == {200: LIMIT - 1, 429: 4}


def test_rate_limits_can_be_disabled(serve: Serve) -> None:
    service = strict(serve, redis__enabled="false", rate_limit__enabled="false")
    responses = [service.api.get(LIST) for _ in range(LIMIT + 3)]
    assert {a.status_code for a in responses} == {200}
    assert "ratelimit" not in responses[0].headers


def three_processes_are_registered(service: Served) -> bool:
    return "slipway_limiter_processes 3.0" in service.admin.get("/metrics").text
