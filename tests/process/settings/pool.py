"""Settings of connections to PostgreSQL and of timeouts."""

import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import httpx2

from tests.engine.wire import wire_to
from tests.process.served import Json, eventually
from tests.process.settings.table import Given, Running, Setup, process, setting

LIST = "/api/v1/shelves"
TRIES = 3
FAILED = 'slipway_database_statement_seconds_count{outcome="error"}'
REFUSED = "slipway_database_acquire_timeouts_total"
OPEN = re.compile(r'^slipway_database_connections\{state="(?:idle|used)"\} (\S+)$', re.MULTILINE)
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'slipway'
AND datname = current_database()
"""


@process("pool")
def pool(setup: Setup) -> Given:
    setup.servers["wire"] = setup.background.enter(wire_to(setup.database_url))
    return {"redis__enabled": "false", "security__anonymous": "read"}


def start_requests(run: Running, path: str, times: int, stack: ExitStack) -> list["Future[httpx2.Response]"]:
    """Send requests in separate threads."""
    threads = stack.enter_context(ThreadPoolExecutor(times))
    url = f"{run.service.api.base_url}{path}"
    return [threads.submit(httpx2.get, url, timeout=30) for _ in range(times)]


def wait_for_locks(run: Running, table: str, path: str, requests: int, sessions: int) -> bool:
    """Whether as many sessions wait for a lock when so many requests are sent; on a busy machine, try again."""
    for _ in range(TRIES):
        with ExitStack() as stack, run.locked(table):
            start_requests(run, path, requests, stack)
            if most_waiting(run) == sessions:
                return True
    return False


def most_waiting(run: Running) -> int:
    """Return the highest number of sessions seen waiting for a lock within a second of the first."""
    most, end = 0, time.monotonic() + 10
    while time.monotonic() < end:
        waiting = run.sql(WAITING)[0]["count"]
        if waiting and not most:
            end = time.monotonic() + 1
        most = max(most, waiting)
    return most


def open_connections(run: Running) -> float:
    """Return the connections of the pool."""
    text = run.service.admin.get("/metrics").text  # one scrape: a connection changes its state between two
    return sum(float(number) for number in re.findall(OPEN, text))


@setting("database__url", lambda setup: setup.servers["wire"].url, process="pool")
def database_is_that_of_the_url(run: Running) -> None:
    with run.setup.servers["wire"].counted() as statements:
        assert run.service.api.get(LIST).status_code == 200
    assert statements


@setting("database__pool_min", 3, process="pool")
def connections_are_kept_open(run: Running) -> None:
    def stay() -> bool:
        """Whether they stay open for longer than an idle connection beyond them does."""
        for _ in range(5):
            if open_connections(run) != 3:
                return False
            time.sleep(0.4)
        return True

    assert eventually(stay)


@setting("database__statement_timeout", 1.4, process="pool")
def long_statement_is_cancelled(run: Running) -> None:
    before = run.service.metric(FAILED)
    with run.locked("tests_shelf"):
        response = run.service.api.get(LIST)
    assert (response.status_code, response.json()["code"]) == (504, "overtime")
    assert run.service.metric(FAILED) == (before or 0) + 1


@setting("database__pool_max", 4, process="pool")
def connections_are_bounded(run: Running) -> None:
    assert wait_for_locks(run, "tests_shelf", LIST, requests=7, sessions=4)


@setting("database__acquire_timeout", 0.8, process="pool")
def wait_for_a_connection_is_bounded(run: Running) -> None:
    before = run.service.metric(REFUSED) or 0
    # On a busy machine, the last requests may come so late that the first ones are over.
    refused = eventually(lambda: refused_for_want_of_a_connection(run))
    assert refused
    # A job of the service may have waited too.
    assert 0 <= (run.service.metric(REFUSED) or 0) - before - len(refused) <= 2
    lines = eventually(lambda: lines_of(run, refused))
    assert min(line["duration_ms"] for line in lines) > 600


def refused_for_want_of_a_connection(run: Running) -> list[str]:
    """Send more requests than there are connections, which wait for a lock. Return the ids of those with 503."""
    with ExitStack() as stack, run.locked("tests_shelf"):
        responses = [one.result() for one in start_requests(run, LIST, 7, stack)]
    assert {response.status_code for response in responses} <= {503, 504}
    return [response.headers["x-request-id"] for response in responses if response.status_code == 503]


def lines_of(run: Running, request_ids: list[str]) -> list[Json]:
    """Return the lines of these requests once all are there."""
    lines = [line for line in run.service.lines(event="request") if line["request_id"] in request_ids]
    return lines if len(lines) == len(request_ids) else []


@setting("database__idle_lifetime", 1, process="pool")
def idle_connection_is_closed(run: Running) -> None:
    assert wait_for_locks(run, "tests_shelf", LIST, requests=4, sessions=4)
    time.sleep(1.2)  # until the metric has been updated since
    assert eventually(lambda: open_connections(run) == 3, seconds=6)


@setting("database__idle_in_transaction_timeout", 7, process="pool")
def idle_transaction_is_ended(run: Running) -> None:
    assert run.setup.servers["wire"].parameters["idle_in_transaction_session_timeout"] in ("7000", "7s")


@setting("performance__statement_cache", 0, process="pool")
def statements_are_not_cached(run: Running) -> None:
    before = run.setup.servers["wire"].named
    for _ in range(3):
        assert run.service.api.get(LIST).status_code == 200
    assert run.setup.servers["wire"].named == before


@process("locks")
def locks(setup: Setup) -> Given:
    return {
        "database__url": setup.database_url,
        "redis__enabled": "false",
        "security__anonymous": "read",
        "database__statement_timeout": 1.2,
    }


@setting("database__lock_timeout", 0.4, process="locks")
def wait_for_a_lock_is_bounded(run: Running) -> None:
    with run.locked("tests_shelf"):
        response = run.service.api.get(LIST)
    assert (response.status_code, response.json()["code"]) == (503, "busy")
