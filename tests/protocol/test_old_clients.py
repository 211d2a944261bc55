"""HTTP/1.0 clients, which know no transfer coding: a response ends with the connection."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.process.served import Served
from tests.protocol.applications import listening
from tests.protocol.case import ITEMS
from tests.protocol.conftest import UNDER_GUNICORN, Start
from tests.protocol.wire import wire

pytestmark = pytest.mark.xdist_group("protocol-corpus")
OLD = b"%b %b HTTP/1.0\r\n%b\r\n"
EXPORT = ITEMS + b"/export"
FIELDS = (b"", b"Connection: keep-alive\r\n", b"Host: a\r\nConnection: Keep-Alive, close\r\n")


@pytest.fixture(scope="module")
def server(start: Start) -> Iterator[Served]:
    with start() as server:
        yield server


def whole_response(server: Served, request: bytes) -> tuple[list[str], bytes]:
    """Return the header lines in lower case, and all bytes after the header until the connection closes."""
    with wire(server.port) as client:
        client.send(request)
        head, _, body = client.rest().partition(b"\r\n\r\n")
    return head.decode("latin-1").lower().split("\r\n"), body


def check_exports(server: Served) -> None:
    for name in ("one", "two"):
        server.api.post(ITEMS.decode(), json={"slug": f"old-{name}", "name": name})
    expected = server.api.get(EXPORT.decode())
    assert expected.headers["transfer-encoding"] == "chunked"
    assert len(expected.text.splitlines()) >= 2
    for fields in FIELDS:
        head, body = whole_response(server, OLD % (b"GET", EXPORT, fields))
        assert head[0].endswith(" 200 ok")
        assert "connection: close" in head
        assert not any(line.startswith(("transfer-encoding", "content-length")) for line in head)
        assert body == expected.content


def test_http_1_0_export_ends_with_the_connection(server: Served) -> None:
    check_exports(server)


@pytest.mark.long
def test_http_1_0_export_works_under_gunicorn(start: Start) -> None:
    with start(**UNDER_GUNICORN) as server:
        check_exports(server)


def test_http_1_0_head_and_lists_have_no_transfer_coding(server: Served) -> None:
    for method, path in ((b"HEAD", EXPORT), (b"HEAD", ITEMS), (b"GET", ITEMS), (b"GET", ITEMS + b"?x=1")):
        head, body = whole_response(server, OLD % (method, path, b""))
        assert "connection: close" in head
        assert not any(line.startswith("transfer-encoding") for line in head)
        lengths = [int(line.partition(": ")[2]) for line in head if line.startswith("content-length")]
        assert body == b"" if method == b"HEAD" else lengths == [len(body)]
        if body:
            json.loads(body)


async def response_of(application: Any, request: bytes) -> bytes:
    """Return the bytes that a test's application sends over our protocol. Raises `ConnectionResetError`."""
    async with listening(application) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(request)
        try:
            return await reader.read()
        finally:
            writer.close()


async def test_aborted_stream_is_detectably_incomplete() -> None:
    async def breaks(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await asyncio.sleep(0.05)

    with pytest.raises(ConnectionResetError):
        await response_of(breaks, OLD % (b"GET", b"/", b""))


async def test_transfer_coding_of_the_application_is_dropped() -> None:
    async def codes(_scope: Any, _receive: Any, send: Any) -> None:
        coding = [(b"Transfer-Encoding", b"chunked")]
        await send({"type": "http.response.start", "status": 200, "headers": coding})
        for body, more in ((b"a", True), (b"", True), (b"b", False)):
            await send({"type": "http.response.body", "body": body, "more_body": more})

    head, _, body = (await response_of(codes, OLD % (b"GET", b"/", b""))).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == b"ab"
