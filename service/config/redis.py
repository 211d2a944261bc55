"""Connection to Redis and timeouts."""

from typing import Annotated, Any

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator

from service.config.group import REREAD, Group, Port
from service.config.secret_files import current_password, current_secret
from service.config.urls import check_redis_database, checked_url, host_and_port

SENTINEL_PORT = 26379


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
    sentinels: Annotated[tuple[str, ...], Field(examples=["sentinel-0:26379,sentinel-1:26379"])] = ()
    """Addresses of Redis Sentinel, `host` or `host:port`. The service asks them for the primary and follows it through
    failovers, instead of `host` and `port`; the other parts above are those of the Redis nodes."""
    sentinel_master: Annotated[str, Field(validate_default=True, examples=["mymaster"])] = ""
    """Name by which the sentinels monitor the primary."""
    sentinel_tls: bool = False
    """Connect to the sentinels with TLS and verify their certificates."""
    sentinel_root_cert: FilePath | None = None
    """File with the CA certificates that verify the sentinels' certificates; default: the system's."""
    sentinel_password: SecretStr = Field(default=SecretStr(""), json_schema_extra=REREAD)
    """Password of the sentinels themselves. A secret file is re-read for every new connection."""
    sentinel_user: str = ""
    """User of the sentinels' access control lists, who may run `HELLO` and `SENTINEL MASTERS`. Empty: `default`."""
    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Seconds after which an attempt to connect fails: asking the sentinels, TCP, TLS and login. No request
    waits for it: until Redis is connected, each process applies rate limits on its own."""
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

    @field_validator("sentinels")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and info.data.get("url") is not None:
            raise ValueError("cannot be combined with SLIPWAY_REDIS__URL: set one of them")
        found = []
        for number, text in enumerate(value, 1):
            try:
                host, port = host_and_port(text, default=SENTINEL_PORT)
            except ValueError:
                raise ValueError(
                    f"entry {number} is not a host, or host:port such as sentinel-0:26379"
                ) from None
            found.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        return tuple(found)

    @field_validator("sentinel_master")
    @classmethod
    def _comes_with_sentinels(cls, value: str, info: ValidationInfo) -> str:
        if bool(value) != bool(info.data.get("sentinels", value)):
            raise ValueError("goes with SLIPWAY_REDIS__SENTINELS: set both or neither")
        return value

    @field_validator("sentinel_tls", "sentinel_root_cert", "sentinel_password", "sentinel_user")
    @classmethod
    def _is_of_sentinels(cls, value: Any, info: ValidationInfo) -> Any:
        given = value.get_secret_value() if isinstance(value, SecretStr) else value
        if given and not info.data.get("sentinels", True):
            raise ValueError("is not used unless SLIPWAY_REDIS__SENTINELS is set")
        return value

    @field_validator("sentinel_root_cert")
    @classmethod
    def _verifies_sentinels(cls, value: FilePath | None, info: ValidationInfo) -> FilePath | None:
        if value is not None and not info.data.get("sentinel_tls", True):
            raise ValueError("verifies nothing unless SLIPWAY_REDIS__SENTINEL_TLS is true")
        return value

    @field_validator("sentinel_user")
    @classmethod
    def _has_password(cls, value: str, info: ValidationInfo) -> str:
        password = info.data.get("sentinel_password")
        if value and password is not None and not password.get_secret_value():
            raise ValueError("cannot log in without SLIPWAY_REDIS__SENTINEL_PASSWORD")
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

    @property
    def sentinel_addresses(self) -> list[tuple[str, int]]:
        """Return host and port of each sentinel."""
        return [host_and_port(text, default=SENTINEL_PORT) for text in self.sentinels]

    def current_sentinel_password(self) -> str:
        """Return the current password of the sentinels."""
        return current_secret("redis", "sentinel_password", self.sentinel_password)
