"""Background tasks end, even if their cancellation is lost."""

import asyncio
import gc
from typing import Any

import pytest

from service import ending


async def test_task_that_loses_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 0.01)
    begun, lost = asyncio.Event(), 0

    async def work() -> None:
        nonlocal lost
        begun.set()
        while lost < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                lost += 1
        await asyncio.sleep(3600)

    task = asyncio.create_task(work())
    await begun.wait()
    async with asyncio.timeout(20):
        await ending.end([task])
    assert (lost, task.cancelled()) == (2, True)


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
