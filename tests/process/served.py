"""Processes of `slipway serve`, and how to talk to them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import httpx2

from service.dev.free_ports import LOOPBACK
from service.dev.server_process import command_line
from tests.forked import FORKS, ForkedProcess, Forks, fork_server
from tests.ports import next_port
from tests.shop.door import PROGRAM, ROOT

SLIPWAY = str(Path(sys.executable).with_name("slipway"))  # with the team's domains
MODULES = {(SLIPWAY,): "service.cli", PROGRAM: "tests.shop.__main__"}
START_SECONDS = 90
COMMAND_SECONDS = 90
RECORDED = "COVERAGE_PROCESS_START" in os.environ
SECRET_KEY = "process-tests-" * 3

Json = dict[str, Any]
T = TypeVar("T")


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment without its settings, with the tests importable, and with `settings`:
    `database__url=…`.

    A name in capitals is a variable as it stands.
    """
    ours = ("SLIPWAY_", "PYTEST_ADDOPTS")  # of this run
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    given = {
        name if name.isupper() else f"SLIPWAY_{name.upper()}": str(value) for name, value in settings.items()
    }
    return {**clean, "PYTHONWARNINGS": "error", "PYTHONPATH": str(ROOT), **given}


def command_environment(**settings: object) -> dict[str, str]:
    """Return the environment of a command: production, without Redis, unless the settings say otherwise."""
    return environment(**{"security__secret_key": SECRET_KEY, "redis__enabled": "false", **settings})


def slipway(home: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a new process, with the shop as its domain."""
    return run_command(PROGRAM, arguments, home, command_environment(**settings))


def run_command(
    program: Sequence[str], arguments: Sequence[str], home: Path, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in a new process, from the fork server where there is one."""
    command = [*program, *arguments]
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("output", "errors")]
        for stream in streams:
            stream.touch()
        if FORKS:
            server = _fork_server(program, variables)
            process: Process = server.start(
                program, arguments, cwd=home, environment=variables, output=streams[0], errors=streams[1]
            )
        else:
            with streams[0].open("wb") as output, streams[1].open("wb") as errors:
                process = subprocess.Popen(
                    command, cwd=home, env=variables, stdout=output, stderr=errors, start_new_session=True
                )
        try:
            code = process.wait(COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            raise
        return subprocess.CompletedProcess(command, code, *(stream.read_text("utf-8") for stream in streams))


def eventually(what: Callable[[], T], *, seconds: float = 15) -> T:
    """Return the first true value, or after `seconds` the last one."""
    deadline = time.monotonic() + seconds
    while not (value := what()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


def reached(host: str) -> str:
    """Return the address to reach a server that listens on `host`; one on all addresses is on loopback too."""
    return LOOPBACK if host in {"::", "0.0.0.0"} else host


Process = subprocess.Popen[bytes] | ForkedProcess


def execute(command: Sequence[str], home: Path, variables: dict[str, str], output: Path) -> Process:
    """Start a program in an interpreter of its own, with its output in a file."""
    program, *arguments = command
    with output.open("wb") as log:
        return subprocess.Popen(
            # It ends with the process of the tests, however that ends.
            command_line(Path(program), arguments, user=None, on_parent_death=signal.SIGKILL),
            cwd=home,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def fork(command: Sequence[str], home: Path, variables: dict[str, str], output: Path) -> Process:
    """Start a program of one argument from the fork server, with its output in a file that exists."""
    *program, argument = command
    server = _fork_server(program, variables)
    return server.start(program, [argument], cwd=home, environment=variables, output=output)


def _fork_server(program: Sequence[str], variables: dict[str, str]) -> Forks:
    return fork_server(MODULES.get(tuple(program), program[-1]), variables)


class Served:
    """One run of `slipway serve` with the shop as its domain, its output in a file.

    It listens on free ports of this machine unless settings name them.

    executed: True gives it an interpreter of its own, for tests of how a process starts and ends. False lets the fork
    server start it, which saves a second. By default, only other code in PYTHONPATH has an interpreter of its own.
    """

    program: ClassVar[Sequence[str]] = PROGRAM

    def __init__(self, home: Path, *, executed: object = None, **settings: object) -> None:
        self.port, self.admin_port = (
            int(str(settings.get(name) or next_port())) for name in ("server__port", "server__admin_port")
        )
        given = {
            "security__secret_key": SECRET_KEY,
            "server__port": self.port,
            "server__admin_port": self.admin_port,
            "server__drain_delay": "0",
            **settings,
        }
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self._log = home / "log"
        self._log.write_bytes(b"")
        apart = "PYTHONPATH" in settings if executed is None else executed
        start = execute if apart or not FORKS else fork
        self.process = start([*self.program, "serve"], home, environment(**given), self._log)
        self.host, admin_host = (
            str(settings.get(name) or LOOPBACK) for name in ("server__host", "server__admin_host")
        )
        self.api, self.admin = (
            httpx2.Client(base_url=f"http://{reached(host)}:{port}", timeout=10)
            for host, port in ((self.host, self.port), (admin_host, self.admin_port))
        )

    @property
    def output(self) -> str:
        return self._log.read_text("utf-8")

    def lines(self, **wanted: object) -> list[Json]:
        """Return the log lines with all these members. A line that is still being written does not count."""
        whole = self.output.rpartition("\n")[0]
        found = [json.loads(line) for line in whole.splitlines()]
        return [line for line in found if wanted.items() <= line.items()]

    def probe(self, path: str) -> int:
        """Return the status of an admin path, or 0 if nothing listens."""
        try:
            return self.admin.get(path).status_code
        except httpx2.TransportError:
            return 0

    def metric(self, name: str) -> float | None:
        """Return the value of a series, named as in the text format, or None."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.admin.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else None

    def listening(self) -> "Served":
        """Wait until the process answers its probes."""
        assert eventually(lambda: self.probe("/startupz") == 200 or self._ended(), seconds=START_SECONDS)
        assert not self._ended(), self.output
        return self

    def ready(self) -> "Served":
        """Wait until the service is ready."""
        self.listening()
        assert eventually(lambda: self.probe("/readyz") == 200, seconds=START_SECONDS), self.output
        return self

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self, *, seconds: float = 20) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def close(self) -> None:
        """Kill the process if it is still running."""
        self.api.close()
        self.admin.close()
        if RECORDED and not self._ended():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()  # it writes its coverage at its end
        if not self._ended():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
