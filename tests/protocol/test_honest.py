"""A well-behaved client among hundreds of slow ones."""

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
    """A server like the undisturbed one, with deadlines that do not expire during the measurement."""
    with start(server__header_timeout=60, server__body_timeout=60) as server:
        yield server


@contextmanager
def crowd(server: Served, data: bytes) -> Iterator[None]:
    """Open hundreds of connections that send this and then nothing."""
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(wire(server.port, receive_buffer=4096)).send(data)
        honest = stack.enter_context(wire(server.port))
        honest.socket.settimeout(60)
        seconds(honest)  # queued behind the requests of the crowd
        yield


def seconds(client: Wire) -> float:
    began = time.perf_counter()
    client.send(get(b"X: 1"))
    assert getattr(client.response(), "status", None) == 200
    return time.perf_counter() - began


def slowest(times: list[float]) -> float:
    """Return the p99."""
    return sorted(times)[len(times) * 99 // 100 - 1]


@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_do_not_affect_a_normal_client(calm: Served, crowded: Served, kind: str) -> None:
    """The p99 at most doubles. Requests alternate between both servers, so other load affects both."""
    with crowd(crowded, SLOW[kind]), wire(calm.port) as one, wire(crowded.port) as other:
        ratios = []
        for _ in range(ROUNDS):
            pairs = [(seconds(one), seconds(other)) for _ in range(REQUESTS)]
            ratios.append(slowest([with_ for _, with_ in pairs]) / slowest([without for without, _ in pairs]))
    assert median(ratios) < 2, ratios
