"""Rate limits, counted in a separate Redis."""

import redis

from service.dev.redis_server import RedisServer
from tests.ports import placed
from tests.process.served import eventually
from tests.process.settings.table import Given, Running, Setup, process, setting

LIST = "/api/v1/shelves"
WRONG = {"X-API-Key": f"slw_{'0' * 12}_{'x' * 43}"}


def own_redis(setup: Setup) -> RedisServer:
    """A Redis that stops with the test."""
    server = RedisServer(placed(setup.home / "redis"))
    setup.closing.append(server.stop)
    server.start()
    setup.servers["redis"] = server
    return server


@process("limits")
def limits(setup: Setup) -> Given:
    own_redis(setup)
    return {"database__url": setup.database_url, "server__trusted_proxies": "127.0.0.0/8"}


@setting("redis__url", lambda setup: setup.servers["redis"].url, process="limits")
def limits_are_counted_in_this_redis(run: Running) -> None:
    assert run.service.api.get(LIST, headers=run.key()).status_code == 200
    with redis.Redis.from_url(run.setup.servers["redis"].url) as client:
        assert client.dbsize() > 0


@setting("rate_limit__requests", 30, process="limits")
def requests_have_a_limit(run: Running) -> None:
    key = run.key()
    statuses = [run.service.api.get(LIST, headers=key).status_code for _ in range(32)]
    assert statuses[:20] == [200] * 20
    assert statuses[-1] == 429


@setting("rate_limit__writes", 5, process="limits")
def writes_have_a_limit(run: Running) -> None:
    key = run.key()
    statuses = [run.service.api.post(LIST, headers=key, json={}).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]


@setting("rate_limit__window", 7200, process="limits")
def window_has_this_length(run: Running) -> None:
    assert "w=7200" in run.service.api.get(LIST, headers=run.key()).headers["ratelimit-policy"]


def guess(run: Running, forwarded: str) -> int:
    """Send a wrong key from an address, given as a proxy does, and return the status."""
    return run.service.api.get(LIST, headers={**WRONG, "X-Forwarded-For": forwarded}).status_code


@setting("rate_limit__auth_failures", 4, process="limits")
def wrong_credentials_have_a_limit(run: Running) -> None:
    assert [guess(run, "203.0.113.1") for _ in range(5)] == [401] * 4 + [429]


@setting("server__trusted_hops", 2, process="limits")
def second_proxy_is_trusted(run: Running) -> None:
    assert [guess(run, f"198.51.100.{number}, 127.0.0.9") for number in range(6)] == [401] * 6


@setting("redis__timeout", 3, process="limits")
def slow_redis_reply_arrives_in_time(run: Running) -> None:
    keys = [run.key() for _ in range(3)]
    run.service.api.get(LIST, headers=keys[0])
    failures = run.service.metric("slipway_redis_failures_total")
    with redis.Redis.from_url(run.setup.servers["redis"].url) as client:
        client.execute_command("CLIENT", "PAUSE", "1000", "ALL")
    for key in keys:  # a caller that is new needs Redis
        assert run.service.api.get(LIST, headers=key).status_code == 200
    assert run.service.metric("slipway_redis_failures_total") == failures


@setting("redis__retry_after", 30, process="limits")
def lost_redis_is_retried_after_the_pause(run: Running) -> None:
    server = run.setup.servers["redis"]
    server.stop()
    assert eventually(lambda: _limited_alone(run))
    server.start()
    # By default, a probe at most every 2.4 s, and as long until all processes use it again.
    assert not eventually(lambda: not _limited_alone(run), seconds=7)


def _limited_alone(run: Running) -> bool:
    run.service.api.get(LIST, headers=run.key())
    return run.service.metric("slipway_redis_breaker_open") == 1
