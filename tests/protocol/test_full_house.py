"""As many clients as a process accepts, each holding as much as allowed: a pod must survive it."""

import re
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import yaml

from service.http.server.descriptors import make_room
from tests.protocol.case import get, headers, post
from tests.protocol.conftest import Start
from tests.protocol.test_memory import forget, peak
from tests.protocol.wire import Wire, wire

ROOT = Path(__file__).parents[2]
CLIENTS = 1950  # the other 50 of the 2000 are for connections of the test itself
QUIET_SECONDS = 1.0
UNENDED_HEADER = get(headers(31, 1000))[:-4]
UNENDED_BODY = post(headers(30, 1000) + b"\r\nContent-Length: 1048576", b" " * 1_000_000)


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Raise the limit on open files of this process too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    make_room(CLIENTS)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def limit() -> int:
    """Return the chart's memory limit of a pod, in bytes."""
    text: str = yaml.safe_load((ROOT / "chart" / "values.yaml").read_text())["resources"]["limits"]["memory"]
    assert text.endswith("Mi")
    return int(text.removesuffix("Mi")) << 20


def allocator() -> dict[str, str]:
    """Return the image's settings for the allocator."""
    return dict(re.findall(r"(MALLOC_\w+)=(\d+)", (ROOT / "Dockerfile").read_text()))


def push(clients: list[Wire], data: bytes) -> None:
    """Send from all clients concurrently, until the server accepts no more from any."""
    sent = [0] * len(clients)
    moved = time.monotonic()
    while time.monotonic() < moved + QUIET_SECONDS:
        for number, client in enumerate(clients):
            with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                if part := client.socket.send(data[sent[number] : sent[number] + 65536]):
                    sent[number] += part
                    moved = time.monotonic()


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.usefixtures("descriptors")
@pytest.mark.parametrize(
    "data", [pytest.param(UNENDED_HEADER, id="headers"), pytest.param(UNENDED_BODY, id="bodies")]
)
def test_memory_at_full_load_is_within_the_chart_limit(start: Start, data: bytes) -> None:
    slow = {"server__header_timeout": 60, "server__body_timeout": 60}
    with start(**slow, **allocator()) as server, ExitStack() as stack:
        clients = [stack.enter_context(wire(server.port)) for _ in range(CLIENTS)]
        for client in clients:
            client.socket.setblocking(False)
        forget(server.process.pid)
        push(clients, data)
        assert peak(server.process.pid) < limit()
        assert server.probe("/livez") == 200


@pytest.mark.long
@pytest.mark.usefixtures("descriptors")
def test_bodies_of_refused_requests_are_discarded(start: Start) -> None:
    """Each request fills the body budget, is refused on its next bytes, and frees the budget for the next one."""
    slow = {"server__header_timeout": 60, "server__body_timeout": 60}
    with start(**slow, **allocator()) as server, ExitStack() as stack:
        clients = [stack.enter_context(wire(server.port)) for _ in range(CLIENTS)]
        forget(server.process.pid)
        for client in clients:
            with suppress(BrokenPipeError, ConnectionResetError):
                client.send(UNENDED_BODY[:130_000])
                time.sleep(0.002)  # the server reads it as its own part
                client.send(UNENDED_BODY[130_000:630_000])
        assert peak(server.process.pid) < limit()
        assert server.probe("/livez") == 200
