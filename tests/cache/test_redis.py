"""The circuit breaker: few requests wait for a lost Redis, one client probes it, and the breaker closes by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import structlog
from prometheus_client import REGISTRY
from redis.asyncio import Redis as Client

from service.cache import redis_client as cache
from service.cache.redis_client import Redis
from service.config import RedisSettings
from service.dev import redis_server as local
from service.dev.free_ports import LOOPBACK
from tests.faults.proxy import Endpoint, Proxy
from tests.listener import listener
from tests.ports import placed

ANSWER = "return {ARGV[1]}"
SLOW = "local n = 0; for i = 1, 8000000 do n = n + i end; return {}"  # about 60 ms
RETRY_AFTER, CONNECT_TIMEOUT, TIMEOUT = 0.3, 1.0, 0.5


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    port = urlsplit(redis_url).port
    assert port
    async with Proxy(Endpoint(LOOPBACK, port)) as proxy:
        yield proxy


@pytest.fixture
async def redis(redis_url: str, proxy: Proxy) -> AsyncIterator[Redis]:
    """A client that is connected through the proxy."""
    url = urlsplit(redis_url)
    there = urlunsplit(url._replace(netloc=f":{url.password}@{LOOPBACK}:{proxy.port}"))
    # Longer than the default, as the machine may be busy. tests/faults measures the cost.
    redis = Redis(
        RedisSettings.model_validate(
            {"url": there, "retry_after": RETRY_AFTER, "timeout": TIMEOUT, "connect_timeout": CONNECT_TIMEOUT}
        )
    )
    assert await eventually(redis)
    yield redis
    await redis.close()


async def eventually(redis: Redis, *, seconds: float = 10) -> bool:
    """Whether Redis answers in time."""
    for _ in range(round(seconds / 0.02)):
        if await redis.ping():
            return True
        await asyncio.sleep(0.02)
    return False


async def ask(redis: Redis, value: str = "x") -> list[bytes] | None:
    return await redis.script(ANSWER, "cache-test", value)


def value(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


async def test_attempt_to_connect_that_takes_too_long_is_closed() -> None:
    left = asyncio.Event()

    async def be_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        left.set()

    async with listener(be_silent) as port:
        redis = Redis(
            RedisSettings.model_validate(
                {"url": f"redis://:x@{LOOPBACK}:{port}/0", "retry_after": 60, "connect_timeout": 0.1}
            )
        )
        before = value("slipway_redis_failures_total")
        await redis.start()
        assert value("slipway_redis_failures_total") == before + 1
        async with asyncio.timeout(10):
            await left.wait()
        await redis.close()


async def test_close_ends_an_attempt_to_connect(redis: Redis, proxy: Proxy) -> None:
    """Of a second connection, while the first is in use."""
    redis._connections._seconds = 60
    async with redis._connections.one():
        proxy.swallow()
        assert await ask(redis) is None
        async with asyncio.timeout(10):
            await redis.close()


async def test_concurrent_commands_share_few_connections(redis: Redis, proxy: Proxy) -> None:
    redis._settings = redis._settings.model_copy(update={"timeout": 10})
    before = value("slipway_redis_command_seconds_count")
    answers = await asyncio.gather(*(ask(redis, str(number)) for number in range(300)))
    assert answers == [[str(number).encode()] for number in range(300)]
    assert value("slipway_redis_command_seconds_count") - before >= 300
    assert proxy.connections <= cache.CONNECTIONS


async def test_only_commands_in_flight_wait_for_a_silent_redis(redis: Redis, proxy: Proxy) -> None:
    proxy.swallow()
    began = time.perf_counter()
    assert set(await asyncio.gather(*(ask(redis) for _ in range(100)))) == {None}
    assert time.perf_counter() - began < 10 * TIMEOUT, "commands waited for each other"
    assert value("slipway_redis_breaker_open") == 1
    commands = value("slipway_redis_command_seconds_count")
    assert [await ask(redis) for _ in range(1000)] == [None] * 1000
    assert value("slipway_redis_command_seconds_count") <= commands + 1  # a probe


async def test_only_one_client_probes(redis: Redis, proxy: Proxy) -> None:
    proxy.swallow()
    await ask(redis)
    before = proxy.connections
    began = time.monotonic()
    while time.monotonic() < began + 2 * (RETRY_AFTER + CONNECT_TIMEOUT):
        await asyncio.gather(*(ask(redis) for _ in range(50)))
        await asyncio.sleep(0.01)
    assert 1 <= proxy.connections - before <= 3


@pytest.mark.parametrize("forget", [True, False])
async def test_breaker_closes_when_redis_responds_again(redis: Redis, proxy: Proxy, *, forget: bool) -> None:
    """Also if the old connections hang forever."""
    await asyncio.gather(*(ask(redis) for _ in range(30)))
    proxy.swallow()
    assert await ask(redis) is None
    proxy.heal(forget=forget)
    began = time.monotonic()
    assert await eventually(redis)
    assert time.monotonic() - began < 5 * (RETRY_AFTER + TIMEOUT)
    assert value("slipway_redis_breaker_open") == 0
    assert await ask(redis) == [b"x"]


async def test_blocked_event_loop_does_not_open_the_breaker(redis: Redis) -> None:
    asking = asyncio.create_task(redis.script(SLOW, "cache-test"))
    await asyncio.sleep(0.02)
    time.sleep(3 * TIMEOUT)  # noqa: ASYNC251  # as if the process got no CPU time
    assert await asking is None
    assert value("slipway_redis_breaker_open") == 0
    assert await redis.ping()


async def test_error_reply_leaves_the_breaker_closed(redis: Redis) -> None:
    """Each one counts; one line a minute is logged."""
    before = value("slipway_redis_failures_total")
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            assert await redis.script("return redis.error_reply('OOM not now')", "cache-test") is None
    assert [line["event"] for line in lines] == ["redis refuses commands"]
    assert value("slipway_redis_failures_total") == before + 2
    assert value("slipway_redis_breaker_open") == 0
    assert await ask(redis) == [b"x"]


async def test_connections_to_a_demoted_primary_are_closed(redis: Redis) -> None:
    assert await redis.script("return redis.error_reply('READONLY a replica')", "cache-test") is None
    assert value("slipway_redis_breaker_open") == 1
    assert await eventually(redis)


async def test_connection_that_cannot_be_added_leaves_the_breaker_closed(redis: Redis, proxy: Proxy) -> None:
    async with redis._connections.one():
        proxy.refuse()
        asking = asyncio.create_task(ask(redis))
        async with asyncio.timeout(10):
            while not redis._connections._opening:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0)
            while redis._connections._opening:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.001)
    assert await asking == [b"x"]
    assert value("slipway_redis_breaker_open") == 0


async def test_connection_closed_after_an_error_makes_room_for_another(redis: Redis) -> None:
    async def fail() -> None:
        async with redis._connections.one():
            raise LookupError

    for _ in range(cache.CONNECTIONS + 1):
        assert await eventually(redis)
        with pytest.raises(LookupError):
            await fail()
    assert await eventually(redis)


async def test_connection_passes_over_callers_that_have_left(redis: Redis) -> None:
    redis._settings = redis._settings.model_copy(update={"timeout": 10})
    redis._connections._most = 1
    async with redis._connections.one():
        first, second, third = (asyncio.create_task(ask(redis)) for _ in range(3))
        await asyncio.sleep(0)
        first.cancel()
    second.cancel()  # in the turn of the event loop in which it got the connection
    assert await third == [b"x"]


async def test_connection_dropped_while_in_use_is_closed_afterwards(redis: Redis) -> None:
    async with redis._connections.one() as connection:
        await redis._connections.drop()
    assert not connection.is_connected
    assert await eventually(redis)


async def test_each_outage_is_logged(redis: Redis, proxy: Proxy) -> None:
    for _ in range(2):
        with structlog.testing.capture_logs() as lines:
            proxy.swallow()
            assert await ask(redis) is None
            proxy.heal()
            assert await eventually(redis)
        events = [line["event"] for line in lines]
        assert events[0] == "redis unreachable, each process counts for itself"
        assert events[-1] == "redis is back"


async def test_probing_continues_after_an_unexpected_error(
    redis: Redis, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    async def broken(**_: bool) -> None:
        nonlocal tried
        tried += 1
        raise RuntimeError("odd")

    with monkeypatch.context() as patch:
        patch.setattr(redis._connections, "drop", broken)
        proxy.swallow()
        assert await ask(redis) is None
        proxy.heal()
        began = time.monotonic()
        while tried < 2:
            assert time.monotonic() < began + 20 * RETRY_AFTER, "the client stopped probing"
            await asyncio.sleep(0.02)
        assert value("slipway_redis_breaker_open") == 1
    assert await eventually(redis)
    assert value("slipway_redis_breaker_open") == 0


@pytest.fixture
def own(tmp_path: Path) -> Iterator[local.RedisServer]:
    server = local.RedisServer(placed(tmp_path / "redis"))
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("between", [None, b"\xff\xfe of no encoding"])
async def test_rotated_password_needs_no_restart(
    own: local.RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    between: bytes | None,
) -> None:
    """An unreadable secret file is logged once as an unusable Redis, and no caller fails."""
    url = urlsplit(own.url)
    file = tmp_path / "secrets" / "redis" / "password"
    file.parent.mkdir(parents=True)
    file.write_text(url.password or "")
    monkeypatch.setenv("SLIPWAY_SECRETS_DIR", str(tmp_path / "secrets"))
    settings = {"port": url.port, "password": url.password, "retry_after": RETRY_AFTER, "timeout": 2}
    redis = Redis(RedisSettings.model_validate(settings))
    assert await redis.ping()
    async with Client.from_url(own.url) as operator:
        await operator.config_set("requirepass", "rotated")
        await operator.client_kill_filter(_type="normal", skipme=True)
    if between is not None:
        file.write_bytes(between)
    with structlog.testing.capture_logs() as lines:
        assert await ask(redis) is None
        await asyncio.sleep(3 * RETRY_AFTER)
        assert not await redis.ping()
    assert [line["event"] for line in lines] == ["redis unreachable, each process counts for itself"]
    assert "rotated" not in str(lines)
    file.write_text("rotated\n")
    assert await eventually(redis)
    assert await ask(redis) == [b"x"]
    await redis.close()
    # Lines of the service arrive here too, once a test has configured logging.
    strange = [record for record in caplog.records if not record.name.startswith("service.")]
    assert not strange, "the client library logs errors"
