"""The logs and metrics of a request, whatever a client sends."""

import json
import socket
from uuid import uuid4

import asyncpg
import pytest

from service.dev.free_ports import LOOPBACK
from tests.process.conftest import new_key
from tests.process.served import Json, Served, eventually

ARTICLES = "/api/v1/articles"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ESC = "\x1b"
METHODS = (
    "PROPFIND",
    "MKCOL",
    "PURGE",
    "SEARCH",
    "REPORT",
    "TRACE",
)  # known to the parser, but not supported


def line_of(service: Served, request_id: str) -> Json:
    """Return the access line of a request."""
    found = eventually(lambda: service.lines(event="request", request_id=request_id))
    assert len(found) == 1
    return found[0]


def key_of(headers: dict[str, str]) -> str:
    """Return the principal of the key in these headers."""
    return f"key:{headers['Authorization'].split('_')[1]}"


def raw(service: Served, head: bytes) -> bytes:
    """Return the response to raw bytes."""
    with socket.create_connection((LOOPBACK, service.port), timeout=10) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_access_line_has_every_field(shared: Served, headers: dict[str, str]) -> None:
    traced = {**headers, "traceparent": f"00-{TRACE}-{SPAN}-01", "x-request-id": f"seen-{uuid4().hex}"}
    response = shared.api.get(f"{ARTICLES}/{uuid4()}?", headers=traced)
    line = line_of(shared, traced["x-request-id"])
    assert response.headers["x-request-id"] == traced["x-request-id"]
    assert list(line) == [
        "time", "level", "event", "method", "route", "status", "duration_ms", "bytes", "principal",
        "request_id", "trace_id", "span_id",
    ]  # fmt: skip
    assert (line["method"], line["route"], line["status"]) == ("GET", f"{ARTICLES}/{{id}}", 404)
    assert line["bytes"] == len(response.content)
    assert 0 < line["duration_ms"] < 10_000
    assert line["principal"].startswith("key:")
    assert line["trace_id"] == TRACE
    assert headers["Authorization"].split("_", 2)[2] not in shared.output


async def test_refused_requests_with_a_valid_credential_log_the_principal(
    shared: Served, database_url: str
) -> None:
    key = await new_key(database_url, "shop:read", "shop:write")
    good, known = {"X-API-Key": key}, key_of({"Authorization": f"Bearer {key}"})
    long = b" " * 2_000_000
    other = {**good, "X-API-Key": key[:-1] + ("a" if key[-1] != "a" else "b")}
    for headers, principal in ((good, known), (other, None), ({}, None)):
        responses = [
            shared.api.post(ARTICLES, content=long, headers=headers),  # the first use of the key
            shared.api.post(ARTICLES, content=b"{", headers={**headers, "content-type": "text/plain"}),
            shared.api.post(ARTICLES, json={}, headers=headers),
            shared.api.get(f"{ARTICLES}?x=1", headers=headers),
            shared.api.get("/api/v1/keys", headers=headers),
            shared.api.get("/nothing", headers=headers),
        ]
        expected = [413, 415, 422, 400, 403, 404] if principal else [413, 401, 401, 401, 401, 404]
        assert [response.status_code for response in responses] == expected
        lines = [line_of(shared, response.headers["x-request-id"]) for response in responses]
        assert [line["principal"] for line in lines] == [principal] * len(lines)


async def test_revoked_key_logs_no_principal(shared: Served, database_url: str) -> None:
    key = await new_key(database_url, "shop:read")
    headers = {"X-API-Key": key}
    assert shared.api.get(ARTICLES, headers=headers).status_code == 200
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE api_key SET revoked_at = now() WHERE prefix = $1", key.split("_")[1])
    await connection.close()
    refused = eventually(
        lambda: [a for a in [shared.api.get(ARTICLES, headers=headers)] if a.status_code == 401]
    )
    later = shared.api.post(ARTICLES, content=b" " * 2_000_000, headers=headers)
    for response in (*refused, later):
        assert line_of(shared, response.headers["x-request-id"])["principal"] is None


def test_request_without_an_id_gets_one(shared: Served) -> None:
    for given in ("short", "x" * 129, "with space and more", 'quoted-"text"'):
        response = shared.api.get("/health", headers={"x-request-id": given})
        made = response.headers["x-request-id"]
        assert made != given
        assert line_of(shared, made)["route"] == "/health"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/v1/articles/%0a%0d%1b[31mfake HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/v1/articles/\x1b[31mfake HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xc3\xbc\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: aaaaaaaa\x1b[31m\r\nUser-Agent: \x1b]0;x\x07\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 00-\x1b[31m-0-0\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_log_cannot_be_forged(shared: Served, head: bytes) -> None:
    first = f"mark-{uuid4().hex}"
    shared.api.get("/health", headers={"x-request-id": first})
    line_of(shared, first)  # so that no line of an earlier test is still to come
    before = len(shared.output.splitlines())
    assert raw(shared, head).startswith(b"HTTP/1.1 4")
    mark = f"mark-{uuid4().hex}"
    shared.api.get("/health", headers={"x-request-id": mark})
    line_of(shared, mark)
    added = shared.output.splitlines()[before:]
    assert len(added) <= 2
    assert all(isinstance(json.loads(line), dict) for line in added)
    assert ESC not in shared.output
    assert max(map(len, added)) < 8192


def test_requests_never_add_metric_series(shared: Served) -> None:
    def series() -> set[str]:
        lines = shared.admin.get("/metrics").text.splitlines()
        # A job has its series after its first run, which is up to five seconds after the start.
        return {line.rpartition(" ")[0] for line in lines if not line.startswith(("#", "slipway_job_"))}

    def odd(number: int) -> None:
        for method in (METHODS[number % len(METHODS)], f"M{number}"):
            shared.api.request(method, "/nowhere")
            shared.api.request(method, f"{ARTICLES}/{uuid4()}")
        shared.api.get(f"/nowhere/{uuid4()}", headers={"host": f"host-{number}.example"})
        shared.api.get(f"{ARTICLES}/{uuid4()}", headers={"x-forwarded-for": f"10.0.0.{number}"})

    odd(0)
    before = series()
    for number in range(1, 30):
        odd(number)
    assert series() == before
    assert any('method="OTHER"' in name for name in before)


def test_metrics_use_route_templates(shared: Served, headers: dict[str, str]) -> None:
    shared.api.get(f"{ARTICLES}?limit=1", headers=headers)
    text = shared.admin.get("/metrics").text
    assert (
        'http_requests_total{app_name="slipway",method="GET",path="/api/v1/articles",status_code="200"}'
        in text
    )
