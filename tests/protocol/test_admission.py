"""More requests than a process works on at a time."""

import re
import threading
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import asyncpg
import pytest

from tests.process.served import Served, eventually
from tests.protocol.case import post
from tests.protocol.wire import wire

pytestmark = pytest.mark.xdist_group("protocol-strict")

LIST = "/api/v1/products"


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """While this lasts, whoever reads products waits."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE product IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


def sample(server: Served, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    wanted = "".join(f'.*{label}="{value}"' for label, value in labels.items())
    lines = re.findall(rf"^{name}(?:{{{wanted}.*}})? (.*)$", server.admin.get("/metrics").text, re.MULTILINE)
    return sum(map(float, lines))


async def test_requests_beyond_the_limit_are_turned_away_at_once(strict: Served, database_url: str) -> None:
    before = sample(strict, "slipway_requests_turned_away_total", reason="running")
    statuses: list[int] = []
    readers = [
        threading.Thread(target=lambda: statuses.append(strict.api.get(LIST).status_code)) for _ in range(2)
    ]
    async with locked(database_url):
        for reader in readers:
            reader.start()
        assert eventually(lambda: sample(strict, "http_requests_in_progress") == 2)
        for _ in range(20):
            began = time.monotonic()
            answer = strict.api.get(LIST, headers={"Authorization": "Bearer not looked at"})
            assert answer.status_code == 503
            assert time.monotonic() - began < 0.25
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "overloaded"
        assert strict.probe("/livez") == 200
    for reader in readers:
        reader.join()
    assert statuses == [200, 200]
    assert sample(strict, "slipway_requests_turned_away_total", reason="running") - before == 20
    assert strict.api.get(LIST).status_code == 200


def test_slow_clients_take_no_place(strict: Served) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(wire(strict.port)).send(post(b"Content-Length: 9", b"{"))
        for _ in range(10):
            assert strict.api.get(LIST).status_code == 200
            time.sleep(0.02)


def test_refused_requests_are_logged_and_counted_as_any_other(strict: Served) -> None:
    with wire(strict.port) as client:
        client.send(b"GET /secret?token=x HTTP/1.1\r\nHost: a\r\nHost: secret\r\n\r\n")
        answer = client.answer()
    assert answer is not None
    request_id = answer.problem["request_id"]
    (line,) = eventually(lambda: strict.lines(request_id=request_id))
    assert (line["status"], line["method"], line["route"]) == (400, "GET", None)
    assert "secret" not in str(line) + answer.body.decode()
    assert 'path="__unknown__",status_code="400"' in strict.admin.get("/metrics").text
