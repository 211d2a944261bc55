"""The real PostgreSQL and Redis of a test run: one pair for all its workers, started when the first test asks.

A keeper process holds the servers. The process that runs pytest (under xdist, the controller) starts the keeper
and holds a pipe to it. When the pipe closes, for whatever reason, the keeper stops the servers and removes their
folder: a run that is interrupted or killed leaves nothing behind. The tests ask it through a socket.

Where the servers come from:
- by default out of wheels (service.local)
- SLIPWAY_TEST_SERVICES=testcontainers: containers postgres:18 and redis:8
- SLIPWAY_TEST_DATABASE_URL, SLIPWAY_TEST_REDIS_URL: servers that run already. The role must be allowed to create
  databases; the run's own are dropped at its end.
"""

import asyncio
import contextlib
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).parent.parent
ANSWER_SECONDS = 90
STOP_SECONDS = 60
EMBEDDED_REDIS_DATABASES = 64
OTHER_REDIS_DATABASES = 16
POSTGRES_SETTINGS = {"max_connections": "300", "shared_buffers": "64MB"}


class ServicesError(Exception):
    """The servers of the test run cannot do what was asked. The message says why."""


class Keeper:
    """The keeper process, as the process that runs pytest sees it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slipway-tests-"))
        self.address = str(self.folder / "keeper")
        environment = {n: v for n, v in os.environ.items() if not n.startswith("SLIPWAY_") or "_TEST_" in n}
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.services", str(self.folder)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C is for pytest; the keeper ends after it
            )

    def stop(self) -> None:
        """Return when the servers are gone."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Client:
    """What a test process asks of the keeper. Raises ServicesError with the keeper's reason."""

    def __init__(self, address: str) -> None:
        self._address = address

    def create_database(self, name: str, *, migrated: bool) -> str:
        """Create a database, empty or at the head of the migrations, and return its URL."""
        return str(self._ask(do="create", name=name, migrated=migrated))

    def drop_database(self, name: str) -> None:
        """Drop a database and end its connections."""
        self._ask(do="drop", name=name)

    def redis(self, number: int) -> str:
        """Return the URL of a logical database of Redis; numbers beyond what there is start again at 0."""
        return str(self._ask(do="redis", number=number))

    def _ask(self, **request: object) -> object:
        with self._connect() as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(connection.makefile().readline() or '{"error": "the keeper ended"}')
        if "error" in answer:
            raise ServicesError(f"the servers of the tests: {answer['error']}")
        return answer["ok"]

    def _connect(self) -> socket.socket:
        for _ in range(ANSWER_SECONDS * 20):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.connect(self._address)
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                time.sleep(0.05)
            else:
                return connection
        raise ServicesError(f"no answer from the keeper in {ANSWER_SECONDS} s")


