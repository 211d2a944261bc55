"""More concurrent requests than a process accepts."""

import re
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from statistics import median

import asyncpg
import pytest

from service.observability.access_log import REFUSALS
from tests.process.served import Served, eventually
from tests.protocol.case import get, post
from tests.protocol.wire import wire

pytestmark = pytest.mark.xdist_group("protocol-strict")

LIST = "/api/v1/articles"


@asynccontextmanager
async def locked(url: str, table: str = "tests_article") -> AsyncIterator[None]:
    """Lock the table, so that readers wait."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


def sample(server: Served, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples with these labels."""
    wanted = "".join(f'.*{label}="{value}"' for label, value in labels.items())
    lines = re.findall(rf"^{name}(?:{{{wanted}.*}})? (.*)$", server.admin.get("/metrics").text, re.MULTILINE)
    return sum(map(float, lines))


def seconds(server: Served, request_ids: set[str], *, least: int | None = None) -> list[float]:
    """Return the durations of these requests in the server's log, which a busy client does not affect.

    Of all of them, or of as many as the log has, `least` or more.
    """

    def lines() -> list[float]:
        told = server.lines(event="request")
        return [line["duration_ms"] / 1000 for line in told if line["request_id"] in request_ids]

    assert eventually(lambda: len(lines()) >= (len(request_ids) if least is None else least))
    return lines()


async def test_requests_beyond_the_limit_are_refused_soon(strict: Served, database_url: str) -> None:
    before = sample(strict, "slipway_requests_turned_away_total", reason="running")
    statuses: list[int] = []
    readers = [
        threading.Thread(target=lambda: statuses.append(strict.api.get(LIST).status_code)) for _ in range(2)
    ]
    async with locked(database_url):
        for reader in readers:
            reader.start()
        assert eventually(lambda: sample(strict, "http_requests_in_progress") == 2)
        refused = set[str]()
        for _ in range(20):
            response = strict.api.get(LIST, headers={"Authorization": "Bearer not looked at"})
            assert response.status_code == 503
            refused.add(response.headers["x-request-id"])
        assert max(seconds(strict, refused)) < 0.25
        assert response.headers["retry-after"] == "1"
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] == "overloaded"
        assert strict.probe("/livez") == 200
    for reader in readers:
        reader.join()
    assert statuses == [200, 200]
    assert sample(strict, "slipway_requests_turned_away_total", reason="running") - before == 20
    assert strict.api.get(LIST).status_code == 200


async def test_flood_is_refused_fast_while_the_admin_port_responds(strict: Served, database_url: str) -> None:
    refused = set[str]()
    over = threading.Event()
    first = time.monotonic()

    def flood() -> None:
        """Run eight clients in one thread, so that they load the server and not the measuring client."""
        with ExitStack() as stack:
            clients = [stack.enter_context(wire(strict.port)) for _ in range(8)]
            while not over.is_set():
                for client in clients:
                    client.send(get(b"X: 1", path=LIST))
                for response in [client.response() for client in clients]:
                    assert response is not None
                    assert (response.status, response.headers["retry-after"]) == (503, "1")
                    refused.add(response.headers["x-request-id"])

    with ThreadPoolExecutor(3) as threads:
        async with locked(database_url):
            running = [threads.submit(strict.api.get, LIST) for _ in range(2)]
            assert eventually(lambda: sample(strict, "http_requests_in_progress") == 2)
            flooding = threads.submit(flood)
            assert eventually(lambda: len(refused) > 50 or flooding.done())
            probes = []
            for _ in range(30):
                began = time.monotonic()
                assert strict.probe("/livez") == 200
                probes.append(time.monotonic() - began)
            over.set()
            assert eventually(flooding.done)  # the unlocked table would let waiting requests in
        flooding.result()
        assert [one.result().status_code for one in running] == [200, 200]
    listed = seconds(strict, refused, least=1)
    assert median(listed) < 0.05
    assert len(listed) <= REFUSALS * (time.monotonic() - first + 1)  # a line for each would prolong the flood
    assert median(probes) < 0.1
    assert max(probes) < 1


def test_burst_beyond_the_limit_is_served(strict: Served) -> None:
    """Requests wait a moment for those before them: two may run at a time."""
    burst = 6
    with ExitStack() as stack:
        clients = [stack.enter_context(wire(strict.port)) for _ in range(burst)]

        def statuses() -> set[int]:
            for client in clients:
                client.send(get(b"X: 1", path="/api/v1/shelves"))
            return {getattr(client.response(), "status", 0) for client in clients}

        # On a machine that is too busy, a burst takes longer than requests wait.
        assert eventually(lambda: statuses() == {200})


def test_slow_clients_occupy_no_slot(strict: Served) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(wire(strict.port)).send(post(b"Content-Length: 9", b"{"))
        for _ in range(10):
            assert strict.api.get(LIST).status_code == 200
            time.sleep(0.02)


def test_refused_requests_are_logged_and_counted(strict: Served) -> None:
    with wire(strict.port) as client:
        client.send(b"GET /secret?token=x HTTP/1.1\r\nHost: a\r\nHost: secret\r\n\r\n")
        response = client.response()
    assert response is not None
    request_id = response.problem["request_id"]
    (line,) = eventually(lambda: strict.lines(request_id=request_id))
    assert (line["status"], line["method"], line["route"]) == (400, "GET", None)
    assert "secret" not in str(line) + response.body.decode()
    assert 'path="__unknown__",status_code="400"' in strict.admin.get("/metrics").text
