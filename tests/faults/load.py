"""A client that records: seeded requests at a target rate, on reused and new connections, without retries."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import orjson

from tests.faults.connection import Connection, NoResponseError
from tests.faults.history import Event, History

SHELVES, ARTICLES = "/api/v1/shelves", "/api/v1/articles"
MIX = {"create": 3, "read": 4, "update": 3, "list": 1}
RESPONSE_SECONDS = 20.0
MOST_RUNNING = 200  # most requests at a time; further ones wait


class Load:
    """A client of the service at `port`. `rate` is in requests per second, `fresh` is the share of requests on a new
    connection."""

    def __init__(
        self,
        port: int,
        headers: Mapping[str, str],
        shelf: str,
        *,
        seed: int,
        rate: float,
        fresh: float = 0.3,
        mix: Mapping[str, int] = MIX,
        history: History | None = None,
    ) -> None:
        self.history = history or History()
        self._port = port
        self._headers = headers
        self._shelf = shelf
        self._rate = rate
        self._fresh = fresh
        self._mix = mix
        self._dice = random.Random(seed)
        self._name = f"{seed:x}-{id(self):x}"
        self._idle: list[Connection] = []
        # Items that no request is changing. An item whose change was not acknowledged is never used again.
        self._tags: dict[str, str] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MOST_RUNNING)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[History]:
        """Send requests while the block runs, then wait for the pending responses."""
        sending = asyncio.create_task(self._send_all())
        try:
            yield self.history
        finally:
            sending.cancel()
            await asyncio.gather(*self._running)
            self._close()

    async def send(self, count: int) -> None:
        """Send `count` requests, one after another."""
        for _ in range(count):
            await self._one()
        self._close()

    def _close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _send_all(self) -> None:
        began, sent = time.monotonic(), 0
        while True:
            late = began + sent / self._rate - time.monotonic()
            if late > 0:
                await asyncio.sleep(late)
            await self._places.acquire()
            sent += 1
            task = asyncio.create_task(self._one())
            self._running.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._places.release()

    async def _one(self) -> None:
        fresh = self._dice.random() < self._fresh
        (operation,) = self._dice.choices(list(self._mix), list(self._mix.values()))
        if operation in {"read", "update"} and not self._tags:
            operation = "create"
        await getattr(self, f"_{operation}")(fresh=fresh)

    async def slow(self, seconds: float) -> Event:
        """Create an item slowly; needs `System.slow_down`."""
        return await self._create(fresh=True, beginning=f"Slow {seconds:g}")

    async def again(self, event: Event) -> Event:
        """Repeat a creation with its key, as a client does that got no response."""
        twin = self.history.add("create", fresh=True, mark=event.mark, key=event.key)
        await self._ask(twin, "POST", ARTICLES, self._body(event.mark), {"Idempotency-Key": event.key})
        if twin.good:
            self._note_creation(twin)
        return twin

    def _body(self, mark: str) -> bytes:
        sku = "F-" + mark.rpartition(" ")[2].upper()
        return orjson.dumps({"sku": sku, "name": mark, "price": "1.00", "shelf_id": self._shelf})

    async def _create(self, *, fresh: bool, beginning: str = "Item") -> Event:
        name = f"{self._name}-{len(self.history.events)}"
        mark, key = f"{beginning} {name}", name
        event = self.history.add("create", fresh=fresh, mark=mark, key=key)
        await self._ask(event, "POST", ARTICLES, self._body(mark), {"Idempotency-Key": key})
        if event.good:
            self._note_creation(event)
        return event

    def _note_creation(self, event: Event) -> None:
        assert event.response is not None
        event.item = event.response.headers["location"].rpartition("/")[2]
        self._learn(event)

    async def _read(self, *, fresh: bool) -> None:
        item = self._dice.choice([*self._tags])
        event = self.history.add("read", fresh=fresh, item=item)
        await self._ask(event, "GET", f"{ARTICLES}/{item}")
        if event.good and event.response:
            event.version = event.response.json["version"]

    async def _update(self, *, fresh: bool) -> None:
        item = self._dice.choice([*self._tags])
        tag = self._tags.pop(item)
        mark = f"Item {self._name}-{len(self.history.events)}"
        event = self.history.add("update", fresh=fresh, item=item, mark=mark)
        headers = {"If-Match": tag, "Content-Type": "application/merge-patch+json"}
        await self._ask(event, "PATCH", f"{ARTICLES}/{item}", orjson.dumps({"name": mark}), headers)
        if event.good:
            self._learn(event)

    async def _list(self, *, fresh: bool) -> None:
        event = self.history.add("list", fresh=fresh)
        await self._ask(event, "GET", f"{ARTICLES}?limit=5&sort=-created_at")

    def _learn(self, event: Event) -> None:
        assert event.response is not None
        tag = event.response.headers["etag"]
        event.version = int(tag.strip('"').partition("-")[0])
        self._tags[event.item] = tag

    async def _ask(
        self,
        event: Event,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        sent = {"Content-Type": "application/json", **self._headers, "X-Request-Id": event.request_id}
        event.start = time.monotonic()
        connection: Connection | None = None
        try:
            connection = await self._connection(fresh=event.fresh)
            event.response = await connection.ask(
                method, path, {**sent, **(headers or {})}, body, seconds=RESPONSE_SECONDS
            )
        except NoResponseError as error:
            event.error = str(error)
        finally:
            event.end = time.monotonic()
            if connection is not None:
                self._put_back(connection, event)

    async def _connection(self, *, fresh: bool) -> Connection:
        while self._idle and not fresh:
            connection = self._idle.pop(0)
            if connection.usable:
                return connection
            connection.close()
        return await Connection.open(self._port)

    def _put_back(self, connection: Connection, event: Event) -> None:
        if event.response is not None and not event.fresh and connection.usable:
            self._idle.append(connection)
        else:
            connection.close()
