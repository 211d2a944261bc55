"""Checks of the invariants on a history and the database. Each yields a line for each violation."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import asyncpg

from tests.faults.history import Event, History

# Text that no response may contain: a stack, SQL, names of the driver.
_INSIDES = re.compile(
    rb'Traceback|File \\?"|asyncpg|sqlalchemy|\bSELECT\b.+\bFROM\b|\bINSERT INTO\b|\bUPDATE\b.+\bSET\b'
)
_CHANGES = """
SELECT row_id::text AS item, version, request_id FROM row_history
WHERE table_name = 'tests_article' AND request_id LIKE $1 ORDER BY row_id, version
"""
_VERSIONS = """
SELECT row_id::text AS item, array_agg(version ORDER BY version) AS versions FROM row_history
WHERE table_name = 'tests_article' AND row_id::text = ANY ($1) GROUP BY 1
"""
_KEPT = "SELECT id::text AS item, version, name FROM tests_article WHERE id::text = ANY ($1)"
_BUSY = """
SELECT state, count(*) AS connections FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
AND state <> 'idle' GROUP BY 1
"""

Rows = list[asyncpg.Record]


async def of_the_data(history: History, connection: asyncpg.Connection) -> list[str]:
    """Yield violations of I1, I2 and I3."""
    writes = [event for event in history.events if event.operation in {"create", "update"}]
    if not writes:
        return []
    prefix = writes[0].request_id.rpartition("-")[0]
    changes = await connection.fetch(_CHANGES, f"{prefix}-%")
    items = sorted({event.item for event in writes if event.item} | {row["item"] for row in changes})
    kept = await connection.fetch(_KEPT, items)
    versions = await connection.fetch(_VERSIONS, items)
    return breaches(writes, changes, kept, versions)


def breaches(writes: Sequence[Event], changes: Rows, kept: Rows, versions: Rows) -> list[str]:
    """Yield contradictions between writes, row history, rows and versions."""
    return [*_acknowledged(writes, changes, kept), *_once(writes, changes), *_versions(versions, kept)]


def _acknowledged(writes: Sequence[Event], changes: Rows, kept: Rows) -> Iterator[str]:
    """I1: every acknowledged write is in the row history with its request id and version, and its row exists."""
    made = {row["request_id"]: (row["item"], row["version"]) for row in changes}
    there = {row["item"]: row["version"] for row in kept}
    requests = _requests_of_keys(writes)
    for event in writes:
        if not event.good:
            continue
        found = [made.get(name) for name in requests.get(event.key, {event.request_id})]
        if (event.item, event.version) not in found:
            yield f"I1: #{event.number} told {event.item} v{event.version}, the history has {found}"
        elif there.get(event.item, 0) < event.version:
            yield f"I1: #{event.number} told v{event.version} of {event.item}, the table has {there.get(event.item)}"


def _once(writes: Sequence[Event], changes: Rows) -> Iterator[str]:
    """I2: each idempotency key has one effect, however often it was sent and for any responses."""
    effects = Counter(row["request_id"] for row in changes)
    for key, names in _requests_of_keys(writes).items():
        if (times := sum(effects[name] for name in names)) > 1:
            yield f"I2: key {key} had its effect {times} times"


def _requests_of_keys(writes: Sequence[Event]) -> Mapping[str, set[str]]:
    requests = defaultdict[str, set[str]](set)
    for event in writes:
        if event.key:
            requests[event.key].add(event.request_id)
    return requests


def _versions(versions: Rows, kept: Rows) -> Iterator[str]:
    """I3: the versions of each item are 1, 2, 3 … up to the version in the table."""
    there = {row["item"]: row["version"] for row in kept}
    for row in versions:
        if row["versions"] != list(range(1, there.get(row["item"], 0) + 1)):
            yield f"I3: {row['item']} is v{there.get(row['item'])}, its versions are {row['versions']}"


def of_the_order(history: History) -> Iterator[str]:
    """Reads are monotonic: a response is never older than one that arrived before its request was sent."""
    told = defaultdict[str, list[Event]](list)
    for event in history.events:
        if event.good and event.item and event.version:
            told[event.item].append(event)
    for events in told.values():
        newest, before = 0, sorted(events, key=lambda event: event.end, reverse=True)
        for event in sorted(events, key=lambda event: event.start):
            while before and before[-1].end <= event.start:
                newest = max(newest, before.pop().version)
            if event.version < newest:
                yield f"order: #{event.number} got v{event.version} of {event.item} after v{newest} had been told"


def of_the_responses(history: History) -> Iterator[str]:
    """Yield violations of I4 and I5."""
    for event in history.events:
        if event.response is None:
            continue
        if event.response.headers.get("x-request-id") != event.request_id:
            yield f"I5: #{event.number} got the response to {event.response.headers.get('x-request-id')}"
        elif event.good:
            yield from _own_content(event, event.response.json)
        elif event.response.status >= 400:
            yield from _is_problem(event)


def _own_content(event: Event, content: Mapping[str, Any]) -> Iterator[str]:
    if event.item and content["id"] != event.item:
        yield f"I5: #{event.number} asked for {event.item} and got {content['id']}"
    if event.mark and content["name"] != event.mark:
        yield f"I5: #{event.number} wrote {event.mark} and got {content['name']}"


def _is_problem(event: Event) -> Iterator[str]:
    response = event.response
    assert response is not None
    if response.headers.get("content-type") != "application/problem+json":
        yield f"I4: #{event.number} is {response.status} {response.headers.get('content-type')}"
    elif response.json["status"] != response.status or response.json["request_id"] != event.request_id:
        yield f"I4: #{event.number} is {response.status}, its problem says {response.body[:300]!r}"
    if shown := _INSIDES.search(response.body):
        yield f"I4: #{event.number} shows {shown.group()!r}"


async def busy_connections(connection: asyncpg.Connection) -> list[str]:
    """I6: no connection of the service is still busy."""
    return [
        f"I6: {row['connections']} connections are {row['state']}" for row in await connection.fetch(_BUSY)
    ]


def of_liveness(livez: Iterable[tuple[float, int]]) -> Iterator[str]:
    """I8."""
    statuses = Counter(status for _, status in livez)
    if set(statuses) - {200}:
        yield f"I8: liveness was {dict(statuses)}"
