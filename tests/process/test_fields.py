"""Spaces and tabs around a header field's value are not part of it (RFC 9110, 5.5)."""

import json
from uuid import uuid4

from tests.process.served import Json, Served
from tests.process.test_seen import line_of
from tests.protocol.wire import wire

SHELVES = b"/api/v1/shelves"
AROUND = b"\t %b \t "


def sent(service: Served, line: bytes, fields: dict[bytes, bytes], body: Json) -> tuple[bytes, Json]:
    """Return header and body of the response to a request whose values are all surrounded by spaces and tabs."""
    content = json.dumps(body).encode()
    every = {b"Host": b"a", b"Connection": b"close", b"Content-Length": b"%d" % len(content), **fields}
    head = b"\r\n".join([line + b" HTTP/1.1", *(b"%b:%b" % (n, AROUND % v) for n, v in every.items())])
    with wire(service.port) as client:
        client.send(head + b"\r\n\r\n" + content)
        response, _, document = client.rest().partition(b"\r\n\r\n")
    return response, json.loads(document)


def test_whitespace_around_header_values_is_stripped(shared: Served, headers: dict[str, str]) -> None:
    key = headers["Authorization"].partition(" ")[2].encode()
    name, request_id = uuid4().hex, f"ows-{uuid4().hex}"
    fields = {
        b"X-API-Key": key,
        b"Content-Type": b"application/json; charset=utf-8",
        b"Content-Encoding": b"identity",
        b"Accept": b"application/json",
        b"Idempotency-Key": name.encode(),
        b"X-Request-Id": request_id.encode(),
        b"X-Forwarded-For": b"203.0.113.7",
        b"X-Forwarded-Proto": b"https",
    }
    body = {"slug": f"ows-{name}", "name": name}
    response, made = sent(shared, b"POST " + SHELVES, fields, body)
    assert response.startswith(b"HTTP/1.1 201 "), made
    assert b"strict-transport-security" in response
    assert line_of(shared, request_id)["principal"] == f"key:{key.split(b'_')[1].decode()}"
    again, same = sent(shared, b"POST " + SHELVES, {**fields, b"X-Request-Id": uuid4().hex.encode()}, body)
    assert (again.split(b" ")[1], same) == (b"201", made)
    tag = next(line.split(b": ")[1] for line in response.split(b"\r\n") if line.lower().startswith(b"etag"))
    change = {
        b"Authorization": b"Bearer " + key,
        b"Content-Type": b"application/merge-patch+json; version=1",
        b"If-Match": tag,
    }
    url = SHELVES + b"/" + made["id"].encode()
    response, changed = sent(shared, b"PATCH " + url, change, {"name": "new"})
    assert (response.split(b" ")[1], changed["name"]) == (b"200", "new")
