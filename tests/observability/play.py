"""A minute of a release: load, and one problem after another, so that every query returns data."""

import asyncio
import time
from collections.abc import Callable

import asyncpg
import httpx2

from tests.observability.callers import ARTICLES, callers
from tests.observability.cast import Cast


async def play(cast: Cast, drop_unmigrated: Callable[[], None]) -> tuple[float, float, float]:
    """Play everything. Returns start, stop of the pods, and end, in seconds since 1970."""
    began = time.time()
    async with callers(cast):
        await asyncio.sleep(10)
        await _flood(cast)
        await asyncio.sleep(5)
        await _locked_table(cast, seconds=4)
        await asyncio.sleep(5)
        cast.issuer.status = "503 Service Unavailable"
        await asyncio.to_thread(cast.redis.stop)
        await asyncio.sleep(8)
        await asyncio.to_thread(drop_unmigrated)
        await asyncio.sleep(6)
        cast.unmigrated.process.terminate()  # it drains
        await asyncio.sleep(6)
    stopped = time.time()
    for pod in cast.pods:
        await asyncio.to_thread(pod.stop)
    await asyncio.sleep(5)  # no pod is left to scrape
    return began, stopped, time.time()


async def _flood(cast: Cast) -> None:
    """One caller exceeds its limit for some seconds; another has a wrong key."""
    url = f"{cast.pods[0].api.base_url}{ARTICLES}?limit=1"
    headers = {"Authorization": f"Bearer {cast.greedy_key}"}
    refused, until = False, time.monotonic() + 20
    async with httpx2.AsyncClient(timeout=10) as client:
        await client.get(url, headers={"Authorization": "Bearer slw_abcdefgh_wrong"})
        while time.monotonic() < until:
            responses = await asyncio.gather(*(client.get(url, headers=headers) for _ in range(10)))
            if not refused and any(a.status_code == httpx2.codes.TOO_MANY_REQUESTS for a in responses):
                refused, until = True, min(until, time.monotonic() + 4)
            await asyncio.sleep(0.05)
    assert refused, "the flood was too slow for the limit"


async def _locked_table(cast: Cast, *, seconds: float) -> None:
    """A lock is held, and requests exceed the connections and the concurrency limit."""
    connection = await asyncpg.connect(cast.database_url)
    try:
        async with connection.transaction(), httpx2.AsyncClient(timeout=10) as client:
            await connection.execute("LOCK TABLE tests_article IN ACCESS EXCLUSIVE MODE")
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                await asyncio.gather(*(_ask(client, cast, number) for number in range(40)))
    finally:
        await connection.close()


async def _ask(client: httpx2.AsyncClient, cast: Cast, number: int) -> None:
    pod, key = cast.pods[number % len(cast.pods)], cast.keys[number % len(cast.keys)]
    url = f"{pod.api.base_url}{ARTICLES}?limit=1"
    await client.get(url, headers={"Authorization": f"Bearer {key}"})
