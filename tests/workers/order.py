"""The order of the tests of a run with several workers: those that wait run first, next to those that compute."""

from collections.abc import Iterator
from itertools import groupby, islice

import pytest

SHARED = ("process/",)
"""The folder with the longest waits, for processes that start and stop: each worker begins with a share of it."""
WAITING = (
    ("migrations/", "engine/test_trouble"),
    ("protocol/",),
    ("dev/", "guide/", "unit/test_workers"),
    ("backup/", "cache/"),
    ("faults/", "tls/", "engine/test_lost_connections"),
)
"""Other tests that wait, for time to pass. One worker has a group of them, since they share fixtures."""
TOGETHER = 8
"""So many tests of one module stay on one worker, since they may share a process."""


def spread(items: list[pytest.Item], workers: int) -> None:
    """Let each worker begin with tests that mostly wait, and keep the order of the others.

    Each worker begins with an equal part of the list, and takes tests from the end of another's part when it has done
    its own. So waiting is over in the first half of a run, and its last tests are short.
    """
    parts: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for number, group in enumerate(WAITING):
        parts[number % workers] += [one for one in items if _in(group, one)]
    for number, tests in enumerate(_runs([one for one in items if _in(SHARED, one)])):
        parts[number % workers] += tests
    waiting = (*SHARED, *(start for group in WAITING for start in group))
    others = iter([one for one in items if not _in(waiting, one)])
    for part in parts:
        part.extend(islice(others, max(0, len(items) // workers - len(part))))
    parts[-1].extend(others)
    items[:] = [one for part in parts for one in part]


def _runs(items: list[pytest.Item]) -> Iterator[list[pytest.Item]]:
    for _, module in groupby(items, key=lambda one: one.nodeid.partition("::")[0]):
        while run := list(islice(module, TOGETHER)):
            yield run


def _in(starts: tuple[str, ...], item: pytest.Item) -> bool:
    return item.nodeid.removeprefix("tests/").startswith(starts)
