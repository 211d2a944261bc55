"""A server as a child process. It ends when this process ends, and ignores Ctrl-C in the terminal."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from service import clock
from service.dev.errors import LocalServerError, last_lines
from service.dev.server_user import ServerUser

POLL_SECONDS = 0.02
# The caller's environment is not passed on: it may hold secrets, a locale, or PG* variables.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


def command_line(
    program: Path, arguments: Sequence[str], *, user: ServerUser | None, on_parent_death: signal.Signals
) -> list[str]:
    """Return the command that runs a program through launch.py."""
    options = {
        "parent": os.getpid(),
        "signal": int(on_parent_death),
        "uid": user.uid if user else None,
        "gid": user.gid if user else None,
        "bypass_permissions": user.bypass_permissions if user else False,
    }
    launcher = str(Path(__file__).with_name("launch.py"))
    return [sys.executable, "-I", "-S", launcher, json.dumps(options), str(program), *arguments]


class ServerProcess:
    """A server process. Start it in the main thread: the kernel ends it together with the thread that started it.

    stop_signals: the signals to send and the seconds to wait after each; SIGKILL follows by default.
    """

    def __init__(
        self,
        program: Path,
        log: Path,
        *,
        stop_signals: Sequence[tuple[signal.Signals, float]],
        user: ServerUser | None,
    ) -> None:
        self._program = program
        self._log = log
        self._stop_signals = stop_signals
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or None if the process is not running."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, *arguments: str) -> None:
        """Start the program in a new session. Its output goes to the log, which is truncated first."""
        command = command_line(
            self._program, arguments, user=self._user, on_parent_death=self._stop_signals[0][0]
        )
        with self._log.open("wb") as log:
            self._process = spawn(command, log)

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `ready` returns true. Raises LocalServerError if the program exits first or takes too long."""
        deadline = clock.monotonic() + seconds
        while not ready():
            if self.pid is None:
                raise LocalServerError(f"{self._program.name} did not start: {last_lines(self._log)}")
            if clock.monotonic() > deadline:
                self.stop()
                raise LocalServerError(
                    f"{self._program.name} was not ready after {seconds:g} s: {last_lines(self._log)}"
                )
            time.sleep(POLL_SECONDS)

    def wait_until_exit(self, *, seconds: float) -> None:
        """Wait for a program that exits by itself. Raises LocalServerError if it fails or takes too long."""
        assert self._process is not None
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LocalServerError(f"{self._program.name} did not exit within {seconds:g} s") from None
        if code:
            raise LocalServerError(f"{self._program.name} failed: {last_lines(self._log)}")

    def stop(self) -> None:
        """Stop the program gracefully, or kill it if that takes too long. Does nothing if it is not running."""
        if self._process is None:
            return
        for number, seconds in (*self._stop_signals, (signal.SIGKILL, None)):
            if self._process.poll() is None:
                self._process.send_signal(number)
                try:
                    self._process.wait(seconds)
                except subprocess.TimeoutExpired:
                    continue
        self._process = None


def spawn(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a command without a terminal, with no input and a minimal environment."""
    return subprocess.Popen(  # noqa: S603 the command is ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
