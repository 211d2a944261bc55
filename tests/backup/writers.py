"""A steady load of writes on the shelves of a database."""

import asyncio
import threading
import time
from typing import Self

import asyncpg

RATE = 300  # writes a second
CONNECTIONS = 4
WRITE = """
UPDATE tests_shelf SET description = new.description, version = version + 1
FROM unnest($1::text[], $2::text[]) AS new(slug, description) WHERE tests_shelf.slug = new.slug
"""


class Writers:
    """Connections that number the descriptions of 50 shelves, RATE times a second by a timetable.

    A connection that is behind catches up with a statement that writes several shelves. `begun` and `done` have the
    last number of each shelf before its statement is sent and after it is committed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.begun, self.done = (dict.fromkeys(range(1, 51), 0) for _ in range(2))
        self._began = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(30)

    @property
    def _due(self) -> float:
        """How many writes the timetable has had so far."""
        return (time.monotonic() - self._began) * RATE

    async def on_time(self) -> float:
        """Wait until all writes that are due now are committed, and return their number."""
        due = self._due
        async with asyncio.timeout(120):
            while sum(self.done.values()) < due:  # noqa: ASYNC110  # the writers are in a loop of their own
                await asyncio.sleep(0.01)
        return due

    async def _all(self) -> None:
        await asyncio.gather(*(self._write(number) for number in range(CONNECTIONS)))

    async def _write(self, number: int) -> None:
        connection = await asyncpg.connect(self._url)
        shelves = [shelf for shelf in self.begun if shelf % CONNECTIONS == number]
        while not self._stopped.is_set():
            owed = self._due / CONNECTIONS - sum(self.begun[shelf] for shelf in shelves)
            await self._next(connection, sorted(shelves, key=self.begun.__getitem__)[: max(0, int(owed))])
            await asyncio.sleep(CONNECTIONS / RATE if owed < 1 else 0)
        await connection.close()

    async def _next(self, connection: asyncpg.Connection, shelves: list[int]) -> None:
        if not shelves:
            return
        for shelf in shelves:
            self.begun[shelf] += 1
        slugs = [f"shelf-{shelf}" for shelf in shelves]
        await connection.execute(WRITE, slugs, [str(self.begun[shelf]) for shelf in shelves])
        for shelf in shelves:
            self.done[shelf] += 1
