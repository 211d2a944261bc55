"""Limits on the size and duration of requests."""

import select
import socket
import time
from contextlib import ExitStack

from tests.ports import next_port
from tests.process.served import eventually
from tests.process.settings.table import Given, Running, Setup, process, setting
from tests.protocol.case import get, many, post
from tests.protocol.test_deadlines import BIG, established
from tests.protocol.wire import Response, closes, wire

SHOP = "https://shop.example"
LIST = "/api/v1/shelves"
TRIES = 3


@process("edge")
def edge(setup: Setup) -> Given:
    return {
        "database__url": setup.database_url,
        "redis__enabled": "false",
        "rate_limit__enabled": "false",
        "database__acquire_timeout": 10,
        "database__statement_timeout": 20,
        "database__lock_timeout": 20,
    }


def response(run: Running, data: bytes) -> Response:
    """Return the first response to these bytes."""
    with wire(run.service.port) as client:
        client.send(data)
        found = client.response()
        assert found is not None
        return found


@setting("server__port", lambda setup: setup.servers.setdefault("port", next_port()), process="edge")
def public_port(run: Running) -> None:
    assert run.service.port == run.setup.servers["port"]
    assert run.service.api.get("/health").status_code == 200


@setting("server__admin_port", lambda setup: setup.servers.setdefault("admin", next_port()), process="edge")
def admin_port(run: Running) -> None:
    assert run.service.admin_port == run.setup.servers["admin"]
    assert run.service.admin.get("/livez").status_code == 200


@setting("server__max_headers", 20, process="edge")
def excess_headers_are_refused(run: Running) -> None:
    assert response(run, get(many(b"X-%d: y", 15))).status == 200
    assert response(run, get(many(b"X-%d: y", 30))).status == 431


@setting("server__max_header_bytes", 4096, process="edge")
def larger_header_is_refused(run: Running) -> None:
    assert response(run, get(b"X: " + b"y" * 5000)).status == 431


@setting("server__max_target_bytes", 1024, process="edge")
def longer_target_is_refused(run: Running) -> None:
    assert response(run, get(b"X: 1", path="/health?" + "y" * 2000)).status == 414


@setting("server__max_body_bytes", 2048, process="edge")
def larger_body_is_refused(run: Running) -> None:
    assert response(run, post(b"Content-Length: 3000", b"{}" + b" " * 2998)).status == 413


@setting("server__header_timeout", 0.6, process="edge")
def slow_header_is_cut_off(run: Running) -> None:
    assert response(run, get(b"X: 1")[:-4]).status == 408


@setting("server__body_timeout", 0.7, process="edge")
def slow_body_is_cut_off(run: Running) -> None:
    key = f"X-API-Key: {run.key()['X-API-Key']}\r\n".encode()
    assert response(run, post(key + b"Content-Length: 9", b"{")).status == 408


@setting("server__keep_alive", 1, process="edge")
def idle_connection_is_closed(run: Running) -> None:
    with wire(run.service.port) as client:
        client.send(get(b"X: 1"))
        assert client.response() is not None
        assert client.closed_within(5) > 0.5


@setting("server__max_connection_age", 0.5, process="edge")
def old_connection_closes_with_a_response(run: Running) -> None:
    with wire(run.service.port) as client:
        began = time.monotonic()
        client.send(get(b"X: 1"))
        while not closes(client):
            assert time.monotonic() - began < 5
            time.sleep(0.1)
            client.send(get(b"X: 1"))
        assert time.monotonic() - began > 0.4
        assert client.response() is None


@setting("server__write_timeout", 0.6, process="edge")
def slow_reader_is_cut_off(run: Running) -> None:
    with wire(run.service.port, receive_buffer=4096) as client:
        client.send(BIG * 100)
        assert eventually(lambda: not established(run.service.port, client), seconds=8)


@setting("server__max_concurrency", 2, process="edge")
def excess_requests_are_refused(run: Running) -> None:
    with run.locked("tests_shelf"), ExitStack() as stack:
        clients = [stack.enter_context(wire(run.service.port)) for _ in range(3)]
        for client in clients:
            client.send(get(b"X: 1", path=LIST))
        refused, *others = answered([client.socket for client in clients], seconds=15)
        assert (refused.recv(64).split()[1], others) == (b"503", [])
        assert (
            answered([client.socket for client in clients if client.socket is not refused], seconds=0.7) == []
        )


def answered(connections: list[socket.socket], *, seconds: float) -> list[socket.socket]:
    """Return the connections with a response, as soon as there is one."""
    return select.select(connections, [], [], seconds)[0]


@setting("server__max_connections", 16, process="edge")
def excess_connections_are_refused(run: Running) -> None:
    # On a busy machine, the first connections may reach their deadline before the last one is open.
    assert any(code_of_the_17th(run) == "overloaded" for _ in range(TRIES))


def code_of_the_17th(run: Running) -> str:
    """Return the code of the response that a connection gets although it asks nothing, while 16 others are open."""
    with ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(wire(run.service.port)).send(b"GET")
        late = stack.enter_context(wire(run.service.port)).response()
        return str(late.problem["code"]) if late is not None else ""


@setting("server__trusted_proxies", "127.0.0.2", process="edge")
def untrusted_proxy_is_ignored(run: Running) -> None:
    forwarded = get(b"X-Forwarded-Proto: https")
    assert "strict-transport-security" not in response(run, forwarded).headers


@setting("security__anonymous", "read", process="edge")
def anonymous_callers_may_read(run: Running) -> None:
    assert run.service.api.get(LIST).status_code == 200
    assert run.service.api.post(LIST, json={}).status_code == 401


@setting("security__cors_origins", f"{SHOP}, https://desk.example", process="edge")
def cors_allows_the_origin(run: Running) -> None:
    for path, status in (("/health", 200), ("/nothing", 404)):
        found = run.service.api.get(path, headers={"Origin": SHOP})
        assert (found.status_code, found.headers["access-control-allow-origin"]) == (status, SHOP)


@setting("security__trusted_hosts", "127.0.0.1,a,*.shop.example", process="edge")
def other_host_names_are_refused(run: Running) -> None:
    for host, status in (("eu.shop.example", 200), ("evil.example", 400)):
        assert run.service.api.get("/docs", headers={"Host": host}).status_code == status


@setting("server__public_path", "/shop", process="edge")
def links_begin_with_the_public_path(run: Running) -> None:
    for path in (LIST, f"/shop{LIST}"):
        assert run.service.api.get(path).headers["link"].startswith(f"</shop{LIST}>")


@setting("logging__access_sample", 0, process="edge")
def only_failed_requests_leave_a_line(run: Running) -> None:
    for path, name in (("/health", "sampled-away"), ("/nowhere", "always-there")):
        run.service.api.get(path, headers={"X-Request-Id": name})
    assert eventually(lambda: "always-there" in run.service.output)
    assert "sampled-away" not in run.service.output
