"""While nobody reads its output, the service keeps serving, and later logs how many lines it dropped."""

import http.client
import json
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from service.dev.free_ports import LOOPBACK
from tests.process.conftest import Serve
from tests.process.served import Served
from tests.process.test_workers import TWO

LIVENESS_SECONDS = 0.25
WRITTEN_SECONDS = 15
STOP_SECONDS = 6
REQUESTS = 450


class StalledPipe:
    """A pipe in place of the service's log file, which is read only on command."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True)
        os.mkfifo(home / "log")
        self._end = os.open(home / "log", os.O_RDONLY | os.O_NONBLOCK)

    def read(self, count: int) -> list[dict[str, Any]]:
        """Return the lines about `count` requests: one for each, or the number that was dropped."""
        text, lines = b"", list[dict[str, Any]]()
        while sum(map(requests_in, lines)) < count:
            assert select.select([self._end], [], [], WRITTEN_SECONDS)[0], "no more lines are written"
            text += os.read(self._end, 2**16)
            lines = [json.loads(line) for line in text.rpartition(b"\n")[0].splitlines()]
        return lines

    def rest(self) -> list[dict[str, Any]]:
        """Return what an exited process has left; each line must be complete."""
        parts = []
        while part := os.read(self._end, 2**16):
            parts.append(part)
        return [json.loads(line) for line in b"".join(parts).splitlines()]

    def close(self) -> None:
        os.close(self._end)


def requests_in(line: dict[str, Any]) -> int:
    """Return the number of requests that a line is about."""
    return int(line.get("dropped", line["event"] == "request"))


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[StalledPipe]:
    pipe = StalledPipe(tmp_path / "service-0")
    yield pipe
    pipe.close()


@pytest.mark.parametrize(
    "workers",
    [pytest.param({}, id="one process"), pytest.param(TWO, id="two workers", marks=pytest.mark.long)],
)
def test_service_keeps_serving_while_its_log_is_not_read(
    serve: Serve, tmp_path: Path, pipe: StalledPipe, workers: dict[str, object]
) -> None:
    service = serve(logging__buffer_bytes=16_384, TMPDIR=tmp_path, **workers).ready()
    sent = _requests(service)
    assert median(_liveness(service) for _ in range(20)) < LIVENESS_SECONDS  # a stalled loop never answers

    lines = pipe.read(REQUESTS)
    seen = [line["request_id"] for line in lines if line["event"] == "request"]
    missing = [line["dropped"] for line in lines if line["event"] == "log lines dropped"]
    assert seen == sent[: len(seen)]
    assert len(seen) + sum(missing) == REQUESTS
    assert _dropped(service) == sum(missing) > 0
    assert _requests(service, 1) == [
        line["request_id"] for line in pipe.read(1) if line["event"] == "request"
    ]

    _requests(service)  # it exits even if nobody reads
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < STOP_SECONDS
    pipe.rest()  # no line is torn, although the process exited during a write


def _requests(service: Served, count: int = REQUESTS) -> list[str]:
    """Return the ids of requests that were answered."""
    connection = http.client.HTTPConnection(LOOPBACK, service.port, timeout=10)
    found = []
    for _ in range(count):
        connection.request("GET", "/health")
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        found.append(response.headers["x-request-id"])
    connection.close()
    return found


def _liveness(service: Served) -> float:
    began = time.monotonic()
    assert service.probe("/livez") == 200
    return time.monotonic() - began


def _dropped(service: Served) -> float:
    return service.metric("slipway_log_lines_dropped_total") or 0
