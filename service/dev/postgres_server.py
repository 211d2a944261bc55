"""An embedded PostgreSQL. One folder holds its data, password, port and log."""

import asyncio
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from service.dev.binaries import postgres_binaries
from service.dev.databases import create_database
from service.dev.errors import LocalServerError
from service.dev.free_ports import LOOPBACK, stable_port
from service.dev.private_files import read_or_create_secret, write_private_file
from service.dev.processes import stop_orphaned_postgres
from service.dev.server_process import ServerProcess
from service.dev.server_user import ServerUser, unprivileged_user

USER: Final = "slipway"
START_SECONDS: Final = 30.0
# The chosen port may be taken meanwhile, and the memory of a killed server takes a moment to be freed.
ATTEMPTS: Final = 3
# Fast shutdown ends sessions and writes a checkpoint; immediate shutdown leaves recovery to the next start.
STOP: Final = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0))
# The built-in locale sorts the same on every system, regardless of its C library.
INITDB: Final = (
    f"--username={USER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
)
# A power failure may lose data; a killed server loses nothing.
VOLATILE: Final = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer:
    """A PostgreSQL server on a port of 127.0.0.1, with a generated password.

    folder: created if it does not exist; its data survives `stop`.
    database: the database that `url` names, created at the first start.
    durable: False turns fsync off, which is faster but may lose data in a power failure; for tests.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database: str = "slipway",
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._log = folder / "log"
        self._database = database
        self._durable = durable
        self._settings = {**(settings or {}), **({} if durable else VOLATILE)}
        self._server: ServerProcess | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The URL of the database, with the password. Valid after `start`."""
        return self._url(self._database)

    @property
    def exists(self) -> bool:
        """Whether there is data from an earlier start."""
        return self._data.exists()

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None if it is not running."""
        return self._server.pid if self._server else None

    def start(self) -> None:
        """Start the server and wait until it accepts connections.

        Initialises the data folder if needed, and stops a server that an earlier run left behind. Raises
        LocalServerError with the reason if the server does not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        programs = postgres_binaries()
        user = unprivileged_user(self._data, programs)
        if user:
            self._folder.chmod(0o711)
        stop_orphaned_postgres(self._data)
        if not self._data.exists():
            self._initialise(programs / "initdb", user)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._serve(programs / "postgres", user)
                break
            except LocalServerError:
                if attempt == ATTEMPTS:
                    raise
        self._ensure_database()

    def stop(self) -> None:
        """Shut down: end sessions and write a checkpoint. Does nothing if the server is not running."""
        if self._server:
            self._server.stop()

    def _initialise(self, initdb: Path, user: ServerUser | None) -> None:
        """Initialise the data folder under a temporary name, and rename it when complete."""
        draft, password = self._folder / "data.new", self._folder / "initdb.password"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write_private_file(password, read_or_create_secret(self._folder / "password"))
        if user:
            user.chown(draft)
            user.chown(password)
        options = [*INITDB, f"--pgdata={draft}", f"--pwfile={password}"]
        process = ServerProcess(initdb, self._log, stop_signals=((signal.SIGTERM, 5.0),), user=user)
        try:
            process.start(*options, *([] if self._durable else ["--no-sync"]))
            process.wait_until_exit(seconds=START_SECONDS)
        finally:
            process.stop()
            password.unlink()
        draft.rename(self._data)

    def _serve(self, postgres: Path, user: ServerUser | None) -> None:
        """Start the server and wait until it accepts connections."""
        self._port = stable_port(self._folder / "port")
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            "log_checkpoints": "off",
            **self._settings,
        }
        self._server = ServerProcess(postgres, self._log, stop_signals=STOP, user=user)
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._server.start("-D", str(self._data), *arguments)
        self._server.wait_until(self._ready, seconds=START_SECONDS)

    def _ready(self) -> bool:
        """Whether the status line of the pid file says `ready`, which is also what pg_ctl checks."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"  # noqa: PLR2004

    def _ensure_database(self) -> None:
        noted = self._folder / "database"
        if not noted.exists():
            asyncio.run(create_database(self._url("postgres"), self._database))
            noted.touch()

    def _url(self, database: str) -> str:
        password = read_or_create_secret(self._folder / "password")
        return f"postgresql://{USER}:{password}@{LOOPBACK}:{self._port}/{database}"
