"""The process that owns the servers of a test run. See tests/services.py.

Where the servers come from:
- by default: from wheels (service.dev)
- SLIPWAY_TEST_SERVICES=testcontainers: containers postgres:18 and redis:8
- SLIPWAY_TEST_DATABASE_URL, SLIPWAY_TEST_REDIS_URL: running servers. The role must be allowed to create
  databases; those of the run are dropped at its end.
"""

import asyncio
import contextlib
import json
import os
import selectors
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from service.config import Settings
from service.dev.postgres_server import PostgresServer
from service.dev.redis_server import RedisServer
from service.migrations.runner import upgrade
from tests.forked import ForkServer
from tests.ports import placed
from tests.services import PASSWORD, Schema, ServicesError, as_role
from tests.shop.tables import create_shop, in_database

EMBEDDED_REDIS_DATABASES = 64
OTHER_REDIS_DATABASES = 16
POSTGRES_SETTINGS = {"max_connections": "300", "shared_buffers": "64MB"}


class Servers:
    """Both servers, started on first use, and the databases of this run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = ExitStack()
        self._prefix = f"slipway_{folder.name[-8:]}_"
        self._postgres: str | None = None
        self._administrator: Administrator | None = None
        self._redis: tuple[str, int] | None = None
        self._templates: dict[Schema, str] = {}
        self._databases: set[str] = set()
        self._roles: list[str] = []
        self._fork_servers: dict[tuple[str, frozenset[tuple[str, str]]], ForkServer] = {}

    def answer(self, request: dict[str, Any]) -> str:
        """Handle the request of a client."""
        match request["do"]:
            case "create":
                schema = request["schema"]
                return self._create(
                    request["name"], template=self.template(schema), owner=self._owner_of(schema)
                )
            case "drop":
                self._drop(self._prefix + request["name"])
                return ""
            case "role":
                return self._role(request["name"])
            case "redis":
                url, count = self.redis()
                return urlunsplit(urlsplit(url)._replace(path=f"/{request['number'] % count}"))
            case "fork server":
                return self._fork_server(request["module"], request["environment"])
            case other:
                raise ServicesError(f"unknown request {other}")

    def postgres(self) -> tuple[str, "Administrator"]:
        """Return the URL of a database of the server, and a connection to it."""
        if self._postgres is None or self._administrator is None:
            self._postgres = self._started.enter_context(postgres_source(self._folder))
            self._administrator = self._started.enter_context(Administrator(self._postgres))
        return self._postgres, self._administrator

    def redis(self) -> tuple[str, int]:
        """Return a URL and the number of logical databases."""
        if self._redis is None:
            self._redis = self._started.enter_context(redis_source(self._folder))
        return self._redis

    def template(self, schema: Schema) -> str | None:
        """Return the name of a template database with this schema; the first call creates it. None if empty."""
        if schema == "empty":
            return None
        if schema not in self._templates:
            name, owner = f"template_{schema}", self._owner_of(schema)
            base: dict[Schema, Schema] = {"shop": "head", "granted": "owned"}
            url = self._create(name, template=self.template(base.get(schema, "empty")), owner=owner)
            if owner:
                url = as_role(url, owner)
            if schema in {"head", "owned"}:
                migrate(url)
            if schema in {"shop", "owned"}:
                asyncio.run(in_database(url, create_shop))
            if schema == "granted":
                migrate(url, app_role=self._role("app"))
            self._templates[schema] = self._prefix + name
        return self._templates[schema]

    def stop(self) -> None:
        """Drop the databases of this run and stop the servers that it started."""
        try:
            for server in self._fork_servers.values():
                server.stop()
            for name in [*self._databases]:
                self._drop(name)
            for role in self._roles:
                self.postgres()[1].run(f'DROP ROLE "{role}"')
        finally:
            self._started.close()

    def _fork_server(self, module: str, environment: dict[str, str]) -> str:
        key = module, frozenset(environment.items())
        if key not in self._fork_servers:
            self._fork_servers[key] = ForkServer(module, environment)
        return str(self._fork_servers[key].folder)

    def _owner_of(self, schema: Schema) -> str | None:
        return self._role("owner") if schema in {"owned", "granted"} else None

    def _role(self, name: str) -> str:
        """Return a role of this run; the first call creates it."""
        role = f"{self._prefix}{name}"
        if role not in self._roles:
            self.postgres()[1].run(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{PASSWORD}'")
            self._roles.append(role)
        return role

    def _create(self, name: str, *, template: str | None, owner: str | None) -> str:
        server, administrator = self.postgres()
        database = self._prefix + name.replace("-", "_")
        administrator.create(database, template or "template1")
        if owner:
            administrator.run(f'ALTER DATABASE "{database}" OWNER TO "{owner}"')
        self._databases.add(database)
        return urlunsplit(urlsplit(server)._replace(path=f"/{database}"))

    def _drop(self, database: str) -> None:
        self.postgres()[1].drop(database)
        self._databases.discard(database)


class Administrator(AbstractContextManager["Administrator"]):
    """A connection that creates and drops databases: as hundreds are made, at the least cost."""

    def __init__(self, server: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(server))
        with contextlib.suppress(asyncpg.UndefinedObjectError):  # PostgreSQL 15 and older
            self.run("SET scram_iterations = 1")  # of the passwords that this connection sets

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()

    def create(self, name: str, template: str) -> None:
        """Create a database, unless it exists. Its files are copied, which costs half of what it takes to log their
        pages, and two checkpoints, which cost nothing to a server that does not wait for a disk."""
        with contextlib.suppress(asyncpg.DuplicateDatabaseError):
            self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')

    def drop(self, name: str) -> None:
        """Drop a database and end its connections."""
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def run(self, statement: str) -> None:
        """Run one statement."""
        self._runner.run(self._connection.execute(statement))


def migrate(url: str, *, app_role: str = "") -> None:
    """Bring a database to the head of the migrations, and give the role of the service its privileges."""
    database = {"url": url, "app_role": app_role}
    settings = Settings.model_validate({"app": {"environment": "test"}, "database": database})
    asyncio.run(upgrade(settings))


def postgres_source(folder: Path) -> AbstractContextManager[str]:
    """Return a context that provides PostgreSQL and yields its URL."""
    if given := os.environ.get("SLIPWAY_TEST_DATABASE_URL"):
        return contextlib.nullcontext(given)
    return container_postgres() if containers() else embedded_postgres(folder)


def redis_source(folder: Path) -> AbstractContextManager[tuple[str, int]]:
    """Return a context that provides Redis and yields its URL and the number of logical databases."""
    if given := os.environ.get("SLIPWAY_TEST_REDIS_URL"):
        return contextlib.nullcontext((given, OTHER_REDIS_DATABASES))
    return container_redis() if containers() else embedded_redis(folder)


def containers() -> bool:
    """Whether the servers run in containers. Raises ServicesError for an unknown choice."""
    choice = os.environ.get("SLIPWAY_TEST_SERVICES") or "embedded"
    if choice not in {"embedded", "testcontainers"}:
        raise ServicesError(f"SLIPWAY_TEST_SERVICES must be embedded or testcontainers, not {choice}")
    return choice == "testcontainers"


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    folder.chmod(0o711)  # PostgreSQL runs as another user when the tests run as root
    server = PostgresServer(placed(folder / "postgres"), durable=False, settings=POSTGRES_SETTINGS)
    try:
        server.start()
        log_in_quickly(server.url)
        yield server.url
    finally:
        server.stop()


def log_in_quickly(url: str) -> None:
    """Set the password of the URL's role again, for clients that compute one round of its hash in place of 4096. For
    thousands of connections, that took seconds."""
    with Administrator(url) as administrator:
        administrator.run(f"ALTER ROLE CURRENT_USER PASSWORD '{urlsplit(url).password}'")


@contextmanager
def embedded_redis(folder: Path) -> Iterator[tuple[str, int]]:
    server = RedisServer(placed(folder / "redis"), databases=EMBEDDED_REDIS_DATABASES)
    try:
        server.start()
        yield server.url, EMBEDDED_REDIS_DATABASES
    finally:
        server.stop()


@contextmanager
def container_postgres() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 only where Docker is wanted

    settings = " ".join(f"-c {name}={value}" for name, value in {"fsync": "off", **POSTGRES_SETTINGS}.items())
    with PostgresContainer("postgres:18", driver=None).with_command(f"postgres {settings}") as container:
        yield container.get_connection_url()


@contextmanager
def container_redis() -> Iterator[tuple[str, int]]:
    from testcontainers.community.redis import RedisContainer  # noqa: PLC0415 only where Docker is wanted

    with RedisContainer("redis:8") as container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(6379)
        yield f"redis://{host}:{port}/0", OTHER_REDIS_DATABASES


def keep(folder: Path, *, at_once: bool) -> None:
    """Answer clients, one at a time, until standard input ends; then stop everything."""
    servers = Servers(folder)
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(str(folder / "socket"))
        listener.listen(256)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        try:
            if at_once:
                with contextlib.suppress(Exception):  # the first test that needs it shows it
                    servers.template("shop")
            while sys.stdin not in (ready := [key.fileobj for key, _ in selector.select()]):
                if listener in ready:
                    reply(listener.accept()[0], servers)
        finally:
            servers.stop()
            shutil.rmtree(folder, ignore_errors=True)


def reply(connection: socket.socket, servers: Servers) -> None:
    """Read one request and answer it. An error becomes the answer; the process keeps running."""
    with connection, contextlib.suppress(OSError):
        try:
            answer = {"ok": servers.answer(json.loads(connection.makefile().readline()))}
        except Exception as error:  # noqa: BLE001 the test that sent the request shows it
            answer = {"error": f"{type(error).__name__}: {error}"}
        connection.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    keep(Path(sys.argv[1]), at_once=len(sys.argv) > 2)
