"""The work for one request has bounds. `make bench` measures its time; these figures do not depend on the machine."""

import re
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count

import asyncpg
import orjson
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from benchmarks.floor import App
from tests.api.conftest import Json, unique
from tests.api.cost import counted_calls, send

ARTICLES = "/api/v1/articles"
FOLDERS = ("/service/", "/starlette/", "/fastapi/", "/asyncpg/", "/prometheus_client/")
FLOOR_TIMES = 4.0  # times the CPU of a bare ASGI function; on an idle machine half of it
ROUNDS, EACH = 6, 25
READ_BUFFER = 256 * 1024  # of asyncio, for each read from a socket
LIMITER = ("/service/security/rate_limits/", "/service/cache/redis_")  # more calls while Redis is late

Request = Callable[[], Awaitable[int]]


@pytest.fixture
async def plain_shelf(client: AsyncClient) -> str:
    """The id of a shelf in which nothing looks like a number: `1e` costs two calls more, and `1e234` eleven."""
    while True:
        body = {"slug": unique("plain").lower(), "name": "Plain"}
        id_: str = (await client.post("/api/v1/shelves", json=body)).json()["id"]
        if not re.search("[0-9]e", id_):
            return id_


@pytest.fixture
async def full_shelf(client: AsyncClient, plain_shelf: str) -> str:
    """The id of a shelf with a page of articles, and one more."""
    items = [
        {"sku": unique("FULL"), "name": "Lamp", "price": str(price), "shelf_id": plain_shelf}
        for price in range(51)
    ]
    operations = [{"op": "create", "item": item} for item in items]
    assert (await client.post(f"{ARTICLES}/bulk", json={"operations": operations})).status_code == 200
    page = (await client.get(ARTICLES, params={"shelf_id": plain_shelf, "limit": 50})).json()
    assert (len(page["items"]), page["next_cursor"] is None) == (50, False)
    return plain_shelf


@pytest.fixture
def requests(
    app: FastAPI, client: AsyncClient, article: Json, plain_shelf: str, full_shelf: str
) -> dict[str, Request]:
    """A request of each kind, which can be sent again and again."""
    number = count(1)
    headers = {"Host": "127.0.0.1", "Authorization": client.headers["authorization"]}
    json = {**headers, "Content-Type": "application/json"}
    path = f"{ARTICLES}/{article['id']}"

    def create() -> Awaitable[int]:
        sku = f"{article['sku']}-{next(number)}"
        body = {"sku": sku, "name": "Lamp", "price": "49.90", "stock": 3, "shelf_id": plain_shelf}
        return send(app, "POST", ARTICLES, {**json, "Idempotency-Key": sku}, body=orjson.dumps(body))

    def update() -> Awaitable[int]:
        return send(app, "PATCH", path, {**json, "If-Match": "*"}, body=b'{"stock":%d}' % next(number))

    return {
        "read": lambda: send(app, "GET", path, headers),
        "list": lambda: send(
            app, "GET", ARTICLES, headers, query=f"shelf_id={full_shelf}&sort=price&limit=50"
        ),
        "create": create,
        "update": update,
    }


@pytest.mark.parametrize(
    ("kind", "calls", "kilobytes"),
    [("read", 80, 16), ("list", 84, 20), ("create", 97, 32), ("update", 102, 24)],
)
async def test_request_takes_few_calls_and_little_memory(
    requests: dict[str, Request], kind: str, calls: int, kilobytes: int
) -> None:
    request = requests[kind]
    assert await request() < 300  # also prepares the statement
    counts: list[Counter[str]] = []
    for _ in range(10):
        with counted_calls(*FOLDERS, but=LIMITER) as counted:
            await request()
        counts.append(counted)
    fewest = min(counts, key=Counter.total)
    assert fewest["/fastapi/"] == 0
    assert fewest.total() <= calls, fewest
    assert await _peak(request) <= READ_BUFFER + kilobytes * 1024


async def _peak(request: Request) -> int:
    """Return the bytes that a request allocates at the most, at one time."""
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(5):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            await request()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return min(peaks)


async def test_reading_takes_a_few_times_as_long_as_without_the_service(
    requests: dict[str, Request], app: FastAPI, article: Json
) -> None:
    bare = App()
    path = f"{ARTICLES}/{article['id']}"
    url = app.state.settings.database.url.get_secret_value()
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as bare.pool:
        ratios = []
        for _ in range(ROUNDS):
            floor = await _cpu_seconds(lambda: send(bare, "GET", path, {}))
            ratios.append(await _cpu_seconds(requests["read"]) / floor)
    assert min(ratios) <= FLOOR_TIMES, ratios


async def _cpu_seconds(request: Request) -> float:
    began = time.process_time()
    for _ in range(EACH):
        assert await request() == 200
    return time.process_time() - began
