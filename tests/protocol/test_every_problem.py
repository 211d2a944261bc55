"""Every problem of the catalogue, provoked once over HTTP, with the header fields that its status asks for.

A code that nothing here provokes fails: add its fields here with the code.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest
from fastapi import APIRouter

from service.http.problems import Problem, catalogue
from service.main import create_app
from service.security.access import require_scope
from service.security.api_keys.commands import create_key
from service.security.principals import Principal
from tests.engine.api import Api, Json, running, settings_for, unique
from tests.protocol.handwritten import served
from tests.protocol.wire import wire
from tests.shop import SHOP

SHELVES, ARTICLES, KEYS = "/api/v1/shelves", "/api/v1/articles", "/api/v1/keys"
SOON = r"[1-9]\d*"
# Fields that a client acts on: RFC 9110, 10.2.1, 10.2.3, 11.6.1 and 15.5.16; RFC 6585, 4; RFC 9112, 9.6.
TELLING = ("retry-after", "www-authenticate", "allow", "accept", "accept-patch")
MUST: dict[str, dict[str, str]] = {
    "unauthenticated": {"www-authenticate": r'Bearer realm="slipway"'},
    "method_not_allowed": {"allow": r"GET, HEAD, OPTIONS, POST"},
    "unsupported_media_type": {"accept": r"application/json"},
    "still_running": {"retry-after": SOON},
    "too_many_requests": {"retry-after": SOON},
    "unavailable": {"retry-after": SOON},
    "overloaded": {"retry-after": SOON},
    "busy": {"retry-after": SOON},
}
# The connection cannot be used any longer: bytes on it may be anything.
CLOSES = {"request_timeout", "headers_too_large", "target_too_long", "body_too_large", "expectation_failed"}
POINTED = {"validation_failed", "duplicate", "invalid_parameter", "invalid_cursor", "idempotency_key_reused"}
CATALOGUE = {
    cls.code: cls for cls in catalogue() if cls.__module__.startswith("service.http.problems.catalogue")
}

router = APIRouter()


@router.get("/defect")
async def defect(_: Annotated[Principal, require_scope("shop:read")]) -> None:
    raise RuntimeError("secret reason")


@dataclass(frozen=True)
class Refusal:
    """A problem as it came."""

    status: int
    headers: Mapping[str, str]
    body: Json


Responses = dict[str, Refusal]


def _refusal(status: int, headers: Any, body: bytes) -> Refusal:
    return Refusal(status, {name.lower(): value for name, value in dict(headers).items()}, json.loads(body))


class Client:
    """Asks a served application, and keeps its problems by their codes."""

    def __init__(self, port: int, api: httpx2.Client, key: str) -> None:
        self.port, self.api, self.key = port, api, key
        self.responses: Responses = {}

    def keep(self, response: Any) -> None:
        """Of any client of ours."""
        refusal = _refusal(response.status_code, response.headers, response.content)
        self.responses.setdefault(refusal.body["code"], refusal)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx2.Response:
        """With the key; a `content_type` header names itself."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            named.setdefault("content-type", "application/json")
        response = self.api.request(
            method, path, content=content, headers={"authorization": f"Bearer {self.key}", **named}
        )
        if response.status_code >= 400:
            self.keep(response)
        return response

    def send(self, data: bytes) -> None:
        """Bytes that no client sends."""
        with wire(self.port) as raw:
            raw.send(data)
            response = raw.response()
        assert response is not None
        refusal = _refusal(response.status, response.headers, response.body)
        self.responses.setdefault(refusal.body["code"], refusal)


