"""A replica of the service: a process that can be killed, stopped and restarted at the same address."""

import asyncio
import resource
import signal
import time
from pathlib import Path

from tests.faults.connection import get
from tests.faults.server_thread import in_server_thread
from tests.ports import next_port
from tests.process.served import Served

POLL_SECONDS = 0.1
STOP_SECONDS = 30


class Replica:
    """`livez` holds the responses of the liveness probe, from readiness until the stop."""

    def __init__(self, home: Path, **settings: object) -> None:
        self._home = home
        self.port, self.admin_port = next_port(), next_port()
        self._settings = {
            **settings,
            "server__port": self.port,
            "server__admin_port": self.admin_port,
        }
        self._served: Served | None = None
        self._watching: asyncio.Task[None] | None = None
        self.livez: list[tuple[float, int]] = []

    @property
    def served(self) -> Served:
        assert self._served is not None
        return self._served

    @property
    def pid(self) -> int:
        return self.served.process.pid

    def change(self, **settings: object) -> None:
        """Change settings from the next start on."""
        self._settings.update(settings)

    async def start(self) -> None:
        """Start the replica and wait until it is ready."""
        await self.launch()
        await in_server_thread(self.served.ready)
        self._watching = asyncio.create_task(self._watch())

    async def launch(self) -> None:
        """Start the process without waiting."""
        await self.close()
        self._served = await in_server_thread(Served, self._home, **self._settings)

    async def kill(self) -> None:
        """Send SIGKILL and wait for the exit."""
        self._unwatch()
        self.served.process.kill()
        await self._ended(STOP_SECONDS)

    async def terminate(self) -> tuple[int, float]:
        """Send SIGTERM. Return the exit code and the seconds until the exit."""
        began = time.monotonic()
        self.served.process.send_signal(signal.SIGTERM)
        code = await self._ended(STOP_SECONDS)
        self._unwatch()
        while self.livez and not self.livez[-1][1]:  # the admin port closes before the process exits
            self.livez.pop()
        return code, time.monotonic() - began

    async def close(self) -> None:
        """Kill what is left of the process."""
        self._unwatch()
        if self._served is not None:
            await in_server_thread(self._served.close)
            self._served = None

    async def _ended(self, seconds: float) -> int:
        deadline = time.monotonic() + seconds
        while (code := self.served.process.poll()) is None:
            assert time.monotonic() < deadline, f"not ended in {seconds:g} s: {self.served.output[-2000:]}"
            await asyncio.sleep(0.02)
        return code

    async def _watch(self) -> None:
        process = self.served.process
        while process.poll() is None:
            response = await get(self.admin_port, "/livez")
            if process.poll() is not None:
                return
            self.livez.append((time.monotonic(), response.status if response else 0))
            await asyncio.sleep(POLL_SECONDS)

    def _unwatch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def errors(self) -> list[str]:
        """Return the errors in the log, as text."""
        lines = self.served.lines(level="error") if self._served else []
        return [str(line.get("exception", line)) for line in lines]

    @property
    def workers(self) -> list[int]:
        """Return the ids of gunicorn's workers; empty with a single process."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    @property
    def processes(self) -> list[int]:
        """Return the ids of all processes, the main process first."""
        return [self.pid, *self.workers]

    def memory(self) -> int:
        """Return the memory of all processes in bytes, or 0 if unknown."""
        return sum(
            int((folder / "statm").read_text().split()[1]) * resource.getpagesize()
            for folder in self._folders()
        )

    def files(self) -> int:
        """Return the number of open files and sockets, or 0 if unknown."""
        return sum(len([*(folder / "fd").iterdir()]) for folder in self._folders())

    def _folders(self) -> list[Path]:
        return [Path(f"/proc/{pid}") for pid in self.processes] if Path(f"/proc/{self.pid}").exists() else []
