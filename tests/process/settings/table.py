"""The table: setting, value, probe. And the processes that many rows share.

A new setting gets a row in the file of the process that fits it:

    @setting("server__max_headers", 20, process="edge")
    def refuses_more_headers(run: Running) -> None:
        assert ...

The value differs from the default, and the probe fails with the default: `make test-long` starts the process without
the setting and sees the probe fail. A value may be a function of the `Setup`, for what is known only then. Rows of a
process run in the order in which they are written.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from tests.process.conftest import new_key
from tests.process.served import Served
from tests.process.settings.background import Background

Given = dict[str, object]


class Setup:
    """What a process needs to run. `servers` holds what `prepare` started, by name."""

    def __init__(self, home: Path, background: Background, database_url: str) -> None:
        self.home = home
        self.background = background
        self.database_url = database_url
        self.servers: dict[str, Any] = {}
        self.closing: list[Callable[[], object]] = []


@dataclass
class Running:
    """A process under test, and ways to observe it from outside."""

    setup: Setup
    service: Served

    def sql(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Query the database as its owner."""
        return self.setup.background.run(_ask(self.setup.database_url, statement, *arguments))

    def script(self, statements: str) -> None:
        """Run statements without results as the owner of the database."""
        self.setup.background.run(_run(self.setup.database_url, statements))

    def key(self, *scopes: str) -> dict[str, str]:
        """Return the header of a new key."""
        scopes = scopes or ("shop:read", "shop:write")
        return {"X-API-Key": self.setup.background.run(new_key(self.setup.database_url, *scopes))}

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Lock the table, so that readers wait."""
        leave = threading.Event()
        held = threading.Event()

        async def hold() -> None:
            connection = await asyncpg.connect(self.setup.database_url)
            try:
                await connection.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                held.set()
                await asyncio.to_thread(leave.wait, 60)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as pool:
            holding = pool.submit(self.setup.background.run, hold())
            try:
                assert held.wait(20)
                yield
            finally:
                leave.set()
                holding.result()


async def _ask(url: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        found: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
        return found
    finally:
        await connection.close()


async def _run(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


Probe = Callable[[Running], None]


@dataclass(frozen=True)
class Row:
    """A setting. Its value is set in the process together with those of all rows of that process."""

    setting: str
    value: object
    process: str
    probe: Probe

    def value_at(self, setup: Setup) -> object:
        return self.value(setup) if callable(self.value) else self.value


@dataclass(frozen=True)
class Process:
    """`prepare` starts dependencies and returns settings that are not rows; `start` starts the process."""

    prepare: Callable[[Setup], Given]
    start: Callable[[Setup, Given], Served]


ROWS: dict[str, Row] = {}
PROCESSES: dict[str, Process] = {}


def serve(setup: Setup, given: Given) -> Served:
    """Start `slipway serve` and wait until it is ready."""
    service = Served(setup.home / "service", **given)
    setup.closing.append(service.close)
    return service.ready()


def process(
    name: str, start: Callable[[Setup, Given], Served] = serve
) -> Callable[[Callable[[Setup], Given]], None]:
    """Register a process; the function prepares it."""

    def add(prepare: Callable[[Setup], Given]) -> None:
        assert name not in PROCESSES
        PROCESSES[name] = Process(prepare, start)

    return add


def setting(name: str, value: object, *, process: str) -> Callable[[Probe], Probe]:
    """Add a row; the function is its probe."""

    def add(probe: Probe) -> Probe:
        assert name not in ROWS, f"{name} has a row"
        ROWS[name] = Row(name, value, process, probe)
        return probe

    return add


def started(name: str, setup: Setup, *, without: str = "") -> Running:
    """Start the process with the values of all its rows, except one if named."""
    found = PROCESSES[name]
    given = found.prepare(setup)
    given |= {
        row.setting: row.value_at(setup)
        for row in ROWS.values()
        if row.process == name and row.setting != without
    }
    return Running(setup, found.start(setup, given))
