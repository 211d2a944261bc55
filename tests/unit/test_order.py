"""Where tests stand in the list that workers take their parts of. See tests/workers/order.py."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.services import ROOT
from tests.workers.order import LONG, PROCESSES, TOGETHER, WAITING, spread


def listed(**folders: int) -> list[Any]:
    return [
        SimpleNamespace(nodeid=f"tests/{folder}/test_it.py::test_{number}")
        for folder, amount in folders.items()
        for number in range(amount)
    ]


def parts(items: list[Any], workers: int) -> list[list[str]]:
    """The folders of each worker's tests."""
    size = len(items) // workers
    names = [one.nodeid.split("/")[1] for one in items]
    return [names[number * size : (number + 1) * size] for number in range(workers)]


def test_workers_wait_in_turns_and_end_with_short_tests() -> None:
    items = listed(api=9, cache=2, chart=2, engine=4, migrations=2, process=2 * TOGETHER, protocol=3)
    spread(items, 2)
    first, second = parts(items, 2)
    assert first == ["migrations"] * 2 + ["process"] * TOGETHER + ["chart"] * 2 + ["engine"] + ["api"] * 6
    assert second == ["protocol"] * 3 + ["cache"] * 2 + ["engine"] * 3 + ["process"] * TOGETHER + ["api"] * 3


@pytest.mark.parametrize("workers", range(1, 9))
def test_each_test_runs_exactly_once(workers: int) -> None:
    waiting = {start.rstrip("/"): 3 for group in WAITING for start in group if start.endswith("/")}
    items = listed(api=50, engine=9, process=7 * TOGETHER + 1, **waiting, unit=200)
    before = sorted(one.nodeid for one in items)
    spread(items, workers)
    assert sorted(one.nodeid for one in items) == before
    assert all(part[-1] in {"api", "unit"} for part in parts(items, workers))


def test_tests_of_a_process_stay_together() -> None:
    items = listed(process=3 * TOGETHER)
    spread(items, 3)
    assert [one.nodeid for one in items] == [one.nodeid for one in listed(process=3 * TOGETHER)]


def test_lists_name_tests_that_exist() -> None:
    for start in (*PROCESSES, *LONG, *(start for group in WAITING for start in group)):
        assert [*(ROOT / "tests").glob(f"{start}*")], start
