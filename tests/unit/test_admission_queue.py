"""Requests that wait for a place among the running ones."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from service.http.middleware.admission import Admission


def refusals() -> float:
    """Return how many requests were turned away because all places were taken."""
    return REGISTRY.get_sample_value("slipway_requests_turned_away_total", {"reason": "running"}) or 0.0


@pytest.fixture
def full() -> Admission:
    """One request may run, and one does."""
    admission = Admission(1)
    assert admission.enter()
    return admission


async def test_wait_ends_without_a_place(full: Admission) -> None:
    assert not full.enter()
    before = refusals()
    assert not await full.wait()
    assert full.running == 1
    assert refusals() - before == 1


async def test_place_goes_to_the_longest_wait(full: Admission) -> None:
    first, second = (asyncio.create_task(full.wait()) for _ in range(2))
    await asyncio.sleep(0)
    full.leave()
    assert await first
    assert full.running == 1
    assert not await second


async def test_place_can_be_taken_again_in_the_same_turn(full: Admission) -> None:
    """As by a request whose body has arrived: others that wait must not take turns with it."""
    waiting = asyncio.create_task(full.wait())
    await asyncio.sleep(0)
    full.leave()
    assert full.enter()
    assert not await waiting
    assert full.running == 1


async def test_cancelled_wait_gives_its_place_back(full: Admission) -> None:
    waiting = asyncio.create_task(full.wait())
    await asyncio.sleep(0)
    full.leave()
    await asyncio.sleep(0)  # the place is given, and the task has not run yet
    assert full.running == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert full.running == 0
    assert full.enter()
