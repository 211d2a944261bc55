"""The servers that a developer was not given, and the settings of a service that uses them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from service.config import Environment, Settings
from service.config.check import load
from service.dev.errors import PortInUseError
from service.dev.ports import is_free
from service.dev.postgres import PostgresServer
from service.dev.private_files import read_or_create_secret
from service.dev.redis import RedisServer

Report = Callable[[str], None]
Arguments = dict[str, dict[str, Any]]


def development_arguments(
    kind: type[Settings], folder: Path, *, port: int | None, admin_port: int | None
) -> Arguments:
    """Return what development changes of the defaults; what the environment sets stays as it is.

    Raises SettingsError with every reason when the settings are wrong.
    """
    development: Arguments = {"app": {"environment": Environment.DEVELOPMENT}}
    load(kind, **development)
    given = Settings()
    if "drain_delay" not in given.server.model_fields_set:
        development["server"] = {"drain_delay": 0.0}  # no load balancer has to notice
    if "secret_key" not in given.security.model_fields_set:
        development["security"] = {"secret_key": read_or_create_secret(folder / "secret_key")}
    ports = {"port": port, "admin_port": admin_port}
    development.setdefault("server", {}).update({name: n for name, n in ports.items() if n is not None})
    return development


def check_ports(settings: Settings) -> None:
    """Raise PortInUseError, naming the port and how to choose another, if the service cannot listen."""
    server = settings.server
    if server.port == server.admin_port:
        raise PortInUseError(f"port {server.port} cannot be both: choose another with PORT= or ADMIN_PORT=")
    for host, port, name in (
        (server.host, server.port, "PORT"),
        (server.admin_host, server.admin_port, "ADMIN_PORT"),
    ):
        if not is_free(port, host):
            raise PortInUseError(
                f"port {port} is in use on {host}: stop what listens there, or choose another with {name}="
            )


@contextmanager
def embedded_servers(
    kind: type[Settings], folder: Path, arguments: Arguments, say: Report
) -> Iterator[Settings]:
    """Start what was not given, yield the settings to use it, and stop it in order.

    PostgreSQL is given by SLIPWAY_DATABASE__URL or …__HOST, Redis likewise; Redis may also be disabled.
    """
    given = Settings()
    arguments = dict(arguments)
    with ExitStack() as running:
        if not {"url", "host"} & given.database.model_fields_set:
            postgres = PostgresServer(folder / "postgres")
            say("starting PostgreSQL" if postgres.exists else "making a PostgreSQL database, this once")
            running.callback(postgres.stop)
            postgres.start()
            arguments["database"] = {"url": postgres.url}
        if given.redis.enabled and not {"url", "host"} & given.redis.model_fields_set:
            say("starting Redis")
            redis = RedisServer(folder / "redis")
            running.callback(redis.stop)
            redis.start()
            arguments["redis"] = {"url": redis.url}
        yield load(kind, **arguments)
