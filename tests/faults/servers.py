"""A PostgreSQL and a Redis for the fault tests to stop, freeze and restart.

These calls block: run them with `in_server_thread`.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from service.dev import postgres_server, redis_server
from service.dev.binaries import postgres_binaries
from service.dev.databases import create_database, drop_database
from service.dev.postgres_server import START_SECONDS, STOP
from service.dev.server_process import ServerProcess
from service.dev.server_user import unprivileged_user
from tests.ports import placed
from tests.servers_process import POSTGRES_SETTINGS, migrate
from tests.shop.tables import create_shop, in_database

Mode = Literal["fast", "immediate"]
TEMPLATE = "template_of_faults"


class Postgres(postgres_server.PostgresServer):
    """A PostgreSQL that may lose data in a power failure, but not when killed."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(placed(folder), durable=False, settings={**POSTGRES_SETTINGS, **settings})
        self._templated = False

    def end(self, mode: Mode) -> None:
        """Stop as `pg_ctl stop -m` does: `fast` ends sessions gracefully, `immediate` is a crash."""
        if mode == "immediate" and self.pid is not None:
            os.kill(self.pid, signal.SIGQUIT)
        self.stop()

    def database(self, name: str) -> str:
        """Create a migrated database with the tables of the shop, and return its URL."""
        if not self._templated:
            asyncio.run(create_database(self.url, TEMPLATE))
            migrate(self._of(TEMPLATE))
            asyncio.run(in_database(self._of(TEMPLATE), create_shop))
            self._templated = True
        asyncio.run(create_database(self.url, name, template=TEMPLATE))
        return self._of(name)

    def standby(self, folder: Path) -> "Postgres":
        """Return a standby of this server, not started yet. It has the same roles."""
        self.copy_to(folder, "--write-recovery-conf")
        return Postgres(folder)

    def copy_to(self, folder: Path, *options: str) -> None:
        """Make a base backup, as the folder of another server."""
        folder.mkdir(parents=True)
        folder.chmod(0o711)
        shutil.copy2(self._folder / "password", folder / "password")
        (folder / "database").touch()
        data = folder / "data"
        user = unprivileged_user(self._data, postgres_binaries())
        if user:
            user.chown(folder)
        process = ServerProcess(
            postgres_binaries() / "pg_basebackup", folder / "log", stop_signals=STOP, user=user
        )
        process.start("--dbname", self.url, "--pgdata", str(data), "--checkpoint=fast", *options)
        process.wait_until_exit(seconds=START_SECONDS)

    def drop(self, name: str) -> None:
        asyncio.run(drop_database(self.url, name))

    def pause(self) -> None:
        """Freeze all processes of the server: connections stay open, and nothing answers."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            return
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):  # the session has ended meanwhile
                os.kill(one, number)

    def _of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))


class Redis(redis_server.RedisServer):
    """A Redis that can be frozen."""

    def __init__(self, folder: Path) -> None:
        super().__init__(placed(folder))

    def pause(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGCONT)
