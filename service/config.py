"""Settings: eleven typed groups and where their values come from.

Sources, the first that has a value wins: arguments, environment (`SLIPWAY_DATABASE__HOST`), secret files
(`<SLIPWAY_SECRETS_DIR>/database/password`), `.env`, defaults. Defaults are the ones that production wants;
`slipway dev` loosens them by name. This is the only module that reads the environment.
"""

import contextlib
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from service.settings_base import PREFIX, Group, Port
from service.settings_issuer import IssuerSettings
from service.settings_server import ServerSettings

SECRETS_DIR = "SLIPWAY_SECRETS_DIR"
# A name or an IPv4 address, the names under one, or an IPv6 address in brackets (RFC 3986, 3.2.2).
_HOST_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]")


class Environment(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class AppSettings(Group):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")] = "slipway"
    """Name of the service in OpenAPI, metrics, logs and PostgreSQL's `application_name`."""
    environment: Environment = Environment.PRODUCTION
    """`production` refuses unsafe settings; `development` and `test` allow them."""
    idempotency_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 24.0
    """Hours for which the answer to a request with an `Idempotency-Key` is kept."""


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LoggingSettings(Group):
    level: LogLevel = LogLevel.INFO
    """Least severe level that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """`json` lines, `console` for humans; `auto` is console on a terminal and JSON elsewhere."""
    access: bool = True
    """Write one line a request."""


def _checked_url(value: SecretStr | None, *schemes: str) -> SecretStr | None:
    """Raises `ValueError` for a URL that nobody could connect to; the message holds nothing of it."""
    if value is None:
        return None
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in schemes:
        raise ValueError(f"must start with {schemes[0]}://")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("has a port that is none") from None
    return value


class DatabaseSettings(Group):
    url: SecretStr | None = None
    """`postgresql://user:password@host:port/name`; overrides the parts below."""
    host: str = "127.0.0.1"
    """Host name, address or socket folder of PostgreSQL; several, separated by commas, follow a failover."""
    port: Port = 5432
    """Port of PostgreSQL."""
    name: str = "slipway"
    """Name of the database."""
    user: str = "slipway"
    """Role that the service logs in as; of `slipway migrate`, the role that owns the tables."""
    app_role: Annotated[str, Field(max_length=63)] = ""
    """Role that the service logs in as, where `slipway migrate` runs as another one, the owner of the tables: it gives
    this role what the service needs, and no more. Empty: nothing is granted."""
    app_password: SecretStr = SecretStr("")
    """Password of that role, in ASCII: `slipway migrate` then makes the role, or gives it this password. Empty:
    somebody else makes it."""
    password: SecretStr = SecretStr("")
    """Password of the role. From a secret file it is read again at every new connection."""
    ssl: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """TLS to PostgreSQL, as libpq's `sslmode`; a URL's own `sslmode` wins."""
    ssl_root_cert: FilePath | None = None
    """File with the certificates of authorities that PostgreSQL's is verified by; the system's without one. A URL
    names it by `sslrootcert`."""
    pool_min: Annotated[int, Field(ge=0, le=64)] = 2
    """Connections kept open by each process."""
    pool_max: Annotated[int, Field(ge=1, le=64)] = 8
    """Most connections of each process's fast pool."""
    session_pool: Annotated[int, Field(ge=1, le=64)] = 2
    """Most connections of each process's ORM sessions, beside the fast pool."""
    acquire_timeout: Annotated[float, Field(gt=0, le=60)] = 0.25
    """Seconds a request waits for a connection before it is answered with 503."""
    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds until an attempt to connect is given up."""
    idle_lifetime: Annotated[float, Field(ge=0, le=86400)] = 300.0
    """Seconds after which an idle connection of the pool is closed; 0 keeps it."""
    statement_timeout: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Seconds a statement may run."""
    lock_timeout: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """Seconds a statement may wait for a lock."""
    idle_in_transaction_timeout: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Seconds a transaction may sit idle before the server ends it."""
    migration_lock_timeout: Annotated[float, Field(gt=0, le=3600)] = 0.2
    """Most seconds that a migration waits for a table lock at a time. Requests for the table queue behind it for as
    long, so keep it below `acquire_timeout`; over PostgreSQL's `deadlock_timeout` (1 s) it ends an autovacuum that is
    in the way. Given time (`slipway migrate --wait`), a migration tries again."""
    pgbouncer: bool = False
    """The server is PgBouncer in transaction mode: each statement runs in a transaction, none is prepared, and the
    time-outs are the role's own (`ALTER ROLE … SET statement_timeout`)."""

    @field_validator("app_password")
    @classmethod
    def _is_ascii(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().isascii():
            raise ValueError("must be ASCII")
        return value

    @field_validator("ssl_root_cert")
    @classmethod
    def _is_used(cls, value: FilePath | None, info: ValidationInfo) -> FilePath | None:
        if value is not None and info.data.get("ssl") in ("disable", "prefer"):
            raise ValueError(
                "verifies nothing unless SLIPWAY_DATABASE__SSL is require, verify-ca or verify-full"
            )
        return value

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        return _checked_url(value, "postgresql", "postgres")


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
    timeout: Annotated[float, Field(gt=0, le=10)] = 0.02
    """Seconds that a command of Redis may take, connecting included; there is no retry. A write counts for two limits
    and so waits twice as long at most."""
    retry_after: Annotated[float, Field(gt=0, le=300)] = 2.0
    """Seconds between two trials after a failure, while the in-process counterparts work."""

    @field_validator("url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        return _checked_url(value, "redis", "rediss", "unix")

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
        return _current_password("redis", self.password)


class SecuritySettings(Group):
    secret_key: SecretStr = SecretStr("")
    """Signs page cursors; at least 32 characters, the same for all replicas."""
    anonymous: Literal["none", "read", "write"] = "none"
    """What a caller without credentials may do. `write` is refused in production."""
    key_cache_seconds: Annotated[float, Field(ge=0, le=60)] = 0.8
    """Seconds that a verified API key is trusted without a look at the database; bounds how long a revoked
    key still works."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the API, as a JSON list: `["https://shop.example"]`."""
    issuers: tuple[IssuerSettings, ...] = ()
    """Issuers of bearer tokens, as a JSON list: `[{"issuer": "https://…", "audience": "slipway"}]`."""
    trusted_hosts: tuple[str, ...] = ()
    """Names that the public port answers to, as a JSON list: `["api.example", "*.shop.example"]`; empty is all. Only
    `/health` answers whatever the name."""
    token_leeway: Annotated[float, Field(ge=0, le=300)] = 30.0
    """Seconds by which an issuer's clock may be off."""
    jwks_refresh: Annotated[float, Field(ge=1, le=86400)] = 300.0
    """Seconds after which an issuer's keys are fetched anew, in the background."""
    jwks_cooldown: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    """Seconds between two fetches of an issuer's keys, whatever tokens ask for."""
    jwks_max_age: Annotated[float, Field(ge=1, le=7 * 86400)] = 86400.0
    """Seconds for which keys are trusted while the issuer cannot be reached."""

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(f"{origin} is no origin such as https://shop.example")
        return value

    @field_validator("trusted_hosts")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in value if not _HOST_NAME.fullmatch(name)]:
            raise ValueError(f"{wrong[0]} is no host name such as api.example or *.example, without a port")
        return tuple(name.lower() for name in value)


class RateLimitSettings(Group):
    enabled: bool = True
    """Limit the requests of each caller."""
    requests: Annotated[int, Field(ge=1, le=1_000_000)] = 6000
    """Requests a caller may make in one window; also the largest burst."""
    writes: Annotated[int, Field(ge=1, le=1_000_000)] = 3000
    """Requests that change something, among them."""
    auth_failures: Annotated[int, Field(ge=1, le=1_000_000)] = 60
    """Wrong credentials that a client address may send in one window before none are looked at."""
    window: Annotated[int, Field(ge=1, le=86400)] = 60
    """Seconds of a window."""


class MonitoringSettings(Group):
    metrics: bool = True
    """Count and time requests, and serve `/metrics` on the admin port."""
    duration_buckets: Annotated[tuple[Annotated[float, Field(gt=0)], ...], NoDecode] = (
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    )  # fmt: skip
    """Upper bounds, in seconds, of the buckets of request durations, separated by commas."""

    @field_validator("duration_buckets", mode="before")
    @classmethod
    def _separated(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("duration_buckets")
    @classmethod
    def _ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or list(value) != sorted(set(value)):
            raise ValueError("must be ascending numbers, at least one")
        return value


class FeatureSettings(Group):
    docs: bool = True
    """Serve the docs page at `/docs` and the schema at `/openapi.json`."""


class PerformanceSettings(Group):
    page_size: Annotated[int, Field(ge=1, le=1000)] = 50
    """Items of a page when the client names no `limit`."""
    page_size_max: Annotated[int, Field(ge=1, le=1000)] = 200
    """Largest `limit` that a client may name."""
    statement_cache: Annotated[int, Field(ge=0, le=10_000)] = 256
    """Prepared statements that each connection keeps."""
    bulk_operations: Annotated[int, Field(ge=1, le=1000)] = 1000
    """Most operations of one bulk request."""
    exports: Annotated[int, Field(ge=0, le=64)] = 2
    """Exports that each process runs at a time, each on a connection of its own beside the pools."""
    export_stall: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds that the reader of an export may stall before it is cut off."""
    export_timeout: Annotated[float, Field(gt=0, le=86400)] = 600.0
    """Seconds that an export may take altogether, however fast it is read; then it is cut off."""
    freeze_gc: bool = True
    """Take what start-up made out of the garbage collector's sight, so that collections stay short."""


class BackupSettings(Group):
    """Settings of backups. They come with the backup commands; until then the group is empty."""


class Settings(BaseSettings):
    """All settings. Raises pydantic's `ValidationError`; `service.settings_check.load` makes lines of it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",  # other programs' variables in .env; ours are judged by unknown_variables()
        frozen=True,
        hide_input_in_errors=True,  # it may be a secret
    )

    app: AppSettings = AppSettings()
    server: ServerSettings = ServerSettings()
    logging: LoggingSettings = LoggingSettings()
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    security: SecuritySettings = SecuritySettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    feature: FeatureSettings = FeatureSettings()
    performance: PerformanceSettings = PerformanceSettings()
    backup: BackupSettings = BackupSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the interface's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        secrets_dir = os.environ.get(SECRETS_DIR)
        if not secrets_dir:
            return init_settings, env_settings, dotenv_settings
        files = NestedSecretsSettingsSource(
            file_secret_settings,
            secrets_dir=secrets_dir,
            secrets_dir_missing="error",
            secrets_prefix="",
            secrets_nested_subdir=True,
        )
        return init_settings, env_settings, files, dotenv_settings

    def database_password(self) -> str:
        """The database's password as it is now."""
        return _current_password("database", self.database.password)

    @property
    def production(self) -> bool:
        return self.app.environment is Environment.PRODUCTION


def _current_password(group: str, setting: SecretStr) -> str:
    """What the secret file says now, so that a rotated password needs no restart; else, or when the environment has
    one, what was set at the start."""
    folder = os.environ.get(SECRETS_DIR)
    if folder and f"{PREFIX}{group}__PASSWORD".upper() not in os.environ:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (Path(folder) / group / "password").read_text("utf-8").strip()
    return setting.get_secret_value()


def unknown_variables() -> list[str]:
    """Names in the environment and `.env` that look like settings and are none: most often typing errors."""
    known = {
        f"{PREFIX}{group}__{field}".upper()
        for group, info in Settings.model_fields.items()
        if isinstance(info.default, Group)
        for field in type(info.default).model_fields
    }
    names = {*os.environ, *dotenv_values(str(Settings.model_config.get("env_file")))}
    return sorted(n for n in names if n.upper().startswith(PREFIX) and "__" in n and n.upper() not in known)


def child_environment(**changes: str) -> dict[str, str]:
    """The environment for a process that we start: ours, with `changes`."""
    return {**os.environ, **changes}
