"""A request for which no place becomes free is answered by its connection, as the application would have answered."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from service.config.server import ServerSettings
from service.dev.free_ports import LOOPBACK
from service.http.middleware.admission import Admission
from service.http.middleware.entrance import Entrance
from service.http.middleware.services import EdgeServices
from service.http.protocol.connection import limited
from service.http.protocol.limits import Limits
from service.http.server.lifecycle import Lifecycle
from tests.process.served import Served, eventually
from tests.protocol.conftest import Start
from tests.protocol.test_admission import locked, sample
from tests.protocol.wire import Response, Wire, wire

pytestmark = pytest.mark.xdist_group("protocol-entrance")

SHOP, EVIL = "https://shop.example", "https://evil.example"
LIST, OTHERS = "/api/v1/articles", "/api/v1/shelves"
ID = "entrance-request-1"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FIELDS = f"Origin: {SHOP}\r\nX-Request-Id: {ID}\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n"
RUNNING = "Too many requests are running."
LARGE = 70_000  # bytes of a body that are not worth reading after a refusal

Refuse = Callable[[Served, Wire, str], Response]


@pytest.fixture(scope="module")
def narrow(start: Start) -> Iterator[Served]:
    """A server that runs one request at a time, with two host names, one origin, and HTTPS in front of it."""
    with start(
        server__max_concurrency=1,
        server__max_body_bytes=100_000,
        server__max_buffered_bytes=2**20,
        security__cors_origins=SHOP,
        security__trusted_hosts="api,127.0.0.1",
        database__acquire_timeout=10,
        database__lock_timeout=10,
    ) as server:
        yield server


@asynccontextmanager
async def occupied(server: Served, url: str, *, others: int = 0) -> AsyncIterator[None]:
    """Occupy the one place, while `others` wait for their bodies."""
    reader = threading.Thread(target=lambda: server.api.get(LIST))
    async with locked(url):
        reader.start()
        assert eventually(lambda: sample(server, "http_requests_in_progress") == 1 + others)
        yield
    reader.join()


def request(fields: str = "", *, method: str = "GET", path: str = OTHERS, body: str = "") -> bytes:
    if body:
        fields += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: api\r\nX-Forwarded-Proto: https\r\n{fields}\r\n{body}".encode()


def answer(client: Wire, *, head: bool = False) -> Response:
    response = client.response(head=head)
    assert response is not None
    return response


async def refused_at_the_entrance(server: Served, url: str, client: Wire, fields: str) -> Response:
    async with occupied(server, url):
        client.send(request(fields, method="POST", body="{}"))
        return answer(client)


async def refused_after_its_body(server: Served, url: str, client: Wire, fields: str) -> Response:
    """The application refuses: the request gave its place back to receive its body, and finds none."""
    whole = request(fields, method="POST", body="{}")
    client.send(whole[:-1])
    assert eventually(lambda: sample(server, "http_requests_in_progress") == 1)
    async with occupied(server, url, others=1):
        client.send(whole[-1:])
        return answer(client)


@pytest.mark.parametrize("refused", [refused_at_the_entrance, refused_after_its_body])
async def test_refusals_are_alike(narrow: Served, database_url: str, refused: Refuse) -> None:
    before = sample(narrow, "slipway_requests_turned_away_total", reason="running")
    counted = sample(narrow, "http_requests_total", status_code="503")
    with wire(narrow.port) as client:
        response = await refused(narrow, database_url, client, FIELDS)  # type: ignore[call-arg, arg-type, misc]
        assert {
            name: value for name, value in response.headers.items() if name not in {"content-length", "date"}
        } == {
            "retry-after": "1",
            "content-type": "application/problem+json",
            "x-request-id": ID,
            "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "cache-control": "no-cache",
            "strict-transport-security": "max-age=31536000",
            "vary": "Origin",
            "access-control-allow-origin": SHOP,
            "access-control-expose-headers": response.headers["access-control-expose-headers"],
        }
        assert response.problem == {
            "type": "urn:slipway:problem:overloaded",
            "title": RUNNING,
            "status": 503,
            "code": "overloaded",
            "instance": OTHERS,
            "request_id": ID,
        }
        client.send(request())
        assert answer(client).status == 200  # the connection stays open
    (line,) = eventually(lambda: narrow.lines(request_id=ID))[-1:]
    assert (line["status"], line["method"], line["trace_id"]) == (503, "POST", TRACE)
    assert line["bytes"] == len(response.body)
    assert line["duration_ms"] >= 30
    assert sample(narrow, "slipway_requests_turned_away_total", reason="running") - before == 1
    assert sample(narrow, "http_requests_total", status_code="503") - counted == 1
    assert sample(narrow, "http_requests_in_progress") == 0


async def test_refusal_says_nothing_to_other_origins(narrow: Served, database_url: str) -> None:
    with wire(narrow.port) as client:
        response = await refused_at_the_entrance(narrow, database_url, client, f"Origin: {EVIL}\r\n")
    assert response.status == 503
    assert response.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in response.headers


async def test_refusal_of_head_has_no_content(narrow: Served, database_url: str) -> None:
    async with occupied(narrow, database_url):
        with wire(narrow.port) as client:
            for _ in range(2):
                client.send(request(method="HEAD"))
                response = answer(client, head=True)
                assert (response.status, response.headers["retry-after"]) == (503, "1")
    (line,) = eventually(lambda: narrow.lines(request_id=response.headers["x-request-id"]))
    assert line["bytes"] == 0


async def test_problem_of_the_request_comes_before_the_overload(narrow: Served, database_url: str) -> None:
    async with occupied(narrow, database_url):
        for wanted, raw in {
            413: request("Content-Length: 100001\r\n", method="POST"),
            400: request().replace(b"Host: api", b"Host: other"),
            200: request(f"Origin: {SHOP}\r\nAccess-Control-Request-Method: GET\r\n", method="OPTIONS"),
            204: request(method="OPTIONS", path="*"),
        }.items():
            with wire(narrow.port) as client:
                client.send(raw)
                assert answer(client).status == wanted


async def test_body_of_a_refused_request_is_not_taken_for_the_next_one(
    narrow: Served, database_url: str
) -> None:
    smuggled = request(path="/smuggled").decode()
    async with occupied(narrow, database_url):
        with wire(narrow.port) as early, wire(narrow.port) as late:
            whole = request(method="POST", body=smuggled)
            early.send(whole)
            late.send(whole[: -len(smuggled)])
            assert [answer(client).status for client in (early, late)] == [503, 503]
            late.send(smuggled.encode())
            for client in (early, late):
                client.send(request(path="/next"))
                assert answer(client).problem["instance"] == "/next"


async def test_connection_closes_rather_than_read_a_large_body(narrow: Served, database_url: str) -> None:
    async with occupied(narrow, database_url):
        with wire(narrow.port) as client:
            client.send(request(f"Content-Length: {LARGE}\r\n", method="POST"))
            response = answer(client)
            assert (response.status, response.headers["connection"]) == (503, "close")
            assert client.response() is None


async def test_bodies_of_refused_requests_are_not_held(narrow: Served, database_url: str) -> None:
    """Together they would not fit: the first 16 KiB of each are free."""
    whole = request(method="POST", body=" " * 60_000)
    async with occupied(narrow, database_url):
        with ExitStack() as stack:
            clients = [stack.enter_context(wire(narrow.port)) for _ in range(10)]
            for _ in range(4):
                for client in clients:
                    client.send(whole)
                assert {answer(client).problem["title"] for client in clients} == {RUNNING}
    assert sample(narrow, "slipway_requests_turned_away_total", reason="bodies") == 0


async def test_body_that_the_client_was_asked_to_announce_is_not_asked_for(
    narrow: Served, database_url: str
) -> None:
    async with occupied(narrow, database_url):
        with wire(narrow.port) as client:
            client.send(request("Expect: 100-continue\r\nContent-Length: 2\r\n", method="POST"))
            assert answer(client).status == 503


async def test_pipelined_requests_are_refused_in_their_order(narrow: Served, database_url: str) -> None:
    paths = [f"/{number}" for number in range(3)]
    async with occupied(narrow, database_url):
        with wire(narrow.port) as client:
            client.send(b"".join(request(path=path) for path in paths))
            assert [answer(client).problem["instance"] for _ in paths] == paths


async def test_old_client_gets_its_refusal(narrow: Served, database_url: str) -> None:
    async with occupied(narrow, database_url):
        with wire(narrow.port) as client:
            client.send(request().replace(b"HTTP/1.1", b"HTTP/1.0"))
            response = answer(client)
            assert (response.status, response.problem["code"]) == (503, "overloaded")
            assert client.response() is None


async def test_clients_that_leave_while_they_wait_keep_no_place(narrow: Served, database_url: str) -> None:
    before = sample(narrow, "http_requests_total", status_code="503")
    async with occupied(narrow, database_url):
        with ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(wire(narrow.port)).send(request())
        assert eventually(lambda: sample(narrow, "http_requests_total", status_code="503") - before == 5)
    with wire(narrow.port) as client:
        client.send(request())
        assert answer(client).status == 200


async def test_application_runs_for_requests_with_a_place_only() -> None:
    called: list[str] = []

    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        called.append(scope["path"])
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    admission, settings = Admission(1), ServerSettings()
    entrance = Entrance(EdgeServices(lifecycle=Lifecycle(), max_body_bytes=1, admission=admission))
    protocol = limited(Limits.of(settings), entrance)
    config = Config(application, http=protocol, ws="none", log_config=None)
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config, ServerState(), {}), LOOPBACK
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

    async def status(path: str) -> bytes:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        await reader.readexactly(0 if length is None else int(length[1]))
        return head.split(b" ")[1]

    async with asyncio.timeout(5), server:
        assert admission.enter()
        assert await status("/full") == b"503"
        waiting = asyncio.create_task(status("/later"))
        await asyncio.sleep(0.01)
        admission.leave()
        assert await waiting == b"204"
        writer.close()
    assert called == ["/later"]
