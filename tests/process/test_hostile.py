"""A hundred thousand odd requests leave one short log line each, no secret, and no new metric series."""

import json
import random
import re
import socket
import string
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.dev.free_ports import LOOPBACK
from tests.process.conftest import Serve
from tests.process.served import Served, eventually

pytestmark = pytest.mark.xdist_group("hostile")

IN_A_ROW = 50  # requests on a connection, of which the last closes it
SECRET = "hunter2"  # in every place that may hold a secret
LONGEST_LINE = 8192
KNOWN_METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "PROPFIND",
    "PURGE",
    "TRACE",
    "LOCK",
)
ROUTES = (
    "/api/v1/articles",
    "/api/v1/articles/{}",
    "/api/v1/shelves/{}/history",
    "/api/v1/keys/{}",
    "/health/{}",
)


class Attacker:
    """Generates odd requests; the same for the same number."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)

    def _word(self, longest: int = 40) -> str:
        letters = string.ascii_letters + string.digits + "._~%!$&'()*+,;=:@-"
        word = "".join(self._random.choices(letters, k=self._random.randint(1, longest)))
        return word.replace("%", self._random.choice(["%0a", "%0d", "%1b[31m", "%00", "%ff", "%22"]))

    def _target(self) -> str:
        path = self._random.choice((f"/{self._word()}/{self._word()}", *ROUTES)).format(self._word())
        return f"{path}?{self._word()}={SECRET}&token={SECRET}{self._word()}"

    def request(self, *, last: bool) -> bytes:
        method = (
            "".join(self._random.choices(string.ascii_uppercase, k=9))
            if last
            else self._random.choice(KNOWN_METHODS)
        )
        body = json.dumps({"password": SECRET, "name": self._word()}).encode()
        fields = [
            f"Host: {self._random.randrange(10**9)}.example",
            f"Authorization: Bearer {SECRET}{self._word()}",
            f"X-API-Key: slw_{SECRET}",
            f"Cookie: session={SECRET}",
            f"X-Request-Id: {self._word()} {SECRET}",
            f"X-Forwarded-For: {self._word()}",
            f"traceparent: {SECRET}",
            f"User-Agent: {'u' * self._random.randrange(2000)}",
            f"Content-Type: application/{self._word(9)}",
            f"Content-Length: {len(body)}",
        ]
        head = "\r\n".join([f"{method} {self._target()} HTTP/1.1", *fields])
        return f"{head}\r\n\r\n".encode() + body


def attack(server: Served, number: int) -> int:
    """Send several requests, and return the number of responses."""
    attacker = Attacker(number)
    data = b"".join(attacker.request(last=place == IN_A_ROW - 1) for place in range(IN_A_ROW))
    with socket.create_connection((LOOPBACK, server.port), timeout=60) as connection:
        connection.sendall(data)
        text = b"".join(iter(lambda: connection.recv(65536), b""))
    return len(re.findall(rb"HTTP/1\.1 \d{3} ", text))


def enormous(server: Served) -> bytes:
    """Return the response to a header of a megabyte, full of secrets."""
    with socket.create_connection((LOOPBACK, server.port), timeout=60) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: " + SECRET.encode() * 150_000 + b"\r\n\r\n"
        )
        return b"".join(iter(lambda: connection.recv(65536), b""))


def series(server: Served) -> set[str]:
    text = server.admin.get("/metrics").text
    # Those of a job begin when it first runs.
    return {
        line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith(("#", "slipway_job_"))
    }


@pytest.fixture
def watched(serve: Serve) -> Served:
    """A server that logs everything and has no rate limits."""
    return serve(rate_limit__enabled="false", redis__enabled="false", logging__format="json").ready()


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(20, id="1000"),
        pytest.param(2000, id="100000", marks=[pytest.mark.long, pytest.mark.timeout(1500)]),
    ],
)
def test_hostile_requests_log_one_line_and_add_no_series(watched: Served, rows: int) -> None:
    warm = 30
    assert all(attack(watched, -number) == IN_A_ROW for number in range(1, warm + 1))
    assert enormous(watched).startswith(b"HTTP/1.1 431 ")
    before = series(watched)
    with ThreadPoolExecutor(2) as threads:
        assert set(threads.map(lambda number: attack(watched, number), range(rows))) == {IN_A_ROW}
    assert enormous(watched).startswith(b"HTTP/1.1 431 ")
    assert series(watched) == before
    sent = (rows + warm) * IN_A_ROW + 2
    assert eventually(lambda: watched.output.count('"event":"request"') >= sent)
    output = watched.output
    assert SECRET not in output
    assert "\x1b" not in output
    lines = [json.loads(line) for line in output.splitlines()]
    asked = [line for line in lines if line["event"] == "request"]
    assert len(asked) == len({line["request_id"] for line in asked}) == sent
    assert max(map(len, output.splitlines())) < LONGEST_LINE
    assert not [line for line in lines if line["level"] in {"error", "critical"}]
