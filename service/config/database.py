"""Where PostgreSQL is, and how long the service waits for it."""

from typing import Annotated, Literal

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator

from service.config.group import Group, Port
from service.config.urls import check_ssl_mode, checked_url


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
    """Role of the service, if `slipway migrate` runs as the owner of the tables: the command grants this role what the
    service needs, and no more. Empty: nothing is granted."""
    app_password: SecretStr = SecretStr("")
    """Password of `app_role`, in ASCII: `slipway migrate` then creates the role, or sets its password. Empty: the role
    must already exist."""
    password: SecretStr = SecretStr("")
    """Password of the role. In a secret file it is re-read for every new connection."""
    ssl: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """TLS to PostgreSQL, as libpq's `sslmode`; `sslmode` in the URL takes precedence."""
    ssl_root_cert: FilePath | None = None
    """File with the CA certificates that verify PostgreSQL's; without one, the system's. In a URL: `sslrootcert`."""
    pool_min: Annotated[int, Field(ge=0, le=64)] = 2
    """Connections that each process keeps open."""
    pool_max: Annotated[int, Field(ge=1, le=64)] = 8
    """Most connections in each process's fast pool."""
    session_pool: Annotated[int, Field(ge=1, le=64)] = 2
    """Most connections for ORM sessions in each process, in addition to the fast pool."""
    acquire_timeout: Annotated[float, Field(gt=0, le=60)] = 0.25
    """Seconds a request waits for a connection before it gets 503."""
    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds that an attempt to connect may take."""
    idle_lifetime: Annotated[float, Field(ge=0, le=86400)] = 300.0
    """Seconds after which an idle connection of the pool is closed; 0 keeps it open."""
    statement_timeout: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Seconds a statement may run."""
    lock_timeout: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """Seconds a statement may wait for a lock."""
    idle_in_transaction_timeout: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Seconds a transaction may sit idle before the server ends it."""
    migration_lock_timeout: Annotated[float, Field(gt=0, le=3600)] = 0.2
    """Seconds that a migration waits for a table lock in one attempt. Requests for the table queue behind it meanwhile,
    so keep it below `acquire_timeout`. Above PostgreSQL's `deadlock_timeout` (1 s) it cancels a blocking autovacuum.
    With `slipway migrate --wait`, the migration retries."""
    pgbouncer: bool = False
    """The server is PgBouncer in transaction mode: each statement runs in a transaction, none is prepared, and the role
    sets the timeouts (`ALTER ROLE … SET statement_timeout`)."""

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
        if (parts := checked_url(value, "postgresql", "postgres")) is not None:
            check_ssl_mode(parts)
        return value
