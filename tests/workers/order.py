"""The order of the tests of a run with several workers: those that wait run next to those that compute."""

from collections.abc import Iterator
from itertools import groupby, islice

import pytest

PROCESSES = ("process/",)
"""The folder with the longest waits, for processes that start and stop: each worker has a share of it."""
WAITING = (
    ("migrations/", "engine/test_trouble"),
    ("protocol/",),
    ("dev/", "guide/", "unit/test_workers"),
    ("backup/", "cache/", "security/test_limits_in_trouble"),
    ("faults/", "tls/", "engine/test_lost_connections"),
)
"""Other tests that wait, for time to pass. One worker has a group of them, since they share fixtures."""
LONG = ("engine/", "chart/", "contract/", "domains/", "types/")
"""Tests that compute for longer than others."""
TOGETHER = 8
"""So many tests of one module stay on one worker, since they may share a process."""

Items = list[pytest.Item]


def spread(items: Items, workers: int) -> None:
    """Give each worker an equal part of the list, with short tests at its end.

    Each begins with its part, and takes tests from the end of another's when it has done its own. So the last tests of
    a run are short, and no worker is alone with a long one. After a group of waiting tests, every second worker
    computes while the others wait for processes.
    """
    waiting = [[one for one in items if _in(group, one)] for group in WAITING]
    rest = [one for one in items if not any(_in(group, one) for group in WAITING)]
    runs = [*_runs([one for one in rest if _in(PROCESSES, one)])]
    long = [one for one in rest if _in(LONG, one)]
    short = iter([one for one in rest if not _in(PROCESSES + LONG, one)])
    parts: list[Items] = []
    for number in range(workers):
        part = [one for group in waiting[number::workers] for one in group]
        processes = [one for run in runs[number::workers] for one in run]
        computing = long[len(long) * number // workers : len(long) * (number + 1) // workers]
        part += computing + processes if number % 2 else processes + computing
        parts.append([*part, *islice(short, max(0, len(items) // workers - len(part)))])
    parts[-1].extend(short)
    items[:] = [one for part in parts for one in part]


def _runs(items: Items) -> Iterator[Items]:
    for _, module in groupby(items, key=lambda one: one.nodeid.partition("::")[0]):
        while run := list(islice(module, TOGETHER)):
            yield run


def _in(starts: tuple[str, ...], item: pytest.Item) -> bool:
    return item.nodeid.removeprefix("tests/").startswith(starts)
