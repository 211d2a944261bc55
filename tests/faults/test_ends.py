"""On a signal the process exits in time with code 0, whatever it is doing."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from service.dev.free_ports import LOOPBACK
from tests.faults.connection import Connection, Response
from tests.faults.measurements import FULL, Measurements
from tests.faults.proxy import Endpoint, Proxy
from tests.faults.replica import Replica
from tests.faults.server_thread import in_server_thread
from tests.faults.system import System
from tests.process.conftest import new_key
from tests.security.issuer import AUDIENCE, Issuer, local_issuer

DRAIN, SHUTDOWN = 0.2, 1.0
# For a last health check (1 s), closing connections to PostgreSQL (2 s), and the exit of the interpreter.
SPARE = 4.0
LIST = "/api/v1/articles?limit=1"
ROUNDS = int(os.environ.get("SLIPWAY_FAULT_ENDS", "4" if FULL else "1"))
_ARTICLES = """
WITH c AS (
  INSERT INTO tests_shelf (id, slug, name, description, created_by, updated_by)
  VALUES (gen_random_uuid(), 'ends', 'Ends', '', 'x', 'x') RETURNING id
)
INSERT INTO tests_article
  (id, sku, name, description, price, stock, status, tags, attributes, shelf_id, created_by, updated_by)
SELECT gen_random_uuid(), 'E-' || n, repeat('x', 190), '', 1, 0, 'draft', '{}', '{}', c.id, 'x', 'x'
FROM c, generate_series(1, 20000) n
"""


@dataclass
class Scene:
    """A replica, its clients, and servers and an issuer that can be made to hang."""

    system: System
    replica: Replica
    postgres: Proxy
    redis: Proxy
    issuer: Issuer
    connections: list[Connection] = field(default_factory=list)

    async def ask(self, path: str = LIST, *, count: int = 10, token: str = "") -> None:
        """Send requests without waiting for responses."""
        headers = {"Authorization": f"Bearer {token}"} if token else self.system.headers
        for _ in range(count):
            self.connections.append(await Connection.open(self.replica.port))
            self.connections[-1].send("GET", path, headers)

    async def responses(self) -> list[Response | BaseException]:
        """Return the responses, or an exception where a connection was closed without one."""
        return await asyncio.gather(*(c.response() for c in self.connections), return_exceptions=True)

    def reset(self) -> None:
        for connection in self.connections:
            connection.close()
        self.connections.clear()
        self.postgres.heal()
        self.redis.heal()
        self.issuer.dripping = False


@pytest.fixture
async def scene(system: System) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        redis = urlsplit(system.redis.url)
        issuer = await stack.enter_async_context(local_issuer())
        to_postgres = await stack.enter_async_context(Proxy(system.database_endpoint))
        to_redis = await stack.enter_async_context(Proxy(Endpoint(LOOPBACK, redis.port or 0)))
        settings: dict[str, object] = {
            "app__environment": "test",  # the issuer has no TLS
            "database__url": system.database_by(to_postgres),
            "redis__url": redis._replace(netloc=f":{redis.password}@{LOOPBACK}:{to_redis.port}").geturl(),
            "security__issuers": json.dumps([{"issuer": issuer.url, "audience": AUDIENCE}]),
            "server__drain_delay": DRAIN,
            "server__shutdown_timeout": SHUTDOWN,
        }
        system.make(1, settings)
        system.headers = {"Authorization": f"Bearer {await new_key(system.database_url, 'admin')}"}
        made = Scene(system, system.replicas[0], to_postgres, to_redis, issuer)
        yield made
        made.reset()


async def kept(scene: Scene) -> None:
    """Clients hold idle connections."""
    await scene.ask()
    await scene.responses()


async def half(scene: Scene) -> None:
    """Clients have sent half a request."""
    for _ in range(10):
        scene.connections.append(await Connection.open(scene.replica.port))
        scene.connections[-1].send_part(0.5, "GET", LIST, scene.system.headers, b"")
    await asyncio.sleep(0.2)


async def silent(scene: Scene) -> None:
    """PostgreSQL and Redis hang, and requests wait for them."""
    await kept(scene)
    scene.postgres.swallow()
    scene.redis.swallow()
    await scene.ask(count=20)
    await asyncio.sleep(0.2)


async def fetching(scene: Scene) -> None:
    """Requests wait for keys from an issuer whose response never ends."""
    scene.issuer.dripping, before = True, scene.issuer.fetches.copy()
    await scene.ask(token=scene.issuer.token())
    async with asyncio.timeout(15):
        while scene.issuer.fetches == before:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.01)


async def unread(scene: Scene) -> None:
    """Clients do not read their export."""
    await scene.ask("/api/v1/articles/export", count=2)
    await asyncio.sleep(0.5)


State = Callable[[Scene], Awaitable[None]]
ONCE, TWICE = [signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]


@pytest.mark.fault
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("state", "signals"),
    [
        pytest.param(kept, ONCE, id="kept"),
        pytest.param(half, ONCE, id="half"),
        pytest.param(half, TWICE, id="half-twice"),
        pytest.param(silent, ONCE, id="silent"),
        pytest.param(silent, TWICE, id="silent-twice"),
        pytest.param(fetching, ONCE, id="fetching"),
        pytest.param(unread, ONCE, id="unread"),
    ],
)
async def test_command_stops_in_time_on_a_signal(
    scene: Scene, measure: Measurements, state: State, signals: list[signal.Signals]
) -> None:
    longest = 0.0
    if state is unread:
        await scene.system.execute(_ARTICLES)
    for _ in range(ROUNDS):
        await scene.replica.start()
        await state(scene)
        longest = max(longest, await _ended(scene, signals))
        if signals == ONCE:
            statuses = _answered_well(await scene.responses())
            assert statuses == {503} or state is not fetching
        scene.reset()
    name = f"ends-{state.__name__}{'-twice' if signals == TWICE else ''}"
    measure(name, longest, DRAIN + SHUTDOWN + SPARE, unit="s")


@pytest.mark.fault
async def test_signal_stops_a_process_that_was_never_ready(scene: Scene, measure: Measurements) -> None:
    scene.postgres.swallow()
    await scene.replica.launch()
    await in_server_thread(scene.replica.served.listening)
    measure("ends-never-ready", await _ended(scene, ONCE), DRAIN + SHUTDOWN + SPARE, unit="s")


async def _ended(scene: Scene, signals: list[signal.Signals]) -> float:
    """Return the seconds from the first signal to the exit."""
    process, began = scene.replica.served.process, time.monotonic()
    for number in signals:
        process.send_signal(number)
        await asyncio.sleep(scene.system.dice.uniform(0.05, 0.5))
    while process.poll() is None:
        assert time.monotonic() < began + 30, scene.replica.served.output[-2000:]
        await asyncio.sleep(0.01)
    assert process.poll() == 0
    assert scene.replica.served.lines(event="stopped")
    stacks = [line for line in scene.replica.served.lines(level="error") if "exception" in line]
    assert stacks == []
    return time.monotonic() - began


def _answered_well(responses: list[Response | BaseException]) -> set[int]:
    """Return the statuses. Each response has its content, or a problem with Retry-After."""
    given = [response for response in responses if isinstance(response, Response)]
    for response in given:
        if response.status != 200:
            assert response.headers["content-type"] == "application/problem+json"
            assert response.status in (408, 503, 504)
    return {response.status for response in given}
