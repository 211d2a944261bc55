"""The way to Redis: quick to fail, then left alone for a while. No caller ever waits long or sees an error."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter, Gauge, Histogram
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from service import clock
from service.config import RedisSettings

log = structlog.get_logger(__name__)

T = TypeVar("T")

CONNECTIONS = 16
CONNECT_SECONDS = 1.0  # for a trial, which nobody waits for
QUIET_SECONDS = 60.0  # between two lines on what Redis refuses


class LateError(Exception):
    """The time was over before this process looked: it may well be that Redis has answered."""


FAILED = (RedisError, OSError, TimeoutError, LateError)

_open = Gauge(
    "slipway_redis_breaker_open",
    "1 while Redis is left alone after a failure, and each process counts for itself.",
    multiprocess_mode="livemax",
)
_seconds = Histogram(
    "slipway_redis_command_seconds",
    "Time of a command of Redis, answered or not, in seconds.",
    buckets=(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
_failures = Counter("slipway_redis_failures", "Commands that Redis did not answer, or with an error.")


class _Login(CredentialProvider):
    """Asked at each new connection."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings

    async def get_credentials_async(self) -> tuple[str]:
        return (self._settings.current_password(),)


class Redis:
    """A client with a circuit breaker.

    A call ends within `timeout`, connecting included. The first that fails opens the breaker: from then on calls
    return at once, and one task alone tries, every `retry_after` seconds, whether Redis is back.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        tls: dict[str, Any] = {"ssl_ca_certs": str(settings.root_cert)} if settings.root_cert else {}
        login = _Login(settings) if settings.url is None and settings.current_password() else None
        # Time is taken of a whole call: waiting for a connection, connecting, the command.
        self._pool = aioredis.BlockingConnectionPool.from_url(
            settings.location,
            credential_provider=login,
            max_connections=CONNECTIONS,
            timeout=None,
            socket_timeout=None,
            socket_connect_timeout=None,
            **tls,
            retry=Retry(NoBackoff(), 0),
        )
        self._client = aioredis.Redis.from_pool(self._pool)
        self._up: bool | None = None
        self._trial: asyncio.Task[None] | None = None  # as long as the breaker is open
        self._quiet_until = 0.0

    async def script(self, source: str, key: str, *arguments: str) -> list[Any] | None:
        """Run a Lua script on one key; None when Redis is away, or refuses it."""
        answer = await self._call(lambda: self._script(source, key, *arguments))
        return None if answer is None else list(answer)

    async def _script(self, source: str, key: str, *arguments: str) -> Any:
        digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        try:
            return await self._client.evalsha(digest, 1, key, *arguments)
        except NoScriptError:
            return await self._client.eval(source, 1, key, *arguments)

    async def ping(self) -> bool:
        """Whether Redis answers now; False without asking while the breaker is open."""
        await self._call(self._client.ping)
        return self._up is True

    async def close(self) -> None:
        if self._trial is not None:
            self._trial.cancel()
            await asyncio.gather(self._trial, return_exceptions=True)
        await self._client.aclose()

    async def _call(self, command: Callable[[], Awaitable[Any]]) -> Any | None:
        if self._trial is not None:
            return None
        try:
            answer = await _measured(command(), self._settings.timeout)
        except LateError:
            return None
        except FAILED as error:
            # A former primary that is read-only now will not change: only a new connection may lead to the new one.
            if isinstance(error, ResponseError) and not isinstance(error, ReadOnlyError):
                self._refused(error)
            else:
                self._break(error)
            return None
        if self._up is None:
            self._works()
        return answer

    def _refused(self, error: Exception) -> None:
        """It answers, so the next call may fare better, as when it is full."""
        if (now := clock.monotonic()) >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            log.warning("redis refuses commands", reason=str(error)[:200])

    def _break(self, error: Exception) -> None:
        if self._trial is not None:
            return  # another call has failed at the same time
        if self._up is not False:
            log.warning("redis unreachable, each process counts for itself", reason=type(error).__name__)
        self._up = False
        _open.set(1)
        self._trial = asyncio.create_task(self._try())

    def _works(self) -> None:
        if self._up is False:
            log.info("redis is back")
        self._up = True
        _open.set(0)

    async def _try(self) -> None:
        """Close the breaker as soon as Redis answers."""
        while True:
            await asyncio.sleep(self._settings.retry_after * random.uniform(0.8, 1.2))  # noqa: S311  # jitter
            try:
                # Those from before may lead to where nobody answers any more.
                await self._pool.disconnect(inuse_connections=False)
                await _measured(self._client.ping(), CONNECT_SECONDS)
                await _measured(self._client.ping(), self._settings.timeout)
            except FAILED:
                continue
            except (
                Exception
            ):  # a password that cannot be read, or a defect: Redis is tried again all the same
                log.exception("redis cannot be tried")
                continue
            self._trial = None
            self._works()
            return


async def _measured(command: Awaitable[T], seconds: float) -> T:
    """The answer to a command within so many seconds. Raises one of `FAILED`."""
    began = clock.monotonic()
    try:
        async with asyncio.timeout(seconds):
            return await command
    except FAILED as error:
        _failures.inc()
        if isinstance(error, TimeoutError) and clock.monotonic() - began > 2 * seconds:
            raise LateError from error
        raise
    finally:
        _seconds.observe(clock.monotonic() - began)
