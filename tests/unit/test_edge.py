"""The edge around an application that fails, is cut off, or never sees the request."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.middleware.body_budget import SPARED, BodyBudget
from service.http.middleware.edge import Edge
from service.http.middleware.services import EdgeServices, NoCallers
from service.http.server.lifecycle import Lifecycle
from service.observability.access_log import AccessLine, NoAccessLog

ID = "of-the-request"


class Client:
    """Sends one request to an application inside an edge, and keeps the response."""

    def __init__(
        self, app: ASGIApp, *, draining: bool = False, with_: dict[str, Any] | None = None, **changes: Any
    ) -> None:
        lifecycle = Lifecycle(draining=draining)
        self._edge = Edge(app, EdgeServices(lifecycle=lifecycle, max_body_bytes=1, **(with_ or {})))
        self.scope: dict[str, Any] = {
            "type": "http", "method": "GET", "path": "/a", "raw_path": b"/a", "scheme": "http", "client": None,
            "headers": [(b"host", b"a"), (b"x-request-id", ID.encode())], **changes,
        }  # fmt: skip
        self._sent: list[Message] = []

    async def run(self) -> None:
        await self._edge(self.scope, self._receive, self._send)

    async def _receive(self) -> Message:
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self._sent.append(message)

    @property
    def status(self) -> int:
        return int(self._sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self._sent[0]["headers"])

    @property
    def problem(self) -> Any:
        return json.loads(b"".join(message.get("body", b"") for message in self._sent))


async def empty(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def endless(*_: Any) -> None:
    await asyncio.sleep(3600)


async def broken(scope: Scope, *_: Any) -> None:
    scope["route"] = SimpleNamespace(path_format="/{name}")
    raise RuntimeError("a defect")


async def test_request_that_is_cut_off_may_be_repeated() -> None:
    """At the end of the shutdown timeout."""
    client = Client(endless)
    running = asyncio.create_task(client.run())
    await asyncio.sleep(0)
    running.cancel()
    await running
    assert (client.status, client.problem["code"]) == (503, "unavailable")
    assert client.headers[b"retry-after"] == b"1"


async def test_defect_is_logged_with_its_route() -> None:
    client = Client(broken)
    with structlog.testing.capture_logs() as lines:
        await client.run()
    assert (client.status, client.problem["code"]) == (500, "internal_error")
    (line,) = lines
    assert (line["event"], line["method"], line["route"]) == ("request failed", "GET", "/{name}")


async def test_server_as_a_whole_names_its_methods() -> None:
    """RFC 9110, 9.3.7."""
    client = Client(broken, method="OPTIONS", path="*", raw_path=b"*")
    await client.run()
    assert client.status == 204
    assert client.headers[b"allow"] == b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


@pytest.mark.parametrize("draining", [True, False])
async def test_connections_close_while_the_process_drains(*, draining: bool) -> None:
    client = Client(empty, draining=draining)
    await client.run()
    assert client.headers.get(b"connection") == (b"close" if draining else None)


@pytest.mark.parametrize("app", [empty, broken])
async def test_room_of_a_body_is_free_after_the_response(app: ASGIApp) -> None:
    bodies, client = BodyBudget(1), Client(app)
    bodies.grow(client.scope, SPARED + 1)
    await client.run()
    bodies.grow({}, SPARED + 1)


class Keys(NoCallers):
    """The keys of callers: one that was used lately, and one that was not."""

    def __init__(self) -> None:
        self.identified = False

    async def identify(self, _: Scope) -> None:
        self.identified = True

    def known(self, _: Scope) -> Any:
        return SimpleNamespace(id="key:known")


class Lines(NoAccessLog):
    """The access log, in memory."""

    def __init__(self) -> None:
        self.written = list[AccessLine]()

    def write(self, line: AccessLine) -> None:
        self.written.append(line)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 408, 413, 415, 422, 500])
async def test_caller_of_a_request_that_was_not_read_is_identified(status: int) -> None:
    """A route without a caller of its own responds. No line names somebody whose key was refused."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    keys, lines = Keys(), Lines()
    await Client(app, with_={"callers": keys, "access": lines}).run()
    assert keys.identified is (status in {400, 408, 413, 415, 422})
    assert [line.principal for line in lines.written] == [None if status in {200, 401} else "key:known"]
