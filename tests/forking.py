"""A process that forks for every client of its socket, and tells it how the fork ended."""

import atexit
import contextlib
import os
import selectors
import socket
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn, TextIO

# With what typeshed leaves out.
THREADS: Any = threading


class ForkServer:
    """Listens at FOLDER/socket until `alive` ends. A client reads two lines: the process id of its fork, which the fork
    sends, and at its end the exit code as `subprocess` has it."""

    def __init__(self, folder: Path, alive: TextIO) -> None:
        self._alive = alive
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "socket"))
        self._listener.listen(64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(alive, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._clients: dict[int, socket.socket] = {}

    def next_client(self) -> socket.socket | None:
        """Return a client in the process that was forked for it; in this one, None at the end."""
        while self._alive not in (ready := [key.fileobj for key, _ in self._selector.select()]):
            for file in ready:
                if isinstance(file, int):
                    self._ended(file)
                elif (client := self._fork()) is not None:
                    return client
        return None

    def close(self) -> None:
        """Close what a fork has inherited."""
        self._selector.close()
        self._listener.close()
        for file, client in self._clients.items():
            os.close(file)
            client.close()

    def _fork(self) -> socket.socket | None:
        client, _ = self._listener.accept()
        if not (pid := os.fork()):
            return client
        file = os.pidfd_open(pid)
        self._clients[file] = client
        self._selector.register(file, selectors.EVENT_READ, pid)
        return None

    def _ended(self, file: int) -> None:
        _, status = os.waitpid(self._selector.unregister(file).data, 0)
        os.close(file)
        with self._clients.pop(file) as client:
            send(client, os.waitstatus_to_exitcode(status))


def connected(folder: Path) -> socket.socket | None:
    """Return a connection to the server of this folder, None if it does not listen yet."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(folder / "socket"))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def send(client: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # the client may be gone
        client.sendall(f"{number}\n".encode())


def end(code: int) -> NoReturn:
    """End a fork as an interpreter ends, but do not take its modules apart: that would copy all that the imports have
    made."""
    THREADS._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)