def _refused_before_work(client: Client, reader: str) -> None:
    client.ask("GET", SHELVES, host="other.example")
    client.keep(client.api.get(SHELVES))  # without credentials; wrong ones are in test_key_routes
    client.ask("POST", SHELVES, {}, authorization=f"Bearer {reader}")
    client.ask("GET", SHELVES, accept="text/html")
    client.ask("DELETE", SHELVES)
    client.ask("GET", "/api/v1/nothing")
    client.ask("GET", "/api/v1/defect")
    client.ask("GET", f"{SHELVES}?x=1")
    client.ask("GET", f"{SHELVES}?cursor=x")
    client.ask("GET", f"{SHELVES}/export")
    head = b"POST /api/v1/shelves HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {client.key}\r\n".encode()
    client.send(head + b"Content-Length: 9\r\n\r\n{")
    client.send(head + b"Content-Length: 9999999\r\n\r\n{")
    client.send(head + b"Expect: tea\r\nContent-Length: 2\r\n\r\n{}")
    client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 40_000 + b"\r\n\r\n")
    client.send(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


def _refused_by_its_values(client: Client, item: str, deleted: str) -> None:
    body = {"slug": unique("problem").lower(), "name": "P"}
    client.ask("PATCH", f"{SHELVES}/{item}", {}, if_match="no tag")
    client.ask("PATCH", f"{SHELVES}/{item}", {}, if_match='"9999"')
    client.ask("PATCH", f"{SHELVES}/{item}", {})
    client.ask("POST", SHELVES, body, content_type="text/plain")
    client.ask("POST", SHELVES, {"slug": 1})
    client.api.headers["Authorization"] = f"Bearer {client.key}"
    client.keep(client.api.post(SHELVES, content=b"{", headers={"Content-Type": "application/json"}))
    client.ask("POST", KEYS, {"name": "x", "scopes": ["admin"]}, idempotency_key="k")
    key = str(uuid4())
    assert client.ask("POST", SHELVES, body, idempotency_key=key).status_code == 201
    client.ask("POST", SHELVES, body)
    client.ask("POST", SHELVES, {**body, "name": "Q"}, idempotency_key=key)
    client.ask("POST", f"{SHELVES}/{item}/restore")
    client.ask("PUT", f"{SHELVES}/{deleted}", body, if_none_match="*")
    article = {
        "sku": unique("P").upper(),
        "name": "P",
        "price": 1,
        "shelf_id": item,
        "status": "discontinued",
    }
    gone = client.ask("POST", ARTICLES, article).json()["id"]
    client.ask("POST", f"{ARTICLES}/{gone}/restock", {"pieces": 1})


async def _refused_by_locks(client: Client, url: str, item: str) -> None:
    """Another change of the row is under way, then another request under the same key."""
    connection = await asyncpg.connect(url)
    key, principal = str(uuid4()), f"key:{client.key.split('_')[1]}"
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM tests_shelf WHERE id = $1 FOR UPDATE", UUID(item))
            client.ask("PATCH", f"{SHELVES}/{item}", {"name": "Locked"}, if_match="*")
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO idempotency_record (principal, key, fingerprint, status, headers, body)"
                " VALUES ($1, $2, '', 201, '{}', '{}')",
                principal,
                key,
            )
            body = {"slug": unique("twin").lower(), "name": "T"}
            client.ask("POST", SHELVES, body, idempotency_key=key)
            await connection.execute("DELETE FROM idempotency_record WHERE key = $1", key)
    finally:
        await connection.close()


async def _refused_by_a_small_process(client: Client, small: Api) -> None:
    """The statement of one request takes too long; meanwhile no other is let in; then the limit is used up."""
    async with small.database.transaction() as connection:
        await connection.execute("LOCK TABLE tests_shelf IN ACCESS EXCLUSIVE MODE")
        for response in await asyncio.gather(*(small.client.get(SHELVES) for _ in range(2))):
            client.keep(response)
    for _ in range(4):
        if (response := await small.client.get(ARTICLES)).status_code == 429:
            client.keep(response)


@pytest.fixture(scope="module")
async def responses(database_url: str) -> AsyncIterator[Responses]:
    """One response for each code."""
    small_process = running(
        database_url,
        scopes=("shop:read",),
        database={"url": database_url, "acquire_timeout": 5, "lock_timeout": 9, "statement_timeout": 0.3},
        server={"max_concurrency": 1},
        rate_limit={"enabled": True, "requests": 3, "window": 3600},
    )
    async with small_process as small:
        async with small.database.session() as session:
            keys = [
                (await create_key(session, name="problems", scopes=scopes))[1]
                for scopes in (["admin", "shop:read", "shop:write"], ["shop:read"])
            ]
        given = settings_for(
            database_url,
            database={"url": database_url, "acquire_timeout": 5, "lock_timeout": 0.2},
            server={"header_timeout": 0.4, "body_timeout": 0.4},
            security={"secret_key": "problem-" * 5, "trusted_hosts": ["127.0.0.1"]},
            performance={"exports": 0},
        )
        app = create_app(given, (replace(SHOP, routers=(*SHOP.routers, router)),))
        with served(app) as server:
            client = Client(server.port, server.api, keys[0])
            item, deleted = (
                client.ask("POST", SHELVES, {"slug": unique("problem").lower(), "name": "P"}).json()["id"]
                for _ in range(2)
            )
            client.ask("DELETE", f"{SHELVES}/{deleted}", if_match="*")
            _refused_before_work(client, keys[1])
            _refused_by_its_values(client, item, deleted)
            await _refused_by_locks(client, database_url, item)
        await _refused_by_a_small_process(client, small)
        yield client.responses


@pytest.mark.parametrize("problem", [*CATALOGUE.values()], ids=[*CATALOGUE])
def test_problem_has_the_fields_of_its_code(responses: Responses, problem: type[Problem]) -> None:
    code = problem.code
    assert code in responses, f"nothing here provokes {code}"
    refusal = responses[code]
    assert refusal.status == refusal.body["status"] == problem.status
    assert (refusal.body["title"], refusal.body["type"]) == (problem.title, f"urn:slipway:problem:{code}")
    assert refusal.headers["content-type"] == "application/problem+json"
    assert refusal.headers["x-request-id"] == refusal.body["request_id"]
    assert refusal.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in json.dumps(refusal.body)
    found = {name: refusal.headers[name] for name in TELLING if name in refusal.headers}
    wanted = MUST.get(code, {})
    assert found.keys() == wanted.keys()
    assert all(re.fullmatch(wanted[name], value) for name, value in found.items()), found
    assert (refusal.headers.get("connection") == "close") == (code in CLOSES)
    if code in POINTED:
        assert refusal.body["errors"]


def test_every_expected_field_belongs_to_a_code() -> None:
    assert {*MUST, *CLOSES, *POINTED} <= CATALOGUE.keys()
