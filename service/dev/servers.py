"""Starts the embedded servers that the settings do not replace, and returns settings that use them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from service.config import Environment, Settings
from service.config.loading import load
from service.dev.errors import PortInUseError
from service.dev.free_ports import is_free
from service.dev.postgres_server import PostgresServer
from service.dev.private_files import read_or_create_secret
from service.dev.redis_server import RedisServer

Report = Callable[[str], None]
Arguments = dict[str, dict[str, Any]]


def development_arguments(
    kind: type[Settings], folder: Path, *, port: int | None, admin_port: int | None
) -> Arguments:
    """Return the defaults that development changes. Settings that are given keep their values.

    Raises SettingsError with every reason if the settings are wrong.
    """
    development: Arguments = {"app": {"environment": Environment.DEVELOPMENT}}
    load(kind, **development)
    given = Settings()
    if "drain_delay" not in given.server.model_fields_set:
        development["server"] = {"drain_delay": 0.0}  # there is no load balancer to wait for
    if "secret_key" not in given.security.model_fields_set:
        development["security"] = {"secret_key": read_or_create_secret(folder / "secret_key")}
    ports = {"port": port, "admin_port": admin_port}
    development.setdefault("server", {}).update({name: n for name, n in ports.items() if n is not None})
    return development


def check_ports(settings: Settings) -> None:
    """Raise PortInUseError, naming the port and how to choose another, if the service cannot listen."""
    server = settings.server
    if server.port == server.admin_port:
        raise PortInUseError(
            f"port {server.port} cannot be both the public and the admin port: set PORT= or ADMIN_PORT= to another"
        )
    for host, port, name in (
        (server.host, server.port, "PORT"),
        (server.admin_host, server.admin_port, "ADMIN_PORT"),
    ):
        if not is_free(port, host):
            raise PortInUseError(
                f"port {port} is in use on {host}: stop the program that listens there, or set {name}= to another port"
            )


@contextmanager
def embedded_servers(
    kind: type[Settings], folder: Path, arguments: Arguments, report: Report
) -> Iterator[Settings]:
    """Start the servers that the settings do not name, yield settings that use them, and stop them afterwards.

    SLIPWAY_DATABASE__URL or SLIPWAY_DATABASE__HOST names another PostgreSQL, and likewise for Redis, which may also be
    disabled.
    """
    given = Settings()
    arguments = dict(arguments)
    with ExitStack() as running:
        if not {"url", "host"} & given.database.model_fields_set:
            postgres = PostgresServer(folder / "postgres")
            report(
                "starting PostgreSQL"
                if postgres.exists
                else "creating the PostgreSQL data folder (first run only)"
            )
            running.callback(postgres.stop)
            postgres.start()
            arguments["database"] = {"url": postgres.url}
        if given.redis.enabled and not {"url", "host", "sentinels"} & given.redis.model_fields_set:
            report("starting Redis")
            redis = RedisServer(folder / "redis")
            running.callback(redis.stop)
            redis.start()
            arguments["redis"] = {"url": redis.url}
        yield load(kind, **arguments)
