"""Connection to PostgreSQL, pool sizes and timeouts."""

from typing import Annotated, Literal

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator

from service.config.group import REREAD, Group, Port
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
    """Role that the service logs in as. `slipway migrate` needs the role that owns the tables."""
    app_role: Annotated[str, Field(max_length=63)] = ""
    """Role of the service, if `slipway migrate` runs as another role, the owner of the tables. The command grants it
    the least privileges that the service needs. Empty: no grants."""
    app_password: SecretStr = SecretStr("")
    """Password of `app_role`, in ASCII. `slipway migrate` creates the role or sets its password. Empty: the role must
    already exist."""
    password: SecretStr = Field(default=SecretStr(""), json_schema_extra=REREAD)
    """Password of the role. A secret file is re-read for every new connection, so rotation needs no restart."""
    password_file: FilePath | None = None
    """File with the password, such as a token of a cloud's identity that a sidecar renews. It is read for every new
    connection, and takes precedence over `password`."""
    ssl: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """TLS mode, as in libpq's `sslmode`. Use `verify-full` over untrusted networks. `sslmode` in the URL takes
    precedence."""
    ssl_root_cert: FilePath | None = None
    """File with the CA certificates that verify PostgreSQL's certificate; default: the system's. In a URL:
    `sslrootcert`."""
    ssl_cert: FilePath | None = None
    """File with the certificate by which the service identifies itself to PostgreSQL, if the server asks for one. In a
    URL: `sslcert`."""
    ssl_key: FilePath | None = None
    """File with the private key of that certificate, without a passphrase; default: in that file. In a URL:
    `sslkey`."""
    pool_min: Annotated[int, Field(ge=0, le=64)] = 2
    """Connections that each process keeps open. Raise it if bursts wait for new connections."""
    pool_max: Annotated[int, Field(ge=1, le=64)] = 8
    """Maximum number of connections of each process. Raise it if requests wait for connections."""
    acquire_timeout: Annotated[float, Field(gt=0, le=60)] = 0.25
    """Seconds a request waits for a connection before it gets 503."""
    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds after which an attempt to connect fails."""
    idle_lifetime: Annotated[float, Field(ge=0, le=86400)] = 300.0
    """Seconds after which an idle connection of the pool is closed; 0: never. Keep it below idle timeouts of firewalls
    and proxies."""
    statement_timeout: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Seconds after which the server cancels a statement."""
    lock_timeout: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """Seconds after which the server cancels a statement that waits for a lock."""
    idle_in_transaction_timeout: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Seconds after which the server ends a transaction that sits idle."""
    migration_lock_timeout: Annotated[float, Field(gt=0, le=3600)] = 0.2
    """Seconds that a migration waits for a table lock in one attempt. Requests for the table queue behind it meanwhile,
    so keep it below `acquire_timeout`. Above PostgreSQL's `deadlock_timeout` (1 s) it cancels a blocking autovacuum.
    With `slipway migrate --wait`, the migration retries."""
    pgbouncer: bool = False
    """Set it if the server is PgBouncer in transaction mode. Each statement then runs in a transaction, nothing is
    prepared, and the timeouts above are not sent: set them on the role (`ALTER ROLE … SET statement_timeout`)."""

    row_security: Literal["disable", "prepare", "require"] = "disable"
    """Whether PostgreSQL's row-level security enforces the owners of items, too (docs/owners.md). `prepare`: tables may
    lack their policies still. `require`: the service is not ready without them."""

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

    @field_validator("ssl_cert")
    @classmethod
    def _is_shown(cls, value: FilePath | None, info: ValidationInfo) -> FilePath | None:
        if value is not None and info.data.get("ssl") in ("disable", "prefer"):
            raise ValueError("is not used unless SLIPWAY_DATABASE__SSL is require, verify-ca or verify-full")
        return value

    @field_validator("ssl_key")
    @classmethod
    def _has_certificate(cls, value: FilePath | None, info: ValidationInfo) -> FilePath | None:
        if value is not None and info.data.get("ssl_cert", value) is None:
            raise ValueError("is not used unless SLIPWAY_DATABASE__SSL_CERT names its certificate")
        return value

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if (parts := checked_url(value, "postgresql", "postgres")) is not None:
            check_ssl_mode(parts)
        return value
