"""Tests of the harness: checks can fail, and proxies misbehave as told."""

import asyncio
import time

import pytest

from service.dev.free_ports import LOOPBACK
from tests.faults import verdicts
from tests.faults.connection import Connection, NoResponseError, Response
from tests.faults.history import Event, History
from tests.faults.measurements import Measurements
from tests.faults.proxy import Endpoint, Proxy
from tests.faults.report import BEGIN, END, written

PROBLEM = {"content-type": "application/problem+json"}


def _event(history: History, response: Response, *, mark: str = "") -> Event:
    event = history.add("create", fresh=False, mark=mark)
    event.response = Response(
        response.status, {"x-request-id": event.request_id, **response.headers}, response.body
    )
    return event


@pytest.mark.parametrize(
    ("response", "breach"),
    [
        (Response(500, {"content-type": "text/plain"}, b"no"), "I4"),
        (Response(500, PROBLEM, b'{"status": 503, "request_id": "other"}'), "I4"),
        (Response(200, {"x-request-id": "another"}, b"{}"), "I5"),
        (Response(201, {}, b'{"id": "1", "name": "of another"}'), "I5"),
    ],
)
def test_harness_detects_responses_that_violate_an_invariant(response: Response, breach: str) -> None:
    history = History()
    _event(history, response, mark="mine")
    assert [line[:2] for line in verdicts.of_the_responses(history)] == [breach]


@pytest.mark.parametrize("text", ["Traceback (most", "SELECT a FROM b", "asyncpg.exceptions"])
def test_harness_detects_responses_with_internal_details(text: str) -> None:
    history = History()
    event = history.add("read", fresh=False)
    body = f'{{"status": 500, "request_id": "{event.request_id}", "detail": "{text}"}}'.encode()
    event.response = Response(500, {"x-request-id": event.request_id, **PROBLEM}, body)
    assert [line[:2] for line in verdicts.of_the_responses(history)] == ["I4"]


def test_harness_detects_lost_duplicate_and_skipped_writes() -> None:
    history = History()
    event = history.add("create", fresh=False, key="k", item="a")
    event.response, event.version = Response(201, {}, b""), 1
    made = [{"item": "a", "version": 1, "request_id": event.request_id}]
    kept = [{"item": "a", "version": 1}]
    versions = [{"item": "a", "versions": [1]}]

    def found(changes: list[object], rows: list[object], spans: list[object]) -> list[str]:
        return [line[:2] for line in verdicts.breaches(history.events, changes, rows, spans)]

    assert found([*made], [*kept], [*versions]) == []
    assert found([], [*kept], [*versions]) == ["I1"]
    assert found([*made], [], []) == ["I1"]
    assert found([*made, *made], [*kept], [*versions]) == ["I2"]
    assert found([*made], [*kept], [{"item": "a", "versions": [1, 3]}]) == ["I3"]


async def test_proxy_delays_drops_cuts_and_recovers() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" if data else b"")
        writer.close()

    server = await asyncio.start_server(echo, LOOPBACK, 0)
    async with Proxy(Endpoint(*server.sockets[0].getsockname()[:2])) as proxy:
        first = await Connection.open(proxy.port)
        assert (await first.ask("GET", "/", {})).status == 200
        proxy.delay, began = 0.1, time.monotonic()
        assert (await first.ask("GET", "/", {})).status == 200
        assert time.monotonic() - began >= 0.2
        proxy.delay, proxy.rate, began = 0, 400.0, time.monotonic()  # bytes a second
        assert (await first.ask("GET", "/", {})).status == 200
        assert time.monotonic() - began >= 0.1
        proxy.rate = None
        proxy.swallow()
        with pytest.raises(NoResponseError):
            await first.ask("GET", "/", {}, seconds=0.2)
        proxy.heal()
        second = await Connection.open(proxy.port)
        assert (await second.ask("GET", "/", {})).status == 200
        with pytest.raises(NoResponseError):
            await first.ask("GET", "/", {}, seconds=0.2)
        proxy.reset()
        with pytest.raises(NoResponseError):
            await second.ask("GET", "/", {}, seconds=1)
        proxy.refuse()
        with pytest.raises(NoResponseError):
            await Connection.open(proxy.port)
        first.close()
        second.close()
    server.close()


def test_request_that_still_runs_counts_with_the_time_so_far() -> None:
    history = History()
    history.add("read", fresh=False).start = time.monotonic() - 5
    assert 5 <= history.latency(0.99, lambda _: True) < 60


def test_measurement_over_its_limit_fails() -> None:
    measurements = Measurements("tests/faults/test_harness.py::test")
    measurements("healed", 1.5, 2, unit="s")
    with pytest.raises(AssertionError, match="healed"):
        measurements("healed", 2.5, 2, unit="s")


def test_page_keeps_figures_of_earlier_runs() -> None:
    page = f"# Head\n{BEGIN}\n{END}\ntail\n"
    old = {"test": "tests/faults/test_a.py::x", "value": 1.25, "bound": 2.0, "unit": "s"}
    page = written(page, {"b": old, "a": old}, conditions="Measured once.")
    page = written(page, {"a": {**old, "value": 0.5}}, conditions="Measured again.")
    assert page.startswith("# Head\n")
    assert page.endswith("tail\n")
    assert "once" not in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `a` | 0.5 | 2 | s | [test_a.py](../tests/faults/test_a.py) |",
        "| `b` | 1.25 | 2 | s | [test_a.py](../tests/faults/test_a.py) |",
    ]
