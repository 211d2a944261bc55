"""The way to Redis: quick to fail, then left alone for a while. No caller ever waits long or sees an error."""

import hashlib
from typing import Any

import structlog
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from service import clock
from service.config import RedisSettings
from service.observability.metrics import dependency_up

log = structlog.get_logger(__name__)


class Redis:
    """A client with a circuit breaker: after a failure nothing is tried for `retry_after` seconds."""

    def __init__(self, settings: RedisSettings) -> None:
        self._retry_after = settings.retry_after
        self._client = aioredis.Redis.from_url(
            settings.location,
            socket_timeout=settings.timeout,
            socket_connect_timeout=settings.timeout,
            retry=Retry(NoBackoff(), 0),
        )
        self._closed_until = 0.0
        self._up: bool | None = None

    async def script(self, source: str, key: str, *arguments: str) -> list[Any] | None:
        """Run a Lua script on one key; None when Redis is away."""
        if clock.monotonic() < self._closed_until:
            return None
        digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        try:
            try:
                answer = await self._client.evalsha(digest, 1, key, *arguments)
            except NoScriptError:
                answer = await self._client.eval(source, 1, key, *arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            return None
        self._works()
        return list(answer)

    async def ping(self) -> bool:
        """Whether Redis answers now; also closes the breaker again."""
        try:
            await self._client.ping()
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            return False
        self._works()
        return True

    async def close(self) -> None:
        await self._client.aclose()

    def _failed(self, error: Exception) -> None:
        self._closed_until = clock.monotonic() + self._retry_after
        if self._up is not False:
            log.warning("redis unreachable, each process counts for itself", reason=type(error).__name__)
        self._up = False
        dependency_up.labels("redis").set(0)

    def _works(self) -> None:
        self._closed_until = 0.0
        if self._up is False:
            log.info("redis is back")
        if self._up is not True:
            dependency_up.labels("redis").set(1)
        self._up = True
