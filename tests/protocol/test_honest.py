"""A client that behaves, among hundreds that do not."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

import pytest

from tests.process.served import Served
from tests.protocol.case import get, post
from tests.protocol.conftest import Start
from tests.protocol.test_deadlines import BIG
from tests.protocol.wire import Wire, wire

pytestmark = pytest.mark.xdist_group("protocol-honest")

MANY, ROUNDS, REQUESTS = 500, 5, 100
SLOW = {
    "header": get(b"X: 1")[:-4],
    "body": post(b"Content-Length: 9", b"{"),
    "reading": BIG * 4,
}


@pytest.fixture(scope="module")
def calm(start: Start) -> Iterator[Served]:
    with start() as server:
        yield server


@pytest.fixture(scope="module")
def crowded(start: Start) -> Iterator[Served]:
    """A server as the calm one, with deadlines that do not strike while it is measured."""
    with start(server__header_timeout=60, server__body_timeout=60) as server:
        yield server


@contextmanager
def crowd(server: Served, data: bytes) -> Iterator[None]:
    """Hundreds of clients that have sent this, and do nothing more."""
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(wire(server.port, receive_buffer=4096)).send(data)
        honest = stack.enter_context(wire(server.port))
        honest.socket.settimeout(60)
        seconds(honest)  # behind what the crowd has asked for
        yield


def seconds(client: Wire) -> float:
    began = time.perf_counter()
    client.send(get(b"X: 1"))
    assert getattr(client.answer(), "status", None) == 200
    return time.perf_counter() - began


def slowest(times: list[float]) -> float:
    """The 99th percentile."""
    return sorted(times)[len(times) * 99 // 100 - 1]


@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_do_an_honest_one_no_harm(calm: Served, crowded: Served, kind: str) -> None:
    """Asked in turn, a server with the crowd and one without have the same noise of the machine. p99 at most twice."""
    with crowd(crowded, SLOW[kind]), wire(calm.port) as one, wire(crowded.port) as other:
        ratios = []
        for _ in range(ROUNDS):
            pairs = [(seconds(one), seconds(other)) for _ in range(REQUESTS)]
            ratios.append(slowest([with_ for _, with_ in pairs]) / slowest([without for without, _ in pairs]))
    assert median(ratios) < 2, ratios
