"""Single flight: one piece of work for all who want it, and no caller does another one harm."""

import asyncio

import pytest

from service import clock
from service.cache.single_flight import SingleFlight


class Work:
    """Work that ends when it is told to."""

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


async def test_callers_share_one_flight_whoever_of_them_is_cancelled() -> None:
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
    assert await flights.do("key", work) == 3, "what has ended is not an answer for those who come later"


async def test_error_goes_to_those_who_waited_and_no_further() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    work = Work()
    work.error = ValueError("away")
    callers = [asyncio.create_task(flights.do("key", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.end.set()
    assert all(isinstance(e, ValueError) for e in await asyncio.gather(*callers, return_exceptions=True))
    work.error = None
    assert await flights.do("key", work) == 2


async def test_nobody_joins_what_began_too_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_closing_ends_what_runs() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    caller = asyncio.create_task(flights.do("key", Work()))
    await asyncio.sleep(0)
    await flights.close()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_close_ends_flights_that_nobody_joins_any_more() -> None:
    flights: SingleFlight[str, int] = SingleFlight(join_within=-1)
    work = Work()
    running = [flights.start("key", work) for _ in range(2)]
    await asyncio.sleep(0)
    assert work.begun == 2
    await flights.close()
    assert all(flight.cancelled() for flight in running)
