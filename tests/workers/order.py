"""The order of the tests of a run with several workers: those that wait run next to those that compute."""

import pytest

WAITING = (("process",), ("backup", "cache", "dev", "faults", "guide", "migrations", "protocol", "tls"))
"""Folders whose tests mostly wait, for processes and for time to pass."""


def spread(items: list[pytest.Item]) -> None:
    """Put tests that mostly wait at the start of the list and in its middle, and keep the order of the others.

    Each worker begins with a part of the list, and takes tests from the end of another's part when it has done its own.
    So with four workers, two begin with waiting while the others compute, and the last tests of a run mostly compute.
    """
    first, second = ([one for one in items if _folder(one) in group] for group in WAITING)
    others = [one for one in items if not any(_folder(one) in group for group in WAITING)]
    before = max(0, len(items) // 2 - len(first))
    items[:] = [*first, *others[:before], *second, *others[before:]]


def _folder(item: pytest.Item) -> str:
    return item.nodeid.removeprefix("tests/").partition("/")[0]
