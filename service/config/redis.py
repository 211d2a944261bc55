"""Where Redis is, and how long the service waits for it."""

from typing import Annotated

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator

from service.config.group import Group, Port
from service.config.secret_files import current_password
from service.config.urls import check_redis_database, checked_url


class RedisSettings(Group):
    enabled: bool = True
    """Without Redis the service works alone: limits are counted by each process for itself."""
    url: SecretStr | None = None
    """`redis://:password@host:port/0`, `rediss://…` or `unix://…`; overrides the parts below."""
    host: str = "127.0.0.1"
    """Host name or address of Redis."""
    port: Port = 6379
    """Port of Redis."""
    tls: bool = False
    """TLS to Redis, whose certificate is verified; a URL says so by `rediss`."""
    root_cert: FilePath | None = None
    """File with the certificates of authorities that Redis' is verified by; the system's without one."""
    database: Annotated[int, Field(ge=0, le=65535)] = 0
    """Number of the logical database."""
    password: SecretStr = SecretStr("")
    """Password of Redis. From a secret file it is read again at every new connection."""
    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Seconds until an attempt to connect is given up: TCP, TLS and login. No request waits for it; requests meanwhile
    are counted by each process for itself."""
    timeout: Annotated[float, Field(gt=0, le=10)] = 0.05
    """Seconds that a command of Redis may take on an open connection; there is no retry. A write counts for two limits
    and so waits twice as long at most. Raise it for a Redis whose round trip takes longer."""
    retry_after: Annotated[float, Field(gt=0, le=300)] = 2.0
    """Seconds between two trials after a failure, while the in-process counterparts work."""

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
        """The URL, or one made of the parts without the password. A whole one may hold a password: never print it."""
        if self.url is not None:
            return self.url.get_secret_value()
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{self.host}:{self.port}/{self.database}"

    def current_password(self) -> str:
        """The password beside the parts as it is now."""
        return current_password("redis", self.password)
