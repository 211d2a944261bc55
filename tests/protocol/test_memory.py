"""The memory that a large request takes."""

from pathlib import Path

import pytest

from tests.process.served import Served
from tests.protocol.case import get, post
from tests.protocol.wire import wire

pytestmark = pytest.mark.xdist_group("protocol-strict")

MB = 1 << 20
MOST = 5 * MB
CPU_SECONDS = 1.0  # of the server, which other load on the machine does not change
FILL = b"a" * MB
HEADER = get(b"X: ")[:-4]


def peak(pid: int) -> int:
    """Return the peak memory of the process since `forget`, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    pytest.skip("this system does not tell how much memory a process had")


def cpu_seconds(server: Served) -> float:
    """Return the processor time of the process so far."""
    return server.metric("process_cpu_seconds_total") or 0


def forget(pid: int) -> None:
    """Reset the peak."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@pytest.mark.parametrize(
    ("beginning", "status"),
    [
        pytest.param(HEADER, 431, id="value"),
        pytest.param(b"GET /health HTTP/1.1\r\nHost: a\r\n", 431, id="name"),
        pytest.param(b"GET /", 414, id="target"),
        pytest.param(post(b"Transfer-Encoding: chunked", b"2;"), 431, id="extension"),
        pytest.param(post(b"Transfer-Encoding: chunked", b"0\r\nX: "), 431, id="trailer"),
        pytest.param(post(b"Content-Length: 41943040", b""), 413, id="body"),
        pytest.param(post(b"Transfer-Encoding: chunked", b"2800000\r\n"), 413, id="chunk"),
    ],
)
def test_forty_megabyte_bodies_are_refused_at_little_cost(
    strict: Served, beginning: bytes, status: int
) -> None:
    pid = strict.process.pid
    forget(pid)
    before = peak(pid)
    used = cpu_seconds(strict)
    with wire(strict.port) as client:
        client.send(beginning)
        for _ in range(40):
            client.send(FILL)
        response = client.response()
    assert response is not None
    assert response.status == status
    assert response.problem["status"] == status
    assert peak(pid) - before < MOST
    assert cpu_seconds(strict) - used < CPU_SECONDS


def test_pipelined_requests_are_bounded(strict: Served) -> None:
    pid = strict.process.pid
    forget(pid)
    before = peak(pid)
    with wire(strict.port) as client:
        client.send(get(b"X: 1") * 10_000)
        *others, last = iter(client.response, None)
    assert {response.status for response in others} == {200}
    assert (last.status, last.headers["retry-after"]) == (429, "1")
    assert peak(pid) - before < MOST
