"""Connections to the primary that Redis Sentinel names.

redis-py asks the sentinels for each new connection. A primary that is replaced while it is alive, as when the network
cuts it off from the sentinels, keeps its connections; so `follow` asks again every second, and connections to any other
server count as outdated from then on.
"""

import re
from typing import Any

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import NoPermissionError, ReadOnlyError, RedisError

from service.cache.connections import Login, authorities
from service.cache.single_flight import SingleFlight
from service.config import RedisSettings

log = structlog.get_logger(__name__)

FOLLOW_SECONDS = 1.0
_FAILED = re.compile(r" - \w+:(\w+)")  # the errors of single sentinels in redis-py's message


class _PrimaryConnection(SentinelManagedConnection):
    """Asks the server for its role: sentinels may name a demoted primary for a moment (Redis's guidelines for clients
    of Sentinel, step 3)."""

    async def connect(self) -> None:
        await super().connect()  # type: ignore[no-untyped-call]  # redis-py's
        try:
            await self.send_command("ROLE")
            role = (await self.read_response())[0]
        except NoPermissionError:
            return  # this user may not run ROLE: trust the sentinels
        if role != b"master":
            raise ReadOnlyError("the server is a replica")


class _PrimaryTlsConnection(_PrimaryConnection, SentinelManagedSSLConnection):
    pass


class _Pool(SentinelConnectionPool):
    """Lets one question to the sentinels serve all who ask at the same time.

    redis-py moves the sentinel that answered to the top of its list, by the place where it was before it answered. Of
    two questions at once, the second could drop a sentinel from the list for good.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)  # type: ignore[no-untyped-call]  # redis-py's
        self._asking: SingleFlight[str, tuple[str, int]] = SingleFlight()

    async def get_master_address(self) -> tuple[str, int]:
        return await self._asking.do("primary", super().get_master_address)

    async def stop_asking(self) -> None:
        await self._asking.close()


class Primary:
    """Makes connections to the current primary. `login` is for the Redis nodes, None without a password."""

    def __init__(self, settings: RedisSettings, login: CredentialProvider | None) -> None:
        self._settings = settings
        self._known: tuple[str, int] | None = None
        self._answered = True
        retry = Retry(NoBackoff(), 0)
        # All of them in turn must fit into the time for connecting: the first ones may be silent.
        seconds = settings.connect_timeout / (len(settings.sentinels) + 1)
        protected = bool(settings.current_sentinel_password())
        login_of_sentinels = Login(settings.sentinel_user, settings.current_sentinel_password)
        self._sentinels = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's
            settings.sentinel_addresses,
            sentinel_kwargs={
                "socket_timeout": seconds,
                "socket_connect_timeout": seconds,
                "retry": retry,
                "credential_provider": login_of_sentinels if protected else None,
                "ssl": settings.sentinel_tls,
                **authorities(settings.sentinel_root_cert),
            },
        )
        self._pool = _Pool(
            settings.sentinel_master,
            self._sentinels,
            connection_class=_PrimaryTlsConnection if settings.tls else _PrimaryConnection,
            db=settings.database,
            credential_provider=login,
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=retry,
            **(authorities(settings.root_cert) if settings.tls else {}),
        )

    def make_connection(self) -> AbstractConnection:
        """Return a connection that asks the sentinels when it connects."""
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    def outdated(self, connection: AbstractConnection) -> bool:
        """Whether the sentinels have named another primary since this connection was opened."""
        assert isinstance(connection, _PrimaryConnection)
        return bool(self._pool.master_address != (connection.host, connection.port))

    async def follow(self) -> None:
        """Ask the sentinels for the primary. While none names one, open connections to the last one stay in use."""
        try:
            address = await self._pool.get_master_address()
        except (RedisError, OSError) as error:
            if self._answered:
                log.warning("redis failovers are not followed", reason=describe(error, self._settings))
            self._answered = False
            return
        if not self._answered:
            log.info("redis failovers are followed again")
        if self._known not in {None, address}:
            log.info("redis has another primary", host=address[0], port=address[1])
        self._known, self._answered = address, True

    async def close(self) -> None:
        """Close the connections to the sentinels."""
        await self._pool.stop_asking()
        await self._sentinels.aclose()


def describe(error: RedisError | OSError, settings: RedisSettings) -> str:
    """Return why there is no primary. The message of the error may hold secrets, its types of errors do not."""
    if not isinstance(error, MasterNotFoundError):
        return type(error).__name__
    kinds = sorted(set(_FAILED.findall(str(error))))
    reason = f"no sentinel names a primary {settings.sentinel_master} (SLIPWAY_REDIS__SENTINELS)"
    return f"{reason}: {', '.join(kinds)}" if kinds else reason
