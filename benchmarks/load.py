"""Sends the requests of one scenario with wrk, and measures what they cost."""

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.backends import Backends
from benchmarks.machine import on, processors
from benchmarks.running import Running

SCRIPT = Path(__file__).with_name("requests.lua")
CONNECTIONS = 32
STILL_SECONDS, SETTLE_SECONDS = 0.1, 5.0
_RESULT = re.compile(r"^RESULT (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one scenario. CPU times for a request are in microseconds, latencies in milliseconds."""

    cpu: float
    rate: float
    median: float
    slow: float
    """The 99th percentile."""
    statements: float | None
    """Statements per request; None if they could not be counted."""
    sent: int


class Load:
    """The client of one program, which reads and updates the items of its number."""

    def __init__(self, program: Running, backends: Backends, *, number: int, items: Path) -> None:
        self._program, self._backends, self._number, self._items = program, backends, number, items
        backends.write_items(items, number)
        self.item = items.read_text().partition(" ")[0]
        answer = program.wait(f"{program.url}/api/v1/articles/{self.item}", backends.key)
        self._tag = answer.headers["etag"].strip('"').lstrip("0123456789")

    def measure(self, scenario: str, run: str, seconds: int) -> Measurement:
        """Send requests for so many seconds. Ends the benchmark if any fails.

        `run` is part of every SKU and key, so that no two runs create the same item.
        """
        statements, cpu = self._backends.statements(), self._program.cpu_seconds()
        told = self.send(scenario, run, seconds)
        self._settle()
        cpu = self._program.cpu_seconds() - cpu
        after, sent = self._backends.statements(), told["sent"]
        if told["refused"] or told["broken"] or not told["completed"]:
            raise SystemExit(
                f"bench: {self._program.program.name}, {scenario}: not all requests succeeded: {told}"
            )
        each = None if statements is None or after is None else (after[0] - statements[0] - 1) / sent
        return Measurement(
            cpu / sent * 1e6,
            told["completed"] / told["microseconds"] * 1e6,
            told["median"] / 1000,
            told["slow"] / 1000,
            each,
            sent,
        )

    def send(
        self, scenario: str, run: str, seconds: int, *, connections: int = CONNECTIONS, pause: float = 0
    ) -> dict[str, int]:
        """Send requests without measuring; each connection pauses for so many milliseconds before each.

        Returns what requests.lua tells.
        """
        self._backends.write_items(self._items, self._number)
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT)]
        given = [
            scenario,
            self._backends.key,
            self._backends.shelf,
            str(self._items),
            self._tag,
            run,
            str(pause),
        ]
        done = subprocess.run(
            on(processors()[1], ["wrk", *options, self._program.url, "--", *given]),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 60,
        )
        told = results(done.stdout)
        if told is None:
            raise SystemExit(f"bench: wrk failed:\n{done.stdout}{done.stderr}")
        return told

    def _settle(self) -> None:
        """Wait until the program has answered what wrk left when it ended, up to one request for each connection."""
        for _ in range(round(SETTLE_SECONDS / STILL_SECONDS)):
            before = self._program.cpu_seconds()
            time.sleep(STILL_SECONDS)
            if self._program.cpu_seconds() == before:
                return


def results(output: str) -> dict[str, int] | None:
    """Return the results in wrk's output; None if there are none."""
    match = _RESULT.search(output)
    if match is None:
        return None
    return {name: int(value) for name, _, value in (word.partition("=") for word in match[1].split())}


def require_wrk() -> None:
    """End the benchmark, saying how to install it, if wrk is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is not installed: apt-get install wrk, or https://github.com/wg/wrk")
