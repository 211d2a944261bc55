"""Requests that wait for a place without a task."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message

from service import clock
from service.http.middleware.admission import Admission
from service.http.middleware.body_budget import SPARED, BodyBudget
from service.http.middleware.cors import RawHeaders
from service.http.middleware.entrance import Entrance
from service.http.middleware.exchange import open_exchange
from service.http.middleware.services import EdgeServices
from service.http.middleware.state import ARRIVED, REFUSAL
from service.http.problems import InvalidJson
from service.http.server.lifecycle import Lifecycle
from tests.unit.test_admission_queue import refusals


class Waiting:
    """A request on a connection: its response, or whether it was started."""

    def __init__(self, *, is_blocked: bool = False) -> None:
        fields = [(b"host", b"a")]
        self.scope: dict[str, Any] = {
            "method": "GET",
            "path": "/",
            "raw_path": b"/",
            "headers": fields,
            "scheme": "http",
            "client": None,
        }
        self.is_blocked = is_blocked
        self.status: int | None = None
        self.started = asyncio.Event()

    def respond(self, status: int, _headers: RawHeaders, _content: bytes) -> None:
        self.status = status
        self.started.set()


@pytest.fixture
def admission() -> Admission:
    """One request may run, and one does."""
    admission = Admission(1)
    assert admission.enter()
    return admission


@pytest.fixture
def entrance(admission: Admission) -> Entrance:
    return Entrance(EdgeServices(lifecycle=Lifecycle(), max_body_bytes=1, admission=admission))


async def test_request_starts_with_the_place_of_another(admission: Admission, entrance: Entrance) -> None:
    waiting, before = Waiting(), clock.monotonic()
    entrance.admit(waiting, waiting.started.set)
    after = clock.monotonic()
    assert not waiting.started.is_set()
    await asyncio.sleep(0.01)
    admission.leave()
    async with asyncio.timeout(5):
        await waiting.started.wait()
    assert waiting.status is None
    assert admission.running == 1
    assert before <= waiting.scope[ARRIVED] <= after  # its duration includes the wait


async def test_request_without_a_place_is_answered(admission: Admission, entrance: Entrance) -> None:
    waiting, before = Waiting(), refusals()
    bodies = BodyBudget(1)
    bodies.grow(waiting.scope, SPARED + 1)
    entrance.admit(waiting, pytest.fail)
    async with asyncio.timeout(5):
        await waiting.started.wait()
    assert waiting.status == 503
    assert admission.running == 1
    assert refusals() - before == 1
    bodies.grow({}, SPARED + 1)  # the room of its body is free again


async def test_refused_request_needs_no_place(admission: Admission, entrance: Entrance) -> None:
    """It is answered at once even if all places are taken, and with its own problem."""
    refused = Waiting()
    refused.scope[REFUSAL] = InvalidJson("no")
    entrance.admit(refused, refused.started.set)
    assert refused.started.is_set()
    assert ARRIVED not in refused.scope
    assert admission.running == 1


async def test_application_answers_a_client_that_does_not_read(
    admission: Admission, entrance: Entrance
) -> None:
    """It can wait for the client; the connection would buffer one response after the other."""
    waiting = Waiting(is_blocked=True)
    entrance.admit(waiting, waiting.started.set)
    async with asyncio.timeout(5):
        await waiting.started.wait()
    assert waiting.status is None
    assert ARRIVED not in waiting.scope
    assert admission.running == 1


async def test_response_on_its_way_needs_no_place(admission: Admission) -> None:
    """Its client may read slowly."""
    running: list[int] = []

    async def send(_: Message) -> None:
        running.append(admission.running)

    admission.leave()
    services = EdgeServices(lifecycle=Lifecycle(), max_body_bytes=1, admission=admission)
    exchange = open_exchange(Waiting().scope, never_received, send, services)
    assert exchange.enter()
    await exchange.respond(200, [], b"content")
    assert running == [0, 0]


async def never_received() -> Message:
    raise AssertionError
