"""Processes of `slipway` that a fork server starts (tests/forkserver.py), as their parent would see them."""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.forking import connected

ROOT = Path(__file__).parent.parent
FORKS = sys.platform == "linux"
"""Whether this system has what the fork server needs: pidfds, and a signal at the parent's death."""
START_SECONDS = 90  # as for the first answer of a process: tests.process.served
# What a program reads when it runs, and not when it is imported.
READ_LATE = ("SLIPWAY_", "PYTEST_", "COVERAGE_", "PYTHONWARNINGS", "TMPDIR", "PORT", "ADMIN_PORT")


class ForkedProcess:
    """What `subprocess.Popen` is for a child, as far as tests need it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile()
        self._reading = threading.Lock()
        self.returncode: int | None = None
        self.pid = int(self._lines.readline())

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises `subprocess.TimeoutExpired`."""
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("slipway", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, seconds: float | None) -> int | None:
        with self._reading:
            if self.returncode is None and _readable(self._connection, seconds):
                # Without a word, the fork server is gone, and all that it started.
                self.returncode = int(self._lines.readline() or -signal.SIGKILL)
                self._lines.close()
                self._connection.close()
        return self.returncode


def _readable(connection: socket.socket, seconds: float | None) -> bool:
    poll = select.poll()  # unlike select, it takes a file number over 1,023
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


class ForkServer:
    """A fork server. It ends with the process that made it, however that ends."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slipway-fork-"))
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(ROOT / "tests" / "forkserver.py"), str(self.folder), module],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        atexit.register(self.stop)

    def stop(self) -> None:
        """Return when it is gone, and all that it started."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(START_SECONDS)


class Forks:
    """Asks a fork server, which may be another process's, for processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(
        self,
        program: Sequence[str],
        arguments: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        output: Path,
        errors: Path | None = None,
    ) -> ForkedProcess:
        """Start the program, which is executed as `program`, with its output in a file that exists, and its errors in
        the same one or in their own."""
        connection = self._connected()
        request = {
            "program": [*program],
            "arguments": [*arguments],
            "cwd": str(cwd),
            "environment": {**environment},
            "output": str(output),
            "errors": errors and str(errors),
        }
        connection.sendall(json.dumps(request).encode() + b"\n")
        return ForkedProcess(connection)

    def _connected(self) -> socket.socket:
        deadline = time.monotonic() + START_SECONDS
        while (connection := connected(self._folder)) is None:
            log = self._folder / "log"
            assert log.exists() and time.monotonic() < deadline, log.read_text()  # noqa: PT018  # one reason
            time.sleep(0.02)
        return connection


Start = Callable[[str, Mapping[str, str]], Path]
"""Starts a fork server of a module in an environment, and returns its folder."""


def start_here(module: str, environment: Mapping[str, str]) -> Path:
    """Start a fork server as a child of this process."""
    return ForkServer(module, environment).folder


_start: Start = start_here


def start_by(start: Start) -> None:
    """Let fork servers be started so, for example by a process for all workers of a run."""
    global _start  # noqa: PLW0603  # of this process
    _start = start


@cache
def _server(module: str, environment: frozenset[tuple[str, str]]) -> Forks:
    return Forks(_start(module, dict(environment)))


def fork_server(module: str, environment: Mapping[str, str]) -> Forks:
    """Return the fork server of a program: one for each environment that can make a difference to imports."""
    early = frozenset(item for item in environment.items() if not item[0].startswith(READ_LATE))
    return _server(module, early | {("PYTHONWARNINGS", "error")})
