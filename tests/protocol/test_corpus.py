"""Responses to valid and invalid bytes, according to HTTP/1.1 (RFC 9112)."""

from collections.abc import Iterator

import pytest

from tests.process.served import Served
from tests.protocol.case import Case, get, post
from tests.protocol.conftest import UNDER_GUNICORN, Start
from tests.protocol.refused import REFUSED
from tests.protocol.valid import LAST, VALID
from tests.protocol.wire import Wire, wire

pytestmark = pytest.mark.xdist_group("protocol-corpus")
SHORT = 400  # cases up to this size, in bytes, are also sent byte by byte


@pytest.fixture(scope="module")
def server(start: Start) -> Iterator[Served]:
    with start() as server:
        yield server


@pytest.fixture(scope="module")
def gunicorn(start: Start) -> Iterator[Served]:
    with start(**UNDER_GUNICORN) as server:
        yield server


def each(cases: tuple[Case, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def refuse(server: Served, case: Case, *, slowly: bool = False) -> None:
    """The server responds with one problem and closes."""
    with wire(server.port) as client:
        (client.trickle if slowly else client.send)(case.data)
        response = client.response()
        assert response is not None
        # An unknown method can be told from noise only if the request line arrives in one piece.
        assert (response.status,) == case.statuses or (slowly and response.status == 400)
        assert response.headers["connection"] == "close"
        problem = response.problem
        assert set(problem) <= {"type", "title", "status", "code", "instance", "request_id", "detail"}
        assert client.response() is None


def take(client: Wire, case: Case) -> None:
    for status in case.statuses:
        response = client.response()
        assert response is not None
        assert response.status == status
        if status == 422:  # the body was read completely
            assert response.problem["code"] == "validation_failed"


def serve(server: Served, case: Case, *, slowly: bool = False) -> None:
    """The server responds as expected, and the connection can be reused."""
    with wire(server.port) as client:
        (client.trickle if slowly else client.send)(case.data)
        take(client, case)
        client.send(get(b"X: the next"))
        take(client, Case("next", b"", 200))


def finish(server: Served, case: Case) -> None:
    """The server responds as expected, and closes."""
    with wire(server.port) as client:
        client.send(case.data)
        take(client, case)
        assert client.response() is None


@each(REFUSED)
def test_bad_request_is_refused_and_the_connection_closed(server: Served, case: Case) -> None:
    refuse(server, case)
    if len(case.data) <= SHORT:
        refuse(server, case, slowly=True)


@each(VALID)
def test_valid_request_is_served_and_the_connection_kept(server: Served, case: Case) -> None:
    serve(server, case)
    if len(case.data) <= SHORT:
        serve(server, case, slowly=True)


@each(LAST)
def test_pipelined_requests_are_answered_in_order(server: Served, case: Case) -> None:
    finish(server, case)


@pytest.mark.long
@each(REFUSED)
def test_bad_request_is_refused_under_gunicorn(gunicorn: Served, case: Case) -> None:
    refuse(gunicorn, case)


@pytest.mark.long
@each(VALID)
def test_valid_request_is_served_under_gunicorn(gunicorn: Served, case: Case) -> None:
    serve(gunicorn, case)


@pytest.mark.long
@each(LAST)
def test_pipelined_requests_are_answered_in_order_under_gunicorn(gunicorn: Served, case: Case) -> None:
    finish(gunicorn, case)


def test_admin_port_refuses_bad_requests_without_logging(server: Served) -> None:
    with wire(server.admin_port) as client:
        client.send(b"GET /livez HTTP/1.1\r\n\r\n")
        response = client.response()
        assert response is not None
        assert response.status == 400
        assert client.response() is None
    assert server.lines(request_id=response.problem["request_id"]) == []


def test_continue_is_sent_only_if_the_body_is_read(server: Served) -> None:
    """RFC 9110, 10.1.1: a final response instead of 100; the connection closes, as the body may follow or not."""
    with wire(server.port) as client:
        client.send(post(b"Expect: 100-continue\r\nContent-Length: 2000000", b""))
        response = client.response()
        assert response is not None
        assert (response.status, response.headers["connection"]) == (413, "close")
        assert client.response() is None


def test_trailers_are_not_taken_for_headers(server: Served) -> None:
    """RFC 9110, 6.5.1."""
    body = b"2\r\n{}\r\n0\r\nX-Request-Id: from-a-trailer\r\n\r\n"
    with wire(server.port) as client:
        client.send(post(b"Transfer-Encoding: chunked", body))
        response = client.response()
    assert response is not None
    assert response.problem["request_id"] != "from-a-trailer"


def test_response_arrives_while_the_client_keeps_sending(server: Served) -> None:
    for _ in range(20):
        with wire(server.port) as client:
            client.send(post(b"Content-Length: 3000000", b"x" * 3_000_000))
            response = client.response()
            assert response is not None
            assert response.status == 413
