"""nginx in front of two processes of the service, for real."""

import asyncio
import contextlib
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from service.config import ServerSettings
from tests.compose.proxy import IMAGE, has_image, nginx_before
from tests.process.conftest import new_key
from tests.process.served import Served, eventually

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not has_image(), reason=f"needs Docker with the image {IMAGE}"),
]
MOST = ServerSettings().max_body_bytes
SHELVES = "/api/v1/shelves"


@pytest.fixture
def replicas(tmp_path: Path, database_url: str) -> Iterator[list[Served]]:
    given = {"database__url": database_url, "redis__enabled": "false", "rate_limit__enabled": "false"}
    with contextlib.ExitStack() as stack:
        started = []
        for number in range(2):
            started.append(Served(tmp_path / str(number), **given))
            stack.callback(started[-1].close)
        yield [replica.ready() for replica in started]


@pytest.fixture
def port(replicas: list[Served], tmp_path: Path) -> Iterator[int]:
    with nginx_before(tmp_path, *(replica.port for replica in replicas)) as port:
        yield port


@pytest.fixture
def client(port: int, database_url: str) -> Iterator[httpx2.Client]:
    key = asyncio.run(new_key(database_url, "shop:read", "shop:write"))
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": key}, timeout=30) as client:
        yield client


def test_bodies_ids_and_addresses(client: httpx2.Client, port: int, replicas: list[Served]) -> None:
    _too_large_body_is_a_problem(client)
    _client_names_the_request(client, replicas)
    _connection_is_kept(port)


def _too_large_body_is_a_problem(client: httpx2.Client) -> None:
    json = {"Content-Type": "application/json"}
    refused = client.post(SHELVES, content=b" " * (MOST + 1), headers=json)
    assert refused.status_code == 413
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "body_too_large"
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert client.post(SHELVES, content=b" " * MOST, headers=json).json()["code"] == "invalid_json"


def _client_names_the_request(client: httpx2.Client, replicas: list[Served]) -> None:
    """And cannot forge its address."""
    headers = {"X-Request-ID": "from-the-client-1", "X-Forwarded-For": "192.0.2.1"}
    response = client.get(SHELVES, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["x-request-id"] == "from-the-client-1"
    assert not any("192.0.2.1" in replica.output for replica in replicas)
    other = client.get(SHELVES, headers={"X-Request-ID": "no good id"})
    assert other.headers["x-request-id"] not in ("", "no good id")


def _connection_is_kept(port: int) -> None:
    """Also one that sends the bytes of a request one by one."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for _ in range(3):
            for byte in b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n":
                connection.sendall(bytes([byte]))
            response = b""
            while not response.endswith(b'{"status":"ok"}'):
                response += connection.recv(4096)
            assert response.startswith(b"HTTP/1.1 200 ")
            assert b"Connection: keep-alive" in response


def test_slow_body_takes_no_place_in_the_service(
    client: httpx2.Client, port: int, replicas: list[Served]
) -> None:
    """nginx collects it: the service gets the request when it is whole."""
    key = client.headers["X-API-Key"]
    with _half_a_body(port, key):
        time.sleep(0.5)
        assert not any(map(_posts_in_progress, replicas))
        assert client.get(SHELVES).status_code == 200
    with _half_a_body(replicas[1].port, key):  # without nginx
        assert eventually(lambda: _posts_in_progress(replicas[1]) == 1)


@contextlib.contextmanager
def _half_a_body(port: int, key: str) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = f"POST {SHELVES} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode() + b" " * 500)
        yield


def _posts_in_progress(replica: Served) -> float:
    return replica.metric('http_requests_in_progress{app_name="slipway",method="POST"}') or 0.0


def test_no_request_fails_while_a_replica_drains_and_returns(
    client: httpx2.Client, replicas: list[Served]
) -> None:
    seen: Counter[object] = Counter()
    began = time.monotonic()
    replicas[0].process.send_signal(signal.SIGTERM)
    while replicas[0].process.poll() is None or time.monotonic() - began < 3:
        seen[client.get(SHELVES).status_code] += 1
        time.sleep(0.005)
        assert time.monotonic() - began < 60
    for _ in range(100):  # its port refuses connections now
        seen[client.get(SHELVES).status_code] += 1
        seen[client.post(SHELVES, json={}).status_code] += 1
    assert seen.keys() == {200, 422}
    assert seen[200] > 100
