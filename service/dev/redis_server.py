"""An embedded Redis. One folder holds its configuration, password, port and log."""

import signal
import socket
import time
from pathlib import Path
from typing import Final

from service import clock
from service.dev.binaries import redis_binary
from service.dev.errors import LocalServerError
from service.dev.free_ports import LOOPBACK, is_free, read_port, stable_port
from service.dev.private_files import read_or_create_secret, write_private_file
from service.dev.server_process import POLL_SECONDS, ServerProcess

START_SECONDS: Final = 15.0
ATTEMPTS: Final = 3
ANSWER_SECONDS: Final = 1.0
STOP: Final = ((signal.SIGTERM, 5.0),)


class RedisServer:
    """A Redis server on a port of 127.0.0.1, with a generated password. A restart loses its data.

    folder: created if it does not exist.
    databases: number of logical databases.
    """

    def __init__(self, folder: Path, *, databases: int = 16) -> None:
        self._folder = folder
        self._databases = databases
        self._server: ServerProcess | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The URL of logical database 0, with the password. Valid after `start`."""
        return f"redis://:{self._password}@{LOOPBACK}:{self._port}/0"

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None if it is not running."""
        return self._server.pid if self._server else None

    def start(self) -> None:
        """Start the server and wait until it answers. Stops a server that an earlier run left behind.

        Raises LocalServerError with the reason if the server does not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._stop_orphan()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._serve()
                break
            except LocalServerError:
                if attempt == ATTEMPTS:
                    raise

    def stop(self) -> None:
        """Stop the server. Does nothing if it is not running."""
        if self._server:
            self._server.stop()

    @property
    def _password(self) -> str:
        return read_or_create_secret(self._folder / "password")

    def _serve(self) -> None:
        self._port = stable_port(self._folder / "port")
        configuration = self._folder / "redis.conf"
        # In a file: arguments, and so the password, are visible to every user of the machine.
        write_private_file(configuration, self._configuration())
        self._server = ServerProcess(redis_binary(), self._folder / "log", stop_signals=STOP, user=None)
        self._server.start(str(configuration))
        self._server.wait_until(lambda: self._answers("PING", "+PONG"), seconds=START_SECONDS)

    def _configuration(self) -> str:
        return (
            f"bind {LOOPBACK}\nport {self._port}\nrequirepass {self._password}\ndatabases {self._databases}\n"
            f'dir "{self._folder}"\nsave ""\nappendonly no\n'
        )

    def _stop_orphan(self) -> None:
        """Shut down a Redis on the stored port if it accepts our password, which shows that it is ours."""
        port = read_port(self._folder / "port")
        if port is None or is_free(port):
            return
        self._port = port
        if self._answers("PING", "+PONG"):
            self._answers("SHUTDOWN NOSAVE", "")
            deadline = clock.monotonic() + START_SECONDS
            while not is_free(port) and clock.monotonic() < deadline:
                time.sleep(POLL_SECONDS)

    def _answers(self, command: str, expected: str) -> bool:
        """Whether the server on the port accepts our password and answers the command as expected."""
        try:
            with socket.create_connection((LOOPBACK, self._port), timeout=ANSWER_SECONDS) as connection:
                connection.sendall(f"AUTH {self._password}\r\n{command}\r\n".encode())
                lines = connection.makefile()
                return lines.readline().startswith("+OK") and lines.readline().startswith(expected)
        except OSError:
            return False
