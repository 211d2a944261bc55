"""The client asks a Sentinel for the primary, and takes nothing else for one."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from redis.asyncio import Redis as Client
from redis.asyncio import SSLConnection

from service.cache.redis_client import Redis
from service.cache.sentinel import Primary
from service.config import RedisSettings
from service.dev.redis_server import RedisServer
from tests.listener import listener
from tests.ports import placed
from tests.sentinels import MASTER, Sentinel, password_of, port_of

HOUR = 3600.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(placed(tmp_path / "redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def sentinel(server: RedisServer, tmp_path: Path) -> AsyncIterator[Sentinel]:
    found = Sentinel(tmp_path / "sentinel", port_of(server), password_of(server), down=HOUR)
    found.start()
    yield found
    found.stop()


def client(server: RedisServer, sentinel: Sentinel, **more: object) -> Redis:
    given = {
        "sentinels": (f"127.0.0.1:{sentinel.port}",),
        "sentinel_master": MASTER,
        "password": password_of(server),
        "timeout": 2,
        **more,
    }
    return Redis(RedisSettings.model_validate(given))


async def reasons(redis: Redis) -> list[str]:
    """Return why the client reaches no primary, as its log says."""
    with structlog.testing.capture_logs() as lines:
        assert not await redis.ping()
    await redis.close()
    return [str(line["reason"]) for line in lines]


@pytest.mark.parametrize("of_sentinels", [False, True])
def test_sentinels_and_servers_may_differ_in_tls(tmp_path: Path, *, of_sentinels: bool) -> None:
    one = tmp_path / "one.pem"
    one.touch()
    given: dict[str, object] = {"sentinels": ("127.0.0.1:1",), "sentinel_master": MASTER}
    given |= {"sentinel_tls": of_sentinels, "tls": not of_sentinels}
    given |= {"sentinel_root_cert" if of_sentinels else "root_cert": one}
    primary = Primary(RedisSettings.model_validate(given), None)
    asks, serves = primary._sentinels.sentinel_kwargs, primary._pool.connection_kwargs
    assert (asks["ssl"], asks.get("ssl_ca_certs")) == (of_sentinels, str(one) if of_sentinels else None)
    assert serves.get("ssl_ca_certs") == (None if of_sentinels else str(one))
    assert issubclass(primary._pool.connection_class, SSLConnection) is not of_sentinels


async def test_demoted_primary_is_not_used(server: RedisServer, sentinel: Sentinel) -> None:
    """A Sentinel may name it for some seconds; a replica would take messages that reach nobody."""
    redis = client(server, sentinel)
    assert await redis.ping()
    await redis.close()
    async with Client.from_url(server.url) as operator:
        await operator.replicaof("127.0.0.1", sentinel.port)  # of which it is never in sync
    assert await reasons(client(server, sentinel)) == ["connecting failed: ReadOnlyError"]


async def test_no_sentinel_is_forgotten_by_many_who_ask_at_once(
    server: RedisServer, sentinel: Sentinel, tmp_path: Path
) -> None:
    """The first one is down when ten connections ask, and the only one left later."""
    other = Sentinel(tmp_path / "other", port_of(server), password_of(server), down=HOUR)
    both = tuple(f"127.0.0.1:{one.port}" for one in (other, sentinel))
    redis = client(server, sentinel, sentinels=both)
    made = [redis.new_connection() for _ in range(10)]
    await asyncio.gather(*(connection.connect() for connection in made))  # type: ignore[no-untyped-call]
    await asyncio.gather(*(connection.disconnect() for connection in made))
    other.start()
    sentinel.stop()
    await made[0].connect()  # type: ignore[no-untyped-call]
    await made[0].disconnect()
    await redis.close()
    other.stop()


async def test_silent_sentinel_leaves_time_for_the_next_one(server: RedisServer, sentinel: Sentinel) -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listener(silent) as port:
        both = (f"127.0.0.1:{port}", f"127.0.0.1:{sentinel.port}")
        redis = client(server, sentinel, sentinels=both, connect_timeout=0.9)
        assert await redis.ping()
        await redis.close()


async def test_log_says_when_failovers_are_not_followed(server: RedisServer, sentinel: Sentinel) -> None:
    redis = client(server, sentinel)
    (job,) = redis.jobs
    assert await redis.ping()
    sentinel.stop()
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            await job.work()
        sentinel.start()
        await job.work()
    assert await redis.ping()  # by the connection from before
    await redis.close()
    assert [line["event"] for line in lines] == [
        "redis failovers are not followed",
        "redis failovers are followed again",
    ]
    assert lines[0]["reason"].endswith(": ConnectionError")


async def is_used(server: RedisServer) -> bool:
    """Whether the client of a test, whose user is `app`, has connections to a server."""
    async with Client.from_url(server.url) as operator:
        return "app" in {one["user"] for one in await operator.client_list()}


async def test_connections_follow_a_primary_that_is_replaced_alive(
    server: RedisServer, sentinel: Sentinel, tmp_path: Path
) -> None:
    other = RedisServer(placed(tmp_path / "other"))
    shutil.copy2(tmp_path / "redis" / "password", tmp_path / "other" / "password")
    other.start()
    for node in (server, other):
        async with Client.from_url(node.url) as operator:
            await operator.acl_setuser("app", enabled=True, passwords=["+secret"], commands=["+@all"])
    redis = client(server, sentinel, user="app", password="secret")
    (job,) = redis.jobs
    with structlog.testing.capture_logs() as lines:
        await job.work()
        assert await redis.ping()
        assert await is_used(server)
        sentinel.forget()
        sentinel.watch(other)
        for _ in range(2):
            await job.work()
        async with asyncio.timeout(10):
            while await is_used(server) or not await is_used(other):
                await redis.ping()
    await redis.close()
    other.stop()
    assert [(line["event"], line["host"], line["port"]) for line in lines] == [
        ("redis has another primary", "127.0.0.1", port_of(other))
    ]


async def test_user_without_the_command_is_trusted(server: RedisServer, sentinel: Sentinel) -> None:
    async with Client.from_url(server.url) as operator:
        await operator.acl_setuser("app", enabled=True, passwords=["+secret"], commands=["+ping"])
    redis = client(server, sentinel, user="app", password="secret")
    assert await redis.ping()
    await redis.close()


async def test_log_says_why_no_primary_is_found(server: RedisServer, sentinel: Sentinel) -> None:
    unknown = "no sentinel names a primary {} (SLIPWAY_REDIS__SENTINELS)"
    assert await reasons(client(server, sentinel, sentinel_master="other")) == [unknown.format("other")]
    with sentinel.client as asking:
        asking.execute_command("ACL SETUSER", "weak", "on", ">secret", "-@all", "+hello", "+auth")
        weak = client(server, sentinel, sentinel_user="weak", sentinel_password="secret")
        with structlog.testing.capture_logs() as lines:
            await weak.jobs[0].work()
        assert [line["reason"] for line in lines] == ["NoPermissionError"]
        await weak.close()
        asking.execute_command("ACL SETUSER", "default", "resetpass", ">secret")
    wrong = await reasons(client(server, sentinel, sentinel_password="hunter2"))
    assert wrong == [f"{unknown.format(MASTER)}: AuthenticationError"]
    sentinel.stop()
    assert await reasons(client(server, sentinel)) == [f"{unknown.format(MASTER)}: ConnectionError"]
