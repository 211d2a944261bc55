"""Limits on the connections and bodies that a process holds."""

import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.process.served import Served, eventually
from tests.protocol.case import get, post
from tests.protocol.conftest import Start
from tests.protocol.test_admission import sample
from tests.protocol.test_deadlines import BIG
from tests.protocol.test_memory import MB, forget, peak
from tests.protocol.wire import Wire, wire

pytestmark = pytest.mark.xdist_group("protocol-holding")

CONNECTIONS, REFUSED = 60, 100
LARGE = 900_000  # bytes of a body


@pytest.fixture(scope="module")
def narrow(start: Start) -> Iterator[Served]:
    """A server that accepts few connections, and buffers little more than two large bodies."""
    with start(server__max_connections=CONNECTIONS, server__max_buffered_bytes=2 * MB) as server:
        yield server


def turned_away(server: Served, reason: str) -> float:
    return sample(server, "slipway_requests_turned_away_total", reason=reason)


def works(client: Wire) -> bool:
    client.send(get(b"X: 1"))
    return getattr(client.response(), "status", None) == 200


def filled(server: Served, stack: ExitStack) -> list[Wire]:
    """Open as many connections as the server accepts, each of them answered once."""
    clients = [stack.enter_context(wire(server.port)) for _ in range(CONNECTIONS)]
    assert all(map(works, clients))
    return clients


def free(server: Served) -> bool:
    """Whether the server accepts another connection."""
    with wire(server.port) as client:
        return works(client)


def test_connections_beyond_the_limit_get_503_and_are_closed(narrow: Served) -> None:
    narrow.api.close()
    assert eventually(lambda: free(narrow))
    before = turned_away(narrow, "connections")
    with ExitStack() as stack:
        clients = filled(narrow, stack)
        with wire(narrow.port) as late:
            response = late.response()
            assert response is not None
            assert (response.status, response.headers["connection"]) == (503, "close")
            assert (response.problem["code"], response.headers["retry-after"]) == ("overloaded", "1")
            assert late.response() is None
        assert all(map(works, clients))
        assert narrow.probe("/livez") == 200
        assert turned_away(narrow, "connections") - before == 1
    assert eventually(lambda: free(narrow))


def test_flood_of_connections_is_cut_off(narrow: Served) -> None:
    assert eventually(lambda: free(narrow))
    with ExitStack() as stack:
        clients = filled(narrow, stack)
        late = [stack.enter_context(wire(narrow.port)) for _ in range(3 * REFUSED)]
        responses = [client.response() for client in late]
        assert {response.status for response in responses if response is not None} == {503}
        assert responses.count(None) >= REFUSED
        assert all(map(works, clients))
    assert eventually(lambda: free(narrow))


def test_unread_responses_share_a_bounded_buffer(narrow: Served) -> None:
    """The kernel buffers part of each response, so every client requests a lot."""
    assert eventually(lambda: free(narrow))
    before = turned_away(narrow, "answers")
    with ExitStack() as stack:
        for _ in range(CONNECTIONS - 4):
            client = stack.enter_context(wire(narrow.port, receive_buffer=4096))
            client.send(BIG * 100)
        assert eventually(lambda: turned_away(narrow, "answers") > before)
        with wire(narrow.port) as other:
            other.send(BIG)
            response = other.response()
            assert response is not None
            assert response.status == 200
            assert len(response.body) > 100_000
    assert eventually(lambda: free(narrow))


@pytest.fixture
def few_files() -> Iterator[int]:
    """Give child processes a soft limit of 512 open files; return the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_file_limit_is_raised_for_the_connection_limit(start: Start, few_files: int) -> None:
    with start(executed=True, server__max_connections=1000) as server:
        soft, _ = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    assert soft == min(2256, few_files)


def test_large_bodies_share_a_bounded_buffer(narrow: Served) -> None:
    """Each client sends an incomplete large body, which the process must buffer."""
    assert eventually(lambda: free(narrow))
    before = turned_away(narrow, "bodies")
    forget(narrow.process.pid)
    memory = peak(narrow.process.pid)
    with ExitStack() as stack:
        senders = [stack.enter_context(wire(narrow.port)) for _ in range(6)]
        for sender in senders:
            sender.send(post(b"Content-Length: %d" % LARGE, b" " * (LARGE - 2)))
            with wire(narrow.port) as other:  # the responses arrive once the server has read everything
                assert all(works(other) for _ in range(20))
        assert eventually(lambda: turned_away(narrow, "bodies") - before == 4)
        with wire(narrow.port) as small:
            small.send(post(b"Content-Length: 16000", b"{" + b" " * 15_998 + b"}"))
            assert getattr(small.response(), "status", None) == 422
        for sender in senders:
            sender.send(b"{}")
        responses = [sender.response() for sender in senders]
        statuses = sorted(response.status for response in responses if response is not None)
        assert statuses == [422, 422, 503, 503, 503, 503]
        refused = next(response for response in responses if response is not None and response.status == 503)
        assert (refused.problem["code"], refused.headers["retry-after"]) == ("overloaded", "1")
    assert peak(narrow.process.pid) - memory < 12 * MB
    with wire(narrow.port) as again:  # the buffer is free again
        again.send(post(b"Content-Length: %d" % LARGE, b"{" + b" " * (LARGE - 2) + b"}"))
        assert getattr(again.response(), "status", None) == 422
