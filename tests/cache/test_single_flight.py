"""Single flight: one call serves all callers, and no caller can harm another."""

import asyncio

import pytest

from service import clock
from service.cache.single_flight import SingleFlight


class Work:
    """Work that ends on command."""

    def __init__(self) -> None:
        self.begun = 0
        self.end: asyncio.Event = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.end.wait()
        if self.error is not None:
            raise self.error
        return number


async def test_callers_share_one_flight_if_one_is_cancelled() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    callers = [asyncio.create_task(flights.do("key", work)) for _ in range(32)]
    await asyncio.sleep(0)
    callers[0].cancel()
    callers[7].cancel()
    other = asyncio.create_task(flights.do("other", work))
    await asyncio.sleep(0)
    work.end.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, asyncio.CancelledError)] == [1] * 30
    assert await other == 2
    assert await flights.do("key", work) == 3, "later callers must not get the result of a finished flight"


async def test_error_goes_only_to_callers_that_waited() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    work.error = ValueError("away")
    callers = [asyncio.create_task(flights.do("key", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.end.set()
    assert all(isinstance(e, ValueError) for e in await asyncio.gather(*callers, return_exceptions=True))
    work.error = None
    assert await flights.do("key", work) == 2


async def test_callers_do_not_join_a_stale_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    flights: SingleFlight[str, int] = SingleFlight(join_within=1.0)
    work = Work()
    early = asyncio.create_task(flights.do("key", work))
    await asyncio.sleep(0)
    later = clock.monotonic() + 1.5
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    late = asyncio.create_task(flights.do("key", work))
    await asyncio.sleep(0)
    work.end.set()
    assert [await early, await late] == [1, 2]


async def test_end_of_a_stale_flight_leaves_the_younger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    flights: SingleFlight[str, int] = SingleFlight(join_within=1.0)
    stale, younger = Work(), Work()
    first = asyncio.create_task(flights.do("key", stale))
    await asyncio.sleep(0)
    later = clock.monotonic() + 1.5
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    second = asyncio.create_task(flights.do("key", younger))
    await asyncio.sleep(0)
    stale.end.set()
    await first
    third = asyncio.create_task(flights.do("key", younger))
    await asyncio.sleep(0)
    younger.end.set()
    assert [await second, await third] == [1, 1]
    assert younger.begun == 1


async def test_flight_that_has_ended_is_forgotten() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    work.end.set()
    await flights.start("key", work)
    await asyncio.sleep(0)
    assert flights.running("key") is None
    assert not flights._running


async def test_close_cancels_running_flights() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    caller = asyncio.create_task(flights.do("key", Work()))
    await asyncio.sleep(0)
    await flights.close()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_close_cancels_stale_flights() -> None:
    flights: SingleFlight[str, int] = SingleFlight(join_within=-1)
    work = Work()
    running = [flights.start("key", work) for _ in range(2)]
    await asyncio.sleep(0)
    assert work.begun == 2
    await flights.close()
    assert all(flight.cancelled() for flight in running)
