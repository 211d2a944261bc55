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
        if (parts := checked_url(value, "postgresql", "postgres")) is not None:
            check_ssl_mode(parts)
        return value