class Servers:
    """What the keeper keeps: both servers, started at the first need, and the databases of this run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = ExitStack()
        self._prefix = f"slipway_{folder.name[-8:]}_"
        self._postgres: str | None = None
        self._redis: tuple[str, int] | None = None
        self._template: str | None = None
        self._databases: set[str] = set()

    def answer(self, request: dict[str, Any]) -> str:
        """Do what a client asks."""
        match request["do"]:
            case "create":
                return self._create(
                    request["name"], template=self.template() if request["migrated"] else None
                )
            case "drop":
                self._drop(self._prefix + request["name"])
                return ""
            case "redis":
                url, count = self.redis()
                return urlunsplit(urlsplit(url)._replace(path=f"/{request['number'] % count}"))
            case other:
                raise ServicesError(f"unknown request {other}")

    def postgres(self) -> str:
        """Return the URL of a database to give orders from."""
        if self._postgres is None:
            self._postgres = self._started.enter_context(postgres_source(self._folder))
        return self._postgres

    def redis(self) -> tuple[str, int]:
        """Return a URL, and how many logical databases there are."""
        if self._redis is None:
            self._redis = self._started.enter_context(redis_source(self._folder))
        return self._redis

    def template(self) -> str:
        """Return the name of the database that the migrations made, once for all copies."""
        if self._template is None:
            url = self._create("template", template=None)
            migrate(url)
            self._template = self._prefix + "template"
        return self._template

    def stop(self) -> None:
        """Drop what this run made, and stop what it started."""
        try:
            for name in [*self._databases]:
                self._drop(name)
        finally:
            self._started.close()

    def _create(self, name: str, *, template: str | None) -> str:
        from service.local.databases import create_database

        server = self.postgres()
        database = self._prefix + name.replace("-", "_")
        asyncio.run(create_database(server, database, template=template))
        self._databases.add(database)
        return urlunsplit(urlsplit(server)._replace(path=f"/{database}"))

    def _drop(self, database: str) -> None:
        from service.local.databases import drop_database

        asyncio.run(drop_database(self.postgres(), database))
        self._databases.discard(database)


def migrate(url: str) -> None:
    """Bring a database to the head of the migrations."""
    from service.config import Settings
    from service.migrations.runner import upgrade

    settings = Settings.model_validate({"app": {"environment": "test"}, "database": {"url": url}})
    asyncio.run(upgrade(settings))


def postgres_source(folder: Path) -> AbstractContextManager[str]:
    """Return where PostgreSQL comes from, as a context that yields a URL."""
    if given := os.environ.get("SLIPWAY_TEST_DATABASE_URL"):
        return contextlib.nullcontext(given)
    return container_postgres() if containers() else embedded_postgres(folder)


def redis_source(folder: Path) -> AbstractContextManager[tuple[str, int]]:
    """Return where Redis comes from, as a context that yields a URL and the number of logical databases."""
    if given := os.environ.get("SLIPWAY_TEST_REDIS_URL"):
        return contextlib.nullcontext((given, OTHER_REDIS_DATABASES))
    return container_redis() if containers() else embedded_redis(folder)


def containers() -> bool:
    """Whether the servers run in containers. Raises ServicesError for a word that means nothing."""
    choice = os.environ.get("SLIPWAY_TEST_SERVICES") or "embedded"
    if choice not in {"embedded", "testcontainers"}:
        raise ServicesError(f"SLIPWAY_TEST_SERVICES is embedded or testcontainers, not {choice}")
    return choice == "testcontainers"


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    from service.local.postgres import Postgres

    folder.chmod(0o711)  # PostgreSQL runs as another user when the tests run as root
    server = Postgres(folder / "postgres", durable=False, settings=POSTGRES_SETTINGS)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


@contextmanager
def embedded_redis(folder: Path) -> Iterator[tuple[str, int]]:
    from service.local.redis import Redis

    server = Redis(folder / "redis", databases=EMBEDDED_REDIS_DATABASES)
    try:
        server.start()
        yield server.url, EMBEDDED_REDIS_DATABASES
    finally:
        server.stop()


@contextmanager
def container_postgres() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer

    settings = " ".join(f"-c {name}={value}" for name, value in {"fsync": "off", **POSTGRES_SETTINGS}.items())
    with PostgresContainer("postgres:18", driver=None).with_command(f"postgres {settings}") as container:
        yield container.get_connection_url()


@contextmanager
def container_redis() -> Iterator[tuple[str, int]]:
    from testcontainers.community.redis import RedisContainer

    with RedisContainer("redis:8") as container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(6379)
        yield f"redis://{host}:{port}/0", OTHER_REDIS_DATABASES


def keep(folder: Path) -> None:
    """Answer clients, one at a time, until standard input ends; then stop everything and remove the folder."""
    servers = Servers(folder)
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(str(folder / "keeper"))
        listener.listen(256)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        try:
            while sys.stdin not in (ready := [key.fileobj for key, _ in selector.select()]):
                if listener in ready:
                    reply(listener.accept()[0], servers)
        finally:
            servers.stop()
            shutil.rmtree(folder, ignore_errors=True)


def reply(connection: socket.socket, servers: Servers) -> None:
    """Read one request and answer it. What goes wrong is the answer, not the end of the keeper."""
    with connection, contextlib.suppress(OSError):
        try:
            answer = {"ok": servers.answer(json.loads(connection.makefile().readline()))}
        except Exception as error:  # noqa: BLE001 the test that asked shows it
            answer = {"error": f"{type(error).__name__}: {error}"}
        connection.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
