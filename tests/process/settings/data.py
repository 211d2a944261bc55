"""Pages, batches, exports, idempotency; log lines for humans."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from uuid import uuid4

from tests.process.served import eventually
from tests.process.settings.table import Given, Running, Setup, process, setting
from tests.protocol.case import get, post
from tests.protocol.wire import Wire, wire

LIST = "/api/v1/shelves"
EXPORT = f"{LIST}/export"
TRIES = 3
# 11 MB, which the buffers of two sockets cannot hold. A search index ignores dots; history would take time.
MANY = """
BEGIN;
ALTER TABLE tests_shelf DISABLE TRIGGER tests_shelf_history;
INSERT INTO tests_shelf (id, slug, name, description, created_by, updated_by)
SELECT gen_random_uuid(), 'many-' || n, 'Many', repeat('.', 600), 'table', 'table' FROM generate_series(1, 12000) n
WHERE NOT EXISTS (SELECT FROM tests_shelf WHERE slug = 'many-1');
ALTER TABLE tests_shelf ENABLE TRIGGER tests_shelf_history;
COMMIT
"""
STALLED = """
SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND application_name = 'slipway'
AND datname = current_database()
"""


@process("data")
def data(setup: Setup) -> Given:
    return {
        "database__url": setup.database_url,
        "redis__enabled": "false",
        "security__anonymous": "write",
        "server__write_timeout": 60,
    }


def new(run: Running, **headers: str) -> str:
    """Create a shelf with the same slug, and return its id."""
    made = run.service.api.post(LIST, json={"slug": f"new-{uuid4().hex[:8]}", "name": "New"}, headers=headers)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


@setting("app__environment", "test", process="data")
def anonymous_callers_may_write(run: Running) -> None:
    assert new(run)  # production refuses to start with anonymous writes


@setting("app__idempotency_hours", 0.0003, process="data")
def response_is_kept_for_a_second(run: Running) -> None:
    def seen() -> list[int]:
        body = {"slug": f"once-{uuid4().hex[:8]}", "name": "Once"}
        send = partial(run.service.api.post, LIST, json=body, headers={"Idempotency-Key": uuid4().hex})
        first, second = send(), send()
        time.sleep(1.5)
        return [response.status_code for response in (first, second, send())]

    # On a busy machine, the second one may already come after that second.
    assert any(seen() == [201, 201, 409] for _ in range(TRIES))


@setting("performance__page_size", 3, process="data")
def default_page_has_this_size(run: Running) -> None:
    for _ in range(7):
        new(run)
    assert len(run.service.api.get(LIST).json()["items"]) == 3


@setting("performance__page_size_max", 5, process="data")
def larger_page_is_refused(run: Running) -> None:
    assert [run.service.api.get(f"{LIST}?limit={n}").status_code for n in (5, 6)] == [200, 400]


@setting("performance__bulk_operations", 2, process="data")
def larger_bulk_is_refused(run: Running) -> None:
    def status(count: int) -> int:
        operation = {"op": "create", "item": {"name": "no slug"}}
        body = {"mode": "partial", "operations": [operation] * count}
        return run.service.api.post(f"{LIST}/bulk", json=body).status_code

    assert [status(2), status(3)] == [200, 422]


@setting("performance__cache_memory", 0, process="data")
def no_item_is_cached(run: Running) -> None:
    url = f"{LIST}/{new(run)}"
    for _ in range(2):
        assert run.service.api.get(url).status_code == 200
    assert 'cache="shelves' not in run.service.admin.get("/metrics").text


@setting("server__max_buffered_bytes", 2**20, process="data")
def bodies_share_a_memory_limit(run: Running) -> None:
    beginning = post(b"Content-Length: 700000", b"{}" + b" " * 699_000)
    with wire(run.service.port) as first, wire(run.service.port) as second:
        first.send(beginning)
        for _ in range(20):  # the responses arrive once the server has read everything
            assert run.service.api.get("/health").status_code == 200
        second.send(beginning)
        response = second.response()
        assert response is not None
        assert response.problem["code"] == "overloaded"


@setting("monitoring__duration_buckets", "0.5,2", process="data")
def durations_have_these_buckets(run: Running) -> None:
    run.service.api.get(LIST)
    metrics = run.service.admin.get("/metrics").text
    lines = [x for x in metrics.splitlines() if x.startswith("http_request_duration_seconds_bucket")]
    assert {line.partition('le="')[2].partition('"')[0] for line in lines} == {"0.5", "2.0", "+Inf"}


@setting("logging__format", "console", process="data")
def log_lines_are_plain_text(run: Running) -> None:
    run.service.api.get(LIST, headers={"Authorization": "Bearer nobody's"})
    assert eventually(lambda: "credentials refused" in run.service.output)
    assert '{"time"' not in run.service.output


@setting("logging__access", "false", process="data")
def access_lines_are_off(run: Running) -> None:
    run.service.api.get("/health", headers={"X-Request-Id": "settings-table"})
    assert not eventually(lambda: "settings-table" in run.service.output, seconds=1)


def stalled(run: Running) -> int:
    """Return the number of exports that wait for their reader."""
    return int(run.sql(STALLED)[0]["count"])


@contextmanager
def exporting(run: Running, *, receive_buffer: int = 4096) -> Iterator[Wire]:
    """Start a large export and read its first bytes. The previous one may hold its slot for another moment."""
    run.script(MANY)

    def admitted(stack: ExitStack) -> Wire | None:
        client = stack.enter_context(wire(run.service.port, receive_buffer=receive_buffer))
        client.send(get(b"X: 1", path=EXPORT))
        return client if client.socket.recv(12).endswith(b"200") else None

    with ExitStack() as stack:
        client = eventually(lambda: admitted(stack))
        assert client is not None
        yield client


@setting("performance__exports", 1, process="data")
def second_export_is_refused(run: Running) -> None:
    with exporting(run):
        assert run.service.api.get(EXPORT).status_code == 503


def never_stalled(run: Running, *, seconds: float) -> bool:
    """Whether no export stalls for so long: one that stalls fetches more rows whenever the sockets take some."""
    until = time.monotonic() + seconds
    while stalled(run) == 0:
        if time.monotonic() > until:
            return True
        time.sleep(0.05)
    return False


@setting("performance__export_stall", 2, process="data")  # longer than a slow reader of the next probe takes
def stalled_export_is_cut_off(run: Running) -> None:
    with exporting(run):
        assert eventually(lambda: stalled(run) == 1)
        assert eventually(lambda: never_stalled(run, seconds=0.5), seconds=7)


@setting("performance__export_timeout", 2, process="data")
def long_export_is_cut_off(run: Running) -> None:
    with exporting(run, receive_buffer=65536) as client:
        end = time.monotonic() + 8
        while time.monotonic() < end and client.socket.recv(65536):
            time.sleep(0.05)
    # One whose reader stalls is cut off too, with other words.
    assert eventually(lambda: "longer than allowed" in run.service.output, seconds=2)
