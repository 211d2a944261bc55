"""Where Redis is, and how long the service waits for it."""

from typing import Annotated

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator

from service.config.group import Group, Port
from service.config.secret_files import current_password
from service.config.urls import check_redis_database, checked_url


class RedisSettings(Group):
    enabled: bool = True
    """Use Redis. Without it, each process counts limits for itself."""
    url: SecretStr | None = None
    """`redis://:password@host:port/0`, `rediss://…` or `unix://…`; overrides the parts below."""
    host: str = "127.0.0.1"
    """Host name or address of Redis."""
    port: Port = 6379
    """Port of Redis."""
    tls: bool = False
    """TLS to Redis, with a verified certificate; in a URL: `rediss`."""
    root_cert: FilePath | None = None
    """File with the CA certificates that verify Redis's; without one, the system's."""
    database: Annotated[int, Field(ge=0, le=65535)] = 0
    """Number of the logical database."""
    password: SecretStr = SecretStr("")
    """Password of Redis. In a secret file it is re-read for every new connection."""
    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Seconds that an attempt to connect may take: TCP, TLS and login. No request waits for it; meanwhile each process
    counts limits for itself."""
    timeout: Annotated[float, Field(gt=0, le=10)] = 0.05
    """Seconds that a Redis command may take on an open connection; there is no retry. A write counts towards two
    limits, so it waits at most twice as long. Raise it if the round trip to Redis takes longer."""
    retry_after: Annotated[float, Field(gt=0, le=300)] = 2.0
    """Seconds between two attempts to reach Redis after a failure; meanwhile each process counts limits for itself."""

    @field_validator("url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if (parts := checked_url(value, "redis", "rediss", "unix")) is not None:
            check_redis_database(parts)
        return value

    @field_validator("root_cert")
    @classmethod
    def _is_used(cls, value: FilePath | None, info: ValidationInfo) -> FilePath | None:
        url = info.data.get("url")
        tls = url.get_secret_value().startswith("rediss:") if url else info.data.get("tls")
        if value is not None and not tls:
            raise ValueError(
                "verifies nothing unless SLIPWAY_REDIS__TLS is true, or the URL begins with rediss"
            )
        return value

    @property
    def location(self) -> str:
        """Return the URL, or one built from the parts without the password. A given URL may hold a password: never
        print it."""
        if self.url is not None:
            return self.url.get_secret_value()
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{self.host}:{self.port}/{self.database}"

    def current_password(self) -> str:
        """Return the current password that goes with the parts."""
        return current_password("redis", self.password)
