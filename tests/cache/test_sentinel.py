"""The client asks a Sentinel for the primary, and takes nothing else for one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from redis.asyncio import Redis as Client

from service.cache.redis_client import Redis
from service.config import RedisSettings
from service.dev.redis_server import RedisServer
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


async def test_demoted_primary_is_not_used(server: RedisServer, sentinel: Sentinel) -> None:
    """A Sentinel may name it for some seconds; a replica would take messages that reach nobody."""
    redis = client(server, sentinel)
    assert await redis.ping()
    await redis.close()
    async with Client.from_url(server.url) as operator:
        await operator.replicaof("127.0.0.1", sentinel.port)  # of which it is never in sync
    assert await reasons(client(server, sentinel)) == ["connecting failed: ReadOnlyError"]


async def test_log_says_why_no_primary_is_found(server: RedisServer, sentinel: Sentinel) -> None:
    unknown = "no sentinel names a primary {} (SLIPWAY_REDIS__SENTINELS)"
    assert await reasons(client(server, sentinel, sentinel_master="other")) == [unknown.format("other")]
    with sentinel.client as asking:
        asking.execute_command("ACL SETUSER", "default", "resetpass", ">secret")
    wrong = await reasons(client(server, sentinel, sentinel_password="hunter2"))
    assert wrong == [f"{unknown.format(MASTER)}: AuthenticationError"]
    sentinel.stop()
    assert await reasons(client(server, sentinel)) == [f"{unknown.format(MASTER)}: ConnectionError"]
