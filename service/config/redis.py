"""Connection to Redis and timeouts."""

from typing import Annotated

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator

from service.config.group import REREAD, Group, Port
from service.config.secret_files import current_password
from service.config.urls import check_redis_database, checked_url


class RedisSettings(Group):
    enabled: bool = True
    """Use Redis. Without it, each process applies rate limits on its own."""
    url: SecretStr | None = None
    """`redis://:password@host:port/0`, `rediss://…` or `unix://…`; overrides the parts below."""
    host: str = "127.0.0.1"
    """Host name or address of Redis."""
    port: Port = 6379
    """Port of Redis."""
    tls: bool = False
    """Connect with TLS and verify the certificate. In a URL: `rediss`."""
    root_cert: FilePath | None = None
    """File with the CA certificates that verify Redis's certificate; default: the system's."""
    database: Annotated[int, Field(ge=0, le=65535)] = 0
    """Number of the logical database."""
    user: str = ""
    """User of Redis's access control lists. Empty: the user `default`."""
    password: SecretStr = Field(default=SecretStr(""), json_schema_extra=REREAD)
    """Password of Redis. A secret file is re-read for every new connection, so rotation needs no restart."""
    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Seconds after which an attempt to connect fails: TCP, TLS and login. No request waits for it: until Redis is
    connected, each process applies rate limits on its own."""
    timeout: Annotated[float, Field(gt=0, le=10)] = 0.05
    """Seconds after which a Redis command fails; there is no retry. A write counts towards two limits, so it waits up
    to twice as long. Raise it if the round trip to Redis takes longer."""
    retry_after: Annotated[float, Field(gt=0, le=300)] = 2.0
    """Seconds between attempts to reach Redis after a failure. Meanwhile each process applies rate limits on its
    own."""

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
