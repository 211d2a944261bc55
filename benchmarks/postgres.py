"""A PostgreSQL that counts statements, from the packages of the system: the embedded one has no extensions."""

import asyncio
import shutil
import signal
from pathlib import Path

import asyncpg

from service.dev.free_ports import LOOPBACK
from service.dev.server_process import ServerProcess
from service.dev.server_user import unprivileged_user
from tests.ports import next_port

_SYSTEM = Path("/usr/lib/postgresql")
_OPTIONS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "256MB",
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "4GB",
}


def system_binaries() -> Path | None:
    """Return the folder with the programs of the newest PostgreSQL of the system that has pg_stat_statements."""
    found = _SYSTEM.glob("*/lib/pg_stat_statements.so")
    versions = sorted((path.parent.parent for path in found), key=lambda path: float(path.name))
    return versions[-1] / "bin" if versions else None


class SystemPostgres:
    """A server in a folder, without a password; `url` is that of an empty database."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder, self._data, self._programs = folder, folder / "data", programs
        self._port = next_port()
        self._server: ServerProcess | None = None
        self.url = self._url("bench")

    def start(self) -> None:
        """Initialise the folder, and start. Raises LocalServerError."""
        self._data.mkdir(parents=True, mode=0o700)
        user = unprivileged_user(self._data, self._programs)
        if user is not None:
            self._folder.chmod(0o711)
            user.chown(self._data)
        stop = ((signal.SIGINT, 15.0),)
        initdb = ServerProcess(
            self._programs / "initdb", self._folder / "initdb.log", stop_signals=stop, user=user
        )
        initdb.start(
            "--username=bench", "--auth=trust", "--encoding=UTF8", "--no-locale", f"--pgdata={self._data}"
        )
        initdb.wait_until_exit(seconds=60)
        self._server = ServerProcess(
            self._programs / "postgres", self._folder / "log", stop_signals=stop, user=user
        )
        options = {**_OPTIONS, "port": str(self._port)}
        self._server.start(
            "-D", str(self._data), *(word for name in options for word in ("-c", f"{name}={options[name]}"))
        )
        self._server.wait_until(self._has_database, seconds=30)

    def _has_database(self) -> bool:
        try:
            asyncio.run(self._create())
        except (OSError, asyncpg.CannotConnectNowError):
            return False
        return True

    async def _create(self) -> None:
        connection = await asyncpg.connect(self._url("postgres"))
        try:
            await connection.execute("CREATE DATABASE bench")
        finally:
            await connection.close()
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute("CREATE EXTENSION pg_stat_statements")
        finally:
            await connection.close()

    def _url(self, database: str) -> str:
        return f"postgresql://bench@{LOOPBACK}:{self._port}/{database}"

    def stop(self) -> None:
        """Stop the server, and remove its folder, which belongs to another user."""
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self._data, ignore_errors=True)
