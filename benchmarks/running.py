"""A program under measurement: its processes, whether it answers, and the CPU time that it has used."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from benchmarks.backends import Backends
from benchmarks.machine import on, processors
from benchmarks.programs import Program
from tests.ports import next_port
from tests.shop.door import ROOT

START_SECONDS = 60
STOP_SECONDS = 20
_TICKS = os.sysconf("SC_CLK_TCK")


class Running:
    """A started program. Its processes are those of one session."""

    def __init__(self, program: Program, backends: Backends, folder: Path) -> None:
        self.program = program
        self._log = folder / f"{program.name}.log"
        port, admin_port = next_port(), next_port()
        self.url, self.admin_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}"
        words = {
            "home": program.home,
            "port": port,
            "admin_port": admin_port,
            "database": backends.database,
            "redis": backends.redis,
        }
        given = {name: value.format(**words) for name, value in program.environment.items()}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                on(processors()[0], [word.format(**words) for word in program.command]),
                cwd=program.home,
                env={**clean, "PYTHONPATH": str(ROOT), **given},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, url: str, key: str = "") -> httpx2.Response:
        """Return the first response with status 200 to a GET. Ends the benchmark if no such response comes in time."""
        deadline = time.monotonic() + START_SECONDS
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                answer = httpx2.get(url, headers=headers)
            except httpx2.TransportError:
                time.sleep(0.01)
                continue
            if answer.status_code == httpx2.codes.OK:
                return answer
            time.sleep(0.01)
        raise SystemExit(
            f"bench: {self.program.name} does not answer; its log ends:\n{self._log.read_text()[-2000:]}"
        )

    def cpu_seconds(self) -> float:
        """Return the CPU time of its processes."""
        return sum(sum(map(int, fields[11:13])) for fields in self._processes()) / _TICKS

    def resident_mb(self) -> float:
        """Return the resident memory of its processes in MB."""
        return sum(int(fields[21]) for fields in self._processes()) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def _processes(self) -> Iterator[list[str]]:
        """Yield /proc/<pid>/stat of each process, from its third field on: see proc_pid_stat(5)."""
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if fields[3] == str(self.process.pid):
                yield fields

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def running(program: Program, backends: Backends, folder: Path) -> Iterator[Running]:
    """Start the program, and stop it afterwards."""
    started = Running(program, backends, folder)
    try:
        yield started
    finally:
        started.stop()
