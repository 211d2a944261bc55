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

from service.config import RedisSettings

log = structlog.get_logger(__name__)

FOLLOW_SECONDS = 1.0
_FAILED = re.compile(r" - \w+:(\w+)")  # the errors of single sentinels in redis-py's message


class _Login(CredentialProvider):
    """Reads the password of the sentinels for each new connection."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        password, user = self._settings.current_sentinel_password(), self._settings.sentinel_user
        return (user, password) if user else (password,)


class _ToPrimary(SentinelManagedConnection):
    """Asks the server for its role: sentinels may name a demoted primary for a moment (Redis's guidelines for clients
    of Sentinel, step 3)."""

    async def connect(self) -> None:
        await super().connect()  # type: ignore[no-untyped-call]  # redis-py's
        try:
            await self.send_command("ROLE")
            role = (await self.read_response())[0]
        except NoPermissionError:
            return  # the sentinels' word has to do
        if role != b"master":
            raise ReadOnlyError("the server is a replica")


class _ToPrimaryOverTls(_ToPrimary, SentinelManagedSSLConnection):
    pass


class Primary:
    """Makes connections to the current primary. `login` is for the Redis nodes, None without a password."""

    def __init__(self, settings: RedisSettings, login: CredentialProvider | None) -> None:
        self._name = settings.sentinel_master
        self._known: tuple[str, int] | None = None
        retry = Retry(NoBackoff(), 0)
        # All of them in turn must fit into the time for connecting: the first ones may be silent.
        seconds = settings.connect_timeout / (len(settings.sentinels) + 1)
        protected = bool(settings.current_sentinel_password())
        self._sentinels = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's
            settings.sentinel_addresses,
            sentinel_kwargs={
                "socket_timeout": seconds,
                "socket_connect_timeout": seconds,
                "retry": retry,
                "credential_provider": _Login(settings) if protected else None,
                "ssl": settings.sentinel_tls,
                **_authorities(settings.sentinel_root_cert),
            },
        )
        self._pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
            self._name,
            self._sentinels,
            connection_class=_ToPrimaryOverTls if settings.tls else _ToPrimary,
            db=settings.database,
            credential_provider=login,
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=retry,
            **(_authorities(settings.root_cert) if settings.tls else {}),
        )

    def make_connection(self) -> AbstractConnection:
        """Return a connection that asks the sentinels when it connects."""
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    def outdated(self, connection: AbstractConnection) -> bool:
        """Whether the sentinels have named another primary since this connection was opened."""
        assert isinstance(connection, _ToPrimary)
        return bool(self._pool.master_address != (connection.host, connection.port))

    async def follow(self) -> None:
        """Ask the sentinels for the primary. While none of them names one, the last one counts."""
        try:
            address = await self._pool.get_master_address()  # type: ignore[no-untyped-call]
        except (RedisError, OSError):
            return  # `describe` says why, if connections fail for it too
        if self._known not in {None, address}:
            log.info("redis has another primary", host=address[0], port=address[1])
        self._known = address

    async def close(self) -> None:
        """Close the connections to the sentinels."""
        await self._sentinels.aclose()


def describe(error: MasterNotFoundError, settings: RedisSettings) -> str:
    """Return why there is no primary. The message of the error may hold secrets, its types of errors do not."""
    kinds = sorted(set(_FAILED.findall(str(error))))
    reason = f"no sentinel names a primary {settings.sentinel_master} (SLIPWAY_REDIS__SENTINELS)"
    return f"{reason}: {', '.join(kinds)}" if kinds else reason


def _authorities(file: object) -> dict[str, Any]:
    return {} if file is None else {"ssl_ca_certs": str(file)}
