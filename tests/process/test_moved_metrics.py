"""Which counters a request moves at the admin port, and that it moves no others."""

import re
from collections import Counter
from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.process.served import Served, eventually

ARTICLES, SHELVES, FLAGS = "/api/v1/articles", "/api/v1/shelves", "/api/v1/features"
# What moves without requests, how a limit was counted, and whether a credential was cached.
BACKGROUND = re.compile(
    r"slipway_(redis|event_loop|database|cache|job)_|python_|process_|\w+_(sum|bucket|created)\b"
)
LABELS_LEFT_OUT = re.compile(r'app_name="\w+",|counted_by="\w+",')

Headers = dict[str, str]
Event = Callable[[Served, Headers], object]


def http(method: str, path: str, status: int) -> set[str]:
    labels = f'{{method="{method}",path="{path}",status_code="{status}"}}'
    return {f"http_requests_total{labels}", f"http_request_duration_seconds_count{labels}"}


def limit(policy: str, decision: str = "allowed") -> set[str]:
    return {f'slipway_limiter_decisions_total{{decision="{decision}",policy="{policy}"}}'}


def refused(reason: str) -> set[str]:
    return {f'slipway_credentials_refused_total{{reason="{reason}"}}', *limit("auth-failure")}


EVENTS: dict[str, tuple[Event, set[str]]] = {
    "reading": (
        lambda service, headers: service.api.get(ARTICLES, headers=headers),
        http("GET", ARTICLES, 200) | limit("default"),
    ),
    "writing": (
        lambda service, headers: service.api.post(
            SHELVES, json={"slug": f"m-{uuid4()}", "name": "M"}, headers=headers
        ),
        http("POST", SHELVES, 201) | limit("default") | limit("write"),
    ),
    "an invalid body": (
        lambda service, headers: service.api.post(SHELVES, json={}, headers=headers),
        http("POST", SHELVES, 422) | limit("default") | limit("write"),
    ),
    "no credential": (
        lambda service, _: service.api.get(ARTICLES),
        http("GET", ARTICLES, 401) | limit("default"),
    ),
    "an unknown key": (
        lambda service, _: service.api.get(ARTICLES, headers={"X-API-Key": f"slw_{'0' * 12}_{'x' * 43}"}),
        http("GET", ARTICLES, 401) | limit("default") | refused("key_unknown"),
    ),
    "no credential's form": (
        lambda service, _: service.api.get(ARTICLES, headers={"X-API-Key": "x"}),
        http("GET", ARTICLES, 401) | limit("default") | refused("malformed"),
    ),
    "too few scopes": (
        lambda service, headers: service.api.get("/api/v1/keys", headers=headers),
        http("GET", "/api/v1/keys", 403) | limit("default"),
    ),
    "an unknown path": (
        lambda service, _: service.api.get(f"/{uuid4()}"),
        http("GET", "__unknown__", 404),
    ),
    "health": (lambda service, _: service.api.get("/health"), http("GET", "/health", 200)),
    "a probe": (lambda service, _: service.admin.get("/readyz"), set()),
}  # fmt: skip


def counters(service: Served) -> "Counter[str]":
    """Return the counters that only requests move."""
    found: Counter[str] = Counter()
    for line in service.admin.get("/metrics").text.splitlines():
        name, _, value = line.rpartition(" ")
        if line[0] != "#" and not BACKGROUND.match(line) and re.search(r"_(total|count)\b", name):
            found[LABELS_LEFT_OUT.sub("", name)] += int(float(value))
    return found


@pytest.mark.parametrize("event", EVENTS)
def test_event_moves_its_counters_by_one_and_no_others(shared: Served, headers: Headers, event: str) -> None:
    send, moved = EVENTS[event]
    assert shared.api.get(ARTICLES, headers=headers).status_code == 200
    before = counters(shared)
    send(shared, headers)
    assert counters(shared) - before == dict.fromkeys(moved, 1)


def test_age_of_the_flags_is_measured(shared: Served) -> None:
    def read() -> float:
        return shared.metric("slipway_feature_refresh_timestamp_seconds") or 0

    before = read()
    assert before > 0
    assert eventually(lambda: read() > before)
