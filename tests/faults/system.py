"""The system under test: replicas behind a load balancer, clients, and the checks at the end."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson
import pytest
from httpx2 import AsyncClient

from tests.faults import verdicts
from tests.faults.balancer import Balancer
from tests.faults.history import Event, History
from tests.faults.load import SHELVES, Load
from tests.faults.measurements import SHARED
from tests.faults.proxy import Endpoint, Proxy
from tests.faults.replica import Replica
from tests.faults.server_thread import in_server_thread
from tests.faults.servers import Postgres, Redis
from tests.process.conftest import new_key

MEMORY_SHARE = 1.10
SETTLE_SECONDS = 5.0
WARM_REQUESTS = 150
# gunicorn leaves a socket to the garbage collector.
GUNICORN: dict[str, object] = {
    "server__workers": 2,
    "PYTHONWARNINGS": "error,ignore::ResourceWarning",
}
# One process and two workers must behave the same.
KINDS = pytest.mark.parametrize(
    "kind", [pytest.param({}, id="one"), pytest.param(GUNICORN, id="workers", marks=pytest.mark.fault)]
)
Kind = dict[str, object]
# With shared processors, waiting for one must not look like a failure.
CROWDED: dict[str, object] = {"database__acquire_timeout": 15}
PATIENT = CROWDED if SHARED else {}
# A little longer than the default, for tests of outages, where requests must be refused soon.
UNHURRIED: dict[str, object] = {"database__acquire_timeout": 1} if SHARED else {}
# The load exceeds the rate limit of one caller.
UNLIMITED: dict[str, object] = {"rate_limit__requests": 1_000_000, "rate_limit__writes": 1_000_000}

_SLEEP = """
CREATE FUNCTION public.sleep_by_name() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(split_part(NEW.name, ' ', 2)::float); RETURN NEW; END $$
"""
_SLOW = """
CREATE TRIGGER slow BEFORE INSERT ON tests_article FOR EACH ROW WHEN (NEW.name LIKE 'Slow %')
EXECUTE FUNCTION public.sleep_by_name()
"""


class System:
    """The system under test. `seed` decides what the clients send."""

    def __init__(self, home: Path, *, seed: int, postgres: Postgres, redis: Redis, database_url: str) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.postgres = postgres
        self.redis = redis
        self.database_url = database_url
        self.replicas: list[Replica] = []
        self.history = History()
        self._home = home
        self._open = AsyncExitStack()
        self._last: list[Callable[[], Awaitable[None]]] = []
        self._memory: dict[int, int] = {}
        self.headers: dict[str, str] = {}
        self._shelf = ""
        self._port = 0

    def make(self, count: int = 1, settings: Mapping[str, object] | None = None) -> None:
        """Create `count` replicas without starting them. A setting that is None is left out."""
        usual = {"database__url": self.database_url, "redis__url": self.redis.url, **UNLIMITED}
        given = {name: value for name, value in {**usual, **(settings or {})}.items() if value is not None}
        self.replicas = [Replica(self._home / f"replica-{n}", **given) for n in range(count)]
        for replica in self.replicas:
            self._open.push_async_callback(replica.close)

    async def serve(self, count: int = 1, settings: Mapping[str, object] | None = None) -> None:
        """Start `count` replicas behind a balancer and warm them up. Raises if they do not become ready."""
        self.make(count, settings)
        await asyncio.gather(*(replica.start() for replica in self.replicas))
        self._balancer = await self._open.enter_async_context(Balancer(lambda: self.replicas))
        self._port = self._balancer.port
        key = await new_key(self.database_url, "admin")
        self.headers = {"Authorization": f"Bearer {key}"}
        self._shelf = await self._new_shelf()
        await self.load(rate=1).send(WARM_REQUESTS * count)
        self.remember_memory()

    async def noticed(self, replica: Replica) -> float:
        """Wait until the balancer no longer uses a stopped replica, and return the time."""
        async with asyncio.timeout(SETTLE_SECONDS):
            while self._balancer.uses(replica):  # noqa: ASYNC110  # it polls, too
                await asyncio.sleep(0.01)
        return time.monotonic()

    async def _new_shelf(self) -> str:
        async with AsyncClient(base_url=f"http://127.0.0.1:{self._port}", headers=self.headers) as client:
            made = await client.post(SHELVES, json={"slug": "faults", "name": "Faults"})
        return str(made.raise_for_status().json()["id"])

    def load(self, *, rate: float, port: int | None = None, **more: Any) -> Load:
        """Return a client of the balancer, or of another port."""
        seed = self.dice.randrange(2**32)
        given = {"history": self.history, **more}
        return Load(port or self._port, self.headers, self._shelf, seed=seed, rate=rate, **given)

    def article(self, sku: str) -> bytes:
        """Return the body that creates an article."""
        return orjson.dumps({"sku": sku, "name": sku, "price": "1.00", "shelf_id": self._shelf})

    @property
    def database_endpoint(self) -> Endpoint:
        parts = urlsplit(self.database_url)
        assert parts.hostname is not None
        assert parts.port is not None
        return Endpoint(parts.hostname, parts.port)

    def database_by(self, way: Proxy) -> str:
        """Return the URL of the system's database through a proxy."""
        return (
            self.database_url.replace(f":{self.database_endpoint.port}/", f":{way.port}/")
            + "?sslmode=disable"
        )

    def at_end(self, what: Callable[[], Awaitable[None]]) -> None:
        """Call a function after the replicas have stopped."""
        self._last.append(what)

    async def execute(self, *statements: str) -> None:
        """Run statements in the system's database, bypassing the service."""
        connection = await asyncpg.connect(self.database_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def slow_down(self) -> None:
        """Make the creation of an article named `Slow 2.5 …` take that many seconds."""
        await self.execute(_SLEEP, _SLOW)

    def remember_memory(self) -> None:
        """Take the current memory of the processes as the baseline."""
        self._memory = {replica.pid: replica.memory() for replica in self.replicas}

    async def judge(self, *, memory: bool = True) -> None:
        """Check all invariants. Fails with every violation and the events around it."""
        connection = await asyncpg.connect(self.database_url)
        try:
            breaches = [
                *await verdicts.of_the_data(self.history, connection),
                *verdicts.of_the_responses(self.history),
                *verdicts.of_the_order(self.history),
                *await _in_time(lambda: verdicts.busy_connections(connection)),
                *(line for r in self.replicas for line in verdicts.of_liveness(r.livez)),
            ]
        finally:
            await connection.close()
        if memory:
            breaches += await _in_time(self._memory_breaches)
        if breaches:
            self.fail(*breaches)

    async def _memory_breaches(self) -> list[str]:
        """I7."""
        found = []
        for replica in self.replicas:
            before, now = self._memory.get(replica.pid), replica.memory()
            if before and now > before * MEMORY_SHARE:
                found.append(f"I7: {before / 1e6:.1f} MB before, {now / 1e6:.1f} MB after")
        return found

    def only(self, allowed: Any, why: str) -> None:
        """Fail unless `allowed(event)` holds for every failed request."""
        if wrong := [event for event in self.history.failures() if not allowed(event)]:
            self.fail(f"{len(wrong)} requests failed that must not: {why}", events=wrong)

    def fail(self, *breaches: str, events: Sequence[Event] = ()) -> None:
        lines = [*breaches[:20], f"responses: {self.history.counts()}", f"SLIPWAY_FAULT_SEED={self.seed}"]
        lines += [error[-1500:] for replica in self.replicas for error in replica.errors()[:2]]
        numbers = [int(word[1:]) for line in breaches for word in line.split() if word[:1] == "#"]
        shown = events or [self.history.events[number] for number in numbers[:1]]
        pytest.fail("\n".join([*lines, self.history.around(shown)]), pytrace=False)

    async def close(self) -> None:
        await self._open.aclose()
        for what in self._last:
            await what()


async def _in_time(find: Any) -> list[str]:
    """Return what is still wrong after some seconds, or nothing as soon as all is well."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        found: list[str] = await find()
        if not found or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.1)


def refused_in(event: Event, began: float, ended: float, *, within: float) -> bool:
    """Whether a request was refused properly in an outage: 503 with Retry-After, in time, and only during the
    outage."""
    return (
        event.response is not None
        and event.status == 503
        and "retry-after" in event.response.headers
        and event.seconds <= within
        and event.end >= began
        and event.start <= ended
    )


async def start_in_thread(server: Postgres | Redis) -> None:
    """Restart a server that a test may have left stopped or frozen."""
    server.resume()
    if server.pid is None:
        await in_server_thread(server.start)
