"""Background tasks end, even if their cancellation is lost."""

import asyncio
import gc
from typing import Any

import pytest

from service import ending
from tests.unit.punctual import now, run


def test_task_that_loses_its_cancellation_is_cancelled_again() -> None:
    """docs/jobs.md says after how many seconds."""
    lost: list[float] = []

    async def work() -> None:
        while len(lost) < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                lost.append(now())
        await asyncio.sleep(3600)

    async def begin_and_end() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        await ending.end([task])
        assert task.cancelled()

    run(begin_and_end())
    assert lost == [0, 2.5]


async def test_error_of_a_task_is_neither_raised_nor_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_exception_handler", reported.append)

    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            raise OSError("the server is gone")

    tasks = {asyncio.create_task(work())}
    await begun.wait()
    await ending.end(tasks)
    tasks.clear()
    gc.collect()
    assert reported == []


async def test_no_task_is_nothing_to_wait_for() -> None:
    await ending.end([])
