"""The Redis client: fails fast, behind a circuit breaker. No caller waits long or sees an error."""

import asyncio
import contextvars
import hashlib
import math
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from prometheus_client import Gauge, Histogram
from redis import asyncio as aioredis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from service import clock
from service.cache.connections import (
    ConnectError,
    Connections,
    Login,
    NotConnectedError,
    authorities,
    failures,
)
from service.cache.sentinel import FOLLOW_SECONDS, Primary, describe
from service.config import RedisSettings
from service.ending import end
from service.jobs.job import Job

log = structlog.get_logger(__name__)

CONNECTIONS = 16
QUIET_SECONDS = 60.0  # between two log lines about errors that Redis returns
JITTER = 0.2  # of the pause between two attempts

# KEYS[1] exists while processes that reach Redis again wait for the others; ARGV: milliseconds that all of them need.
# Returns {milliseconds until they switch back}: the same moment for all.
_GATHER = """
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left > tonumber(ARGV[1]) then
  left = tonumber(ARGV[1])
  redis.call('SET', KEYS[1], '', 'PX', left)
end
return {left}
"""


class LateError(Exception):
    """A timeout that Redis did not cause: this process was busy, or all connections were in use."""


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


class Redis:
    """A client with a circuit breaker.

    A command ends within `timeout`, including the wait for a busy connection. Connections are opened in the background,
    within `connect_timeout`: a command that finds none returns without Redis. The first failure opens the breaker: from
    then on calls return at once, and a single task checks every `retry_after` seconds whether Redis is back. All
    processes that reach Redis again switch back to it at the same moment.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        protected = settings.url is None and settings.current_password()
        login = Login(settings.user, settings.current_password) if protected else None
        self._primary = Primary(settings, login) if settings.sentinels else None
        self.new_connection: Callable[[], AbstractConnection] = (
            self._primary.make_connection if self._primary else _server(settings, login)
        )
        """Return a connection for one purpose, which its caller opens and closes."""
        self.connect_timeout = settings.connect_timeout
        self._connections = Connections(
            self.new_connection,
            most=CONNECTIONS,
            seconds=settings.connect_timeout,
            failed=self._break,
            outdated=self.outdated,
        )
        self._up: bool | None = None
        self._trial: asyncio.Task[None] | None = None  # while the breaker is open
        self._logged: set[str] = set()  # reasons logged for this outage
        self._quiet_until = 0.0

    @property
    def checks(self) -> Mapping[str, Callable[[], Awaitable[bool]]]:
        """What health checks call, by the name of the dependency."""
        return {"redis": self.ping}

    @property
    def jobs(self) -> Sequence[Job]:
        """The job that follows the primary; none without sentinels."""
        return (Job("redis-primary", self._primary.follow, FOLLOW_SECONDS),) if self._primary else ()

    def outdated(self, connection: AbstractConnection) -> bool:
        """Whether a connection leads to a server that is no longer the primary, as far as the sentinels say."""
        return self._primary is not None and self._primary.outdated(connection)

    async def start(self) -> None:
        """Open the first connection before it is needed, and check that Redis answers.

        Returns within twice `connect_timeout`, even on failure. `timeout` does not apply yet: a starting process is
        busy and may cause the delay itself.
        """
        await self._connect()
        if self._trial is None:
            try:
                await self._ask(["PING"], self._settings.connect_timeout)
            except (LateError, NotConnectedError):
                return
            except FAILED as error:
                self._break(error)
            else:
                self._works()

    async def script(self, source: str, key: str, *arguments: str) -> list[Any] | None:
        """Run a Lua script on one key. None if Redis is unavailable or returns an error."""
        digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        reply = await self._call("EVALSHA", digest, "1", key, *arguments, instead=source)
        return None if reply is None else list(reply)

    async def publish(self, channel: str, message: bytes) -> None:
        """Send a message to the subscribers of a channel, unless Redis is unavailable. Returns after it was sent.

        Redis writes the reply to the publisher before it writes the message to the subscribers. It reads the next
        command after both, so the reply to that one tells that the message is on its way.
        """
        if await self._call("PUBLISH", channel, message) is not None:
            await self._call("PING")

    async def ping(self) -> bool:
        """Whether Redis answers now; False at once while the breaker is open. May wait for a connection."""
        await self._connect()
        await self._call("PING")
        return self._up is True

    async def _connect(self) -> None:
        if self._trial is None:
            try:
                await self._connections.open()
            except ConnectError as error:
                self._break(error)

    async def close(self) -> None:
        if self._trial is not None:
            await end([self._trial])
        await self._connections.close()
        if self._primary is not None:
            await self._primary.close()

    async def _call(self, *command: str | bytes, instead: str | None = None) -> Any | None:
        """Return the reply to a command, or None without one. `instead` is the script, in case Redis lacks its
        digest."""
        if self._up is None:
            await self._connect()  # `start` was not called: the first command connects
        if self._trial is not None:
            return None
        try:
            reply = await self._ask(command, self._settings.timeout)
        except NoScriptError:
            return None if instead is None else await self._call("EVAL", instead, *command[2:])
        except (LateError, NotConnectedError):
            return None
        except FAILED as error:
            await self._failed(error)
            return None
        if self._up is None:
            self._works()
        return reply

    async def _failed(self, error: Exception) -> None:
        # A read-only server is a former primary: only a new connection can reach the new primary.
        if isinstance(error, ResponseError) and not isinstance(error, ReadOnlyError):
            self._refused(error)
        elif isinstance(error, RedisConnectionError):
            # If one connection is lost, the others most likely are too. Opening a new one shows whether Redis is up.
            await self._connections.drop()
            self._connections.open_behind()
        else:
            self._break(error)

    async def _ask(self, command: Sequence[str | bytes], limit: float) -> Any:
        """Return the reply to a command within `limit` seconds. Raises `NotConnectedError`, `LateError` or one of
        `FAILED`."""
        began, asked = clock.monotonic(), math.inf
        try:
            async with asyncio.timeout(limit), self._connections.one() as connection:
                asked = clock.monotonic()
                await connection.send_command(*command)
                return await connection.read_response()
        except NoScriptError:
            raise
        except NotConnectedError:
            failures.inc()
            raise
        except FAILED as error:
            failures.inc()
            if isinstance(error, TimeoutError) and not 0.8 * limit < clock.monotonic() - asked < 2 * limit:
                raise LateError from error
            raise
        finally:
            _seconds.observe(clock.monotonic() - began)

    def _refused(self, error: Exception) -> None:
        """Redis responds, so the next call may succeed, as when it is full."""
        if (now := clock.monotonic()) >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            log.warning("redis refuses commands", reason=str(error)[:200])

    def _break(self, error: Exception) -> None:
        if self._trial is not None:
            return  # another call has failed at the same time
        self._tell(error)
        self._up = False
        _open.set(1)
        # Without the context of the request that found Redis away: the lines of the trial are not about it.
        self._trial = asyncio.create_task(self._try(), context=contextvars.Context())

    def _tell(self, error: Exception) -> None:
        """Log one line for each reason of an outage: a later attempt may fail for another reason than the first."""
        reason = _reason(error, self._settings)
        if reason not in self._logged:
            self._logged.add(reason)
            log.warning("redis unreachable, each process counts for itself", reason=reason)

    def _works(self) -> None:
        if self._up is False:
            log.info("redis is back")
        self._up = True
        self._logged.clear()
        _open.set(0)

    async def _try(self) -> None:
        """Close the breaker as soon as Redis answers."""
        while True:
            pause = self._settings.retry_after * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret
            await asyncio.sleep(pause)
            try:
                # Connections from before may lead to a server that is gone.
                await self._connections.drop()
                await self._connections.open()
                await self._gather()
            except (*FAILED, ConnectError) as error:
                self._tell(error)
                continue
            except Exception:  # an unreadable password, or a defect: keep trying
                log.exception("cannot check redis")
                continue
            self._trial = None
            self._works()
            return

    async def _gather(self) -> None:
        """Check that Redis answers, and wait until the other processes have done so too.

        A process that switched back while others still count for themselves would take tokens that the others count as
        theirs.
        """
        longest = math.ceil(self._settings.retry_after * (1 + JITTER) * 1000)
        command = ["EVAL", _GATHER, "1", "slipway:gathering", str(longest)]
        try:
            reply = await self._ask(command, self._settings.timeout)
        except ReadOnlyError:
            raise
        except ResponseError as error:
            self._refused(error)  # Redis answers
            return
        await asyncio.sleep(min(int(reply[0]), longest) / 1000)


class NoRedis:
    """For a service without Redis: there is nothing to connect to, and nothing to check."""

    checks: Mapping[str, Callable[[], Awaitable[bool]]] = {}
    jobs: Sequence[Job] = ()

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass


def _server(settings: RedisSettings, login: CredentialProvider | None) -> Callable[[], AbstractConnection]:
    """Return the function that makes connections to the one server that the settings name."""
    # The timeouts cover a whole command, and connecting as a whole.
    factory = aioredis.ConnectionPool.from_url(
        settings.location,
        credential_provider=login,
        socket_timeout=None,
        socket_connect_timeout=None,
        **authorities(settings.root_cert),
        retry=Retry(NoBackoff(), 0),
    )
    make: Callable[[], AbstractConnection] = factory.make_connection
    return make


def _reason(error: Exception, settings: RedisSettings) -> str:
    """Return the reason for the log: the limit that was missed, or the type of error. Messages may hold secrets."""
    if isinstance(error, ConnectError):
        if error.__cause__ is None:
            return (
                f"connecting took longer than {settings.connect_timeout:g} s (SLIPWAY_REDIS__CONNECT_TIMEOUT)"
            )
        if isinstance(error.__cause__, MasterNotFoundError):
            return describe(error.__cause__, settings)
        return f"connecting failed: {type(error.__cause__).__name__}"
    if isinstance(error, TimeoutError):
        return f"a command took longer than {settings.timeout:g} s (SLIPWAY_REDIS__TIMEOUT)"
    return f"a command failed: {type(error).__name__}"
