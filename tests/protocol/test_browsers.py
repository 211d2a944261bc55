"""Responses that a page of another origin may read, from routes, middleware and the protocol (Fetch standard)."""

from collections.abc import Iterator

import pytest

from tests.process.served import Served
from tests.protocol.conftest import Start
from tests.protocol.test_admission import locked
from tests.protocol.wire import Response, wire

SHOP, DESK, EVIL = "https://shop.example", "https://desk.example", "https://evil.example"
LIST = "/api/v1/articles"
HEAD = f"GET {LIST} HTTP/1.1\r\nHost: api\r\n"
ORIGIN = f"Origin: {SHOP}\r\n"

EARLY = {  # responses that do not come from routes, by status
    400: f"GET {LIST} HTTP/1.1\r\n{ORIGIN}\r\n",
    405: f"CONNECT api:80 HTTP/1.1\r\nHost: api\r\n{ORIGIN}\r\n",
    413: f"POST {LIST} HTTP/1.1\r\nHost: api\r\n{ORIGIN}Content-Length: 99999999\r\n\r\n",
    414: f"GET {LIST}?q={'x' * 9000} HTTP/1.1\r\nHost: api\r\n{ORIGIN}\r\n",
    431: HEAD + "".join(f"X-{n}: y\r\n" for n in range(200)) + f"{ORIGIN}\r\n",
    408: HEAD + ORIGIN,
}


@pytest.fixture(scope="module")
def selling(start: Start) -> Iterator[Served]:
    """A server that pages of two origins may call."""
    with start(
        security__cors_origins=f"{SHOP}, {DESK}",
        security__anonymous="none",
        server__header_timeout=0.5,
        server__max_concurrency=1,
        database__acquire_timeout=10,
        database__lock_timeout=10,
    ) as server:
        yield server


def readable(response: Response | None) -> bool:
    """Whether a browser shows the response to a page of the shop."""
    assert response is not None
    return response.headers.get("access-control-allow-origin") == SHOP


@pytest.mark.parametrize("status", EARLY)
def test_page_can_read_problems_of_connection_and_edge(selling: Served, status: int) -> None:
    with wire(selling.port) as client:
        client.send(EARLY[status].encode())
        response = client.response()
        assert readable(response)
        assert response is not None
        assert response.problem["status"] == status
        assert "X-Request-Id" in response.headers["access-control-expose-headers"]


def test_page_of_another_origin_cannot_read_problems(selling: Served) -> None:
    for status, request in EARLY.items():
        with wire(selling.port) as client:
            client.send(request.replace(SHOP, EVIL).encode())
            response = client.response()
            assert response is not None
            assert response.status == status
            assert not [name for name in response.headers if name.startswith("access-control-")]
            assert response.headers["vary"] == "Origin"


def test_problem_of_a_request_without_an_origin_is_for_none_of_several(selling: Served) -> None:
    with wire(selling.port) as client:
        client.send(EARLY[400].replace(ORIGIN, "").encode())
        response = client.response()
        assert response is not None
        assert response.status == 400
        assert "access-control-allow-origin" not in response.headers


async def test_page_can_read_overload_errors(selling: Served, database_url: str) -> None:
    key = {"X-API-Key": f"slw_{'0' * 12}_{'x' * 43}", "Origin": DESK}
    async with locked(database_url, "api_key"):
        with wire(selling.port) as waiting:
            waiting.send((HEAD + f"X-API-Key: {key['X-API-Key']}\r\n\r\n").encode())
            responses = [selling.api.get(LIST, headers=key) for _ in range(3)]
            preflight = selling.api.options(
                LIST, headers={"Origin": SHOP, "Access-Control-Request-Method": "GET"}
            )
    assert {response.status_code for response in responses} == {503}
    assert {response.headers["access-control-allow-origin"] for response in responses} == {DESK}
    assert preflight.status_code == 200  # cheap, and without it a page could not read the 503 that follows


def test_preflight_allows_all_methods_and_headers_of_the_api(selling: Served) -> None:
    asked = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,if-match",
    }
    response = selling.api.options(LIST, headers=asked)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["access-control-allow-origin"] == SHOP
    assert "access-control-allow-credentials" not in response.headers
    assert {"Origin", "Access-Control-Request-Method"} <= set(response.headers["vary"].split(", "))
    for name, value in (
        ("Origin", EVIL),
        ("Access-Control-Request-Method", "TRACE"),
        ("Access-Control-Request-Headers", "x-other"),
    ):
        refused = selling.api.options(LIST, headers={**asked, name: value})
        assert refused.status_code == 400
        assert refused.json()["code"] == "malformed_request"
        assert "access-control-allow-methods" not in refused.headers


def test_page_can_read_responses_of_routes(selling: Served) -> None:
    for path, status in ((LIST, 401), ("/nothing", 404), ("/health", 200)):
        response = selling.api.get(path, headers={"Origin": SHOP})
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == SHOP
        exposed = response.headers["access-control-expose-headers"].split(", ")
        assert {"ETag", "Idempotency-Replayed", "Retry-After", "WWW-Authenticate"} <= set(exposed)
    assert "Origin" in selling.api.get("/health").headers["vary"]  # for caches
