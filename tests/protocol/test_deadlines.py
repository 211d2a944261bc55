"""Slow clients: slow to send a request, to finish it, or to read the response."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median

import pytest

from tests.process.served import Served, eventually
from tests.protocol.case import get, post
from tests.protocol.wire import Wire, wire

pytestmark = pytest.mark.xdist_group("protocol-strict")

MANY = 500
# Seconds within which a deadline of half a second expires, on a busy machine. A deadline that each byte extends would
# expire after the last byte, which a slow client sends after six seconds; the default ones are longer, too.
SOON = (0.4, 4.0)
BIG = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"


def drip(client: Wire, data: bytes) -> Iterator[None]:
    """Send one byte per step."""
    for place in range(len(data)):
        client.send(data[place : place + 1])
        yield


def times_out(client: Wire, data: bytes, *, since: float | None = None) -> None:
    """Send data slowly, and expect 408 in time, counted from now or a moment before."""
    began = since or time.monotonic()
    client.socket.settimeout(0.05)
    response = None
    for _ in drip(client, data):
        try:
            response = client.response()
            break
        except TimeoutError:
            continue
    assert response is not None
    assert SOON[0] < time.monotonic() - began < SOON[1]
    assert response.status == 408
    assert response.headers["connection"] == "close"
    assert response.problem["code"] == "request_timeout"
    assert client.response() is None


def honest(server: Served, seconds: float) -> list[float]:
    """Return the seconds of each request of a well-behaved client, one after another."""
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        assert server.api.get("/health").status_code == 200
        taken.append(time.monotonic() - began)
        time.sleep(0.01)
    return taken


def established(port: int, client: Wire) -> bool:
    """Whether the server's side of the connection is open, according to the system."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("this system does not tell the state of connections")
    ends = f":{port:04X}", f":{client.socket.getsockname()[1]:04X}"
    rows = (line.split() for line in table.read_text().splitlines()[1:])
    return any((row[1][-5:], row[2][-5:]) == ends and row[3] == "01" for row in rows)


def test_idle_new_connection_is_closed_without_a_response(strict: Served) -> None:
    began = time.monotonic()
    with wire(strict.port) as client:
        client.closed_within(SOON[1])
        assert time.monotonic() - began > SOON[0]
        assert client.response() is None


def test_slow_header_is_cut_off_at_an_absolute_deadline(strict: Served) -> None:
    began = time.monotonic()
    with wire(strict.port) as client:
        times_out(client, get(b"X: 1\r\n" * 20), since=began)


def test_slow_header_of_a_second_request_is_cut_off(strict: Served) -> None:
    with wire(strict.port) as client:
        client.send(get(b"X: 1"))
        assert getattr(client.response(), "status", None) == 200
        times_out(client, get(b"X: 1\r\n" * 20))


def test_empty_lines_do_not_keep_a_connection_open(strict: Served) -> None:
    began = time.monotonic()
    with wire(strict.port) as client:
        times_out(client, b"\r\n" * 100, since=began)


@pytest.mark.parametrize("fields", [b"Content-Length: 500", b"Transfer-Encoding: chunked"])
def test_slow_body_is_cut_off_at_an_absolute_deadline(strict: Served, fields: bytes) -> None:
    began = time.monotonic()
    with wire(strict.port) as client:
        client.send(post(fields, b""))
        times_out(client, b"1\r\n \r\n" * 80, since=began)


def test_unread_body_does_not_keep_a_connection_open(strict: Served) -> None:
    with wire(strict.port) as client:
        client.send(get(b"Content-Length: 500"))
        assert getattr(client.response(), "status", None) == 200
        for _ in drip(client, b"x" * 10):
            time.sleep(0.1)
        client.closed_within(SOON[1])


def test_idle_connection_is_closed_after_keep_alive(strict: Served) -> None:
    began = time.monotonic()  # no later than the server's clock for the idle connection
    with wire(strict.port) as client:
        client.send(get(b"X: 1"))
        assert getattr(client.response(), "status", None) == 200
        client.closed_within(SOON[1])
        assert time.monotonic() - began > SOON[0]
        assert client.response() is None


def test_connection_is_kept_if_the_body_arrives_after_the_response(strict: Served) -> None:
    with wire(strict.port) as client:
        client.send(get(b"Content-Length: 2"))
        assert getattr(client.response(), "status", None) == 200
        client.send(b"{}")
        time.sleep(0.2)
        began = time.monotonic()
        client.send(get(b"X: 1"))
        assert getattr(client.response(), "status", None) == 200
        client.closed_within(SOON[1])
        assert time.monotonic() - began > SOON[0]


@pytest.mark.parametrize(
    "beginning", [get(b"X: 1")[:-4], post(b"Content-Length: 9", b"{")], ids=["header", "body"]
)
def test_normal_client_is_served_while_hundreds_time_out(strict: Served, beginning: bytes) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        slow = []
        for _ in range(MANY):
            slow.append(stack.enter_context(wire(strict.port)))
            slow[-1].send(beginning)
        assert median(honest(strict, 1)) < 0.25
        for client in slow:
            assert getattr(client.response(), "status", None) == 408
            assert client.response() is None
    assert time.monotonic() - began < 10


def test_client_that_does_not_read_is_disconnected(strict: Served) -> None:
    with wire(strict.port, receive_buffer=4096) as client:
        client.send(BIG * 100)
        assert eventually(lambda: not established(strict.port, client), seconds=10)
        with suppress(AssertionError):  # the last response is truncated
            responses = [client.response() for _ in range(100)]
            assert None in responses


def test_slow_reader_gets_the_whole_response(strict: Served) -> None:
    with wire(strict.port, receive_buffer=65536) as client:
        client.send(BIG * 100)
        for _ in range(100):
            assert getattr(client.response(), "status", None) == 200
            time.sleep(0.015)
