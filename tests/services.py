"""The PostgreSQL and Redis of a test run: one pair for all its workers, started when a test first needs them.

A separate process (tests/servers_process.py) owns the servers. The process that runs pytest (under xdist, the
controller) starts it and holds a pipe to it. When the pipe closes, for whatever reason, that process stops the
servers and removes their folder, so a run that is interrupted or killed leaves nothing behind. Tests talk to it
through a socket.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Schema = Literal["empty", "head", "shop", "owned", "granted"]
"""Of a new database: nothing; the head of the migrations; the tables of the shop, too; the same, migrated by an owner
who is no superuser; the same, with the privileges of a role of the service."""

ROOT = Path(__file__).parent.parent
PASSWORD = "of-a-role-for-tests"
ADDRESS = "slipway_services"  # the name under which workers are told where the servers' process listens
ANSWER_SECONDS = 90
STOP_SECONDS = 60
MEMORY_BYTES = 8 * 2**30


class ServicesError(Exception):
    """A request to the servers' process failed. The message says why."""


def as_role(url: str, role: str) -> str:
    """Return the URL of a database for another role of the tests."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"))


def _memory() -> Path | None:
    """Return a folder in memory with enough space for a run: a disk that is busy would stall every statement."""
    shared = Path("/dev/shm")  # the folder in it has a name of its own
    if not os.access(shared, os.W_OK):
        return None
    volume = os.statvfs(shared)
    return shared if volume.f_bavail * volume.f_frsize >= MEMORY_BYTES else None


class ServersProcess:
    """Starts the servers' process and stops it.

    at_once: it starts PostgreSQL and makes a database with the tables of the shop before a test needs them.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slipway-tests-", dir=_memory()))
        self.address = str(self.folder / "socket")
        environment = {
            n: v for n, v in os.environ.items() if not n.upper().startswith("SLIPWAY_") or "_TEST_" in n
        }
        # The servers' process cleans up, so testcontainers' reaper image is not needed.
        environment.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.servers_process",
                    str(self.folder),
                    *(["at once"] if at_once else []),
                ],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal reaches pytest only
            )

    def stop(self) -> None:
        """Stop the servers and wait until they have exited."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Client:
    """Sends requests to the servers' process. Raises ServicesError with its reason."""

    def __init__(self, address: str) -> None:
        self._address = address

    def create_database(self, name: str, *, migrated: bool, shop: bool = True) -> str:
        """Create a database and return its URL: empty, or at the head of the migrations, with or without the tables of
        the shop."""
        return self.create_database_with(("shop" if shop else "head") if migrated else "empty", name)

    def create_database_with(self, schema: Schema, name: str) -> str:
        """Create a database with this schema and return its URL, for the superuser."""
        return str(self._ask(do="create", name=name, schema=schema))

    def role(self, name: Literal["owner", "app"]) -> str:
        """Return the role that owns the databases with the schemas `owned` and `granted`, or that of their service.
        They are no superusers; all workers share them, so a test leaves them as they are."""
        return str(self._ask(do="role", name=name))

    def drop_database(self, name: str) -> None:
        """Drop a database and end its connections."""
        self._ask(do="drop", name=name)

    def fork_server(self, module: str, environment: Mapping[str, str]) -> Path:
        """Return the folder of a fork server (tests/forked.py), one for all workers."""
        return Path(str(self._ask(do="fork server", module=module, environment={**environment})))

    def redis(self, number: int) -> str:
        """Return the URL of a logical database of Redis; numbers past the last one wrap around."""
        return str(self._ask(do="redis", number=number))

    def _ask(self, **request: object) -> object:
        with self._connect() as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(connection.makefile().readline() or '{"error": "it has exited"}')
        if "error" in answer:
            raise ServicesError(f"the servers' process: {answer['error']}")
        return answer["ok"]

    def _connect(self) -> socket.socket:
        for _ in range(ANSWER_SECONDS * 20):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.connect(self._address)
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                self._fail_if_it_ended()
                time.sleep(0.05)
            else:
                return connection
        raise ServicesError(f"no answer from the servers' process within {ANSWER_SECONDS} s")

    def _fail_if_it_ended(self) -> None:
        """Raise if the log has a traceback: it stays empty until the process listens."""
        log = Path(self._address).with_name("log")
        text = log.read_text() if log.exists() else ""
        if "Traceback" in text:
            raise ServicesError(f"the servers' process did not start: {text.splitlines()[-1]}")
