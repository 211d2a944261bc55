"""TLS to Redis: its certificate is always verified."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.cache.redis_client import Redis
from service.config import RedisSettings
from service.config.loading import SettingsError, load
from tests.services import Client
from tests.tls.terminator import Authority, terminator


async def _answers(
    services: Client,
    authority: Authority,
    root: Path | None,
    *,
    by_url: bool = False,
    certified: str = "127.0.0.1",
) -> bool:
    parts = urlsplit(services.redis(0))
    async with terminator(authority.server(certified), parts.hostname or "", parts.port or 6379) as port:
        password = parts.password or ""
        url = {"url": f"rediss://:{password}@127.0.0.1:{port}/0"}
        where = url if by_url else {"port": port, "password": password, "tls": True}
        redis = Redis(RedisSettings.model_validate({**where, "root_cert": root, "timeout": 5}))
        try:
            return await redis.ping()
        finally:
            await redis.close()


@pytest.mark.parametrize("by_url", [False, True])
async def test_server_with_the_configured_ca_is_trusted(
    services: Client, authority: Authority, *, by_url: bool
) -> None:
    assert await _answers(services, authority, authority.root, by_url=by_url)


async def test_server_with_another_ca_is_refused(
    services: Client, authority: Authority, stranger: Authority
) -> None:
    assert not await _answers(services, authority, stranger.root)
    assert not await _answers(services, authority, None)
    assert not await _answers(services, authority, authority.root, certified="elsewhere.example")


async def test_server_without_tls_is_refused(services: Client) -> None:
    parts = urlsplit(services.redis(0))
    redis = Redis(RedisSettings(host=parts.hostname or "", port=parts.port or 6379, tls=True, timeout=1))
    assert not await redis.ping()
    await redis.close()


def test_unused_root_certificate_is_refused(authority: Authority) -> None:
    with pytest.raises(SettingsError, match="SLIPWAY_REDIS__ROOT_CERT: verifies nothing unless"):
        load(app={"environment": "test"}, redis={"root_cert": authority.root})
