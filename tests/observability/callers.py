"""Callers of the service: some read and write, some make errors, and one has a bearer token."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import httpx2

from tests.observability.cast import Cast

ARTICLES, SHELVES, KEYS, FEATURES = "/api/v1/articles", "/api/v1/shelves", "/api/v1/keys", "/api/v1/features"
PAUSE = 0.4  # seconds between two requests of a caller, to stay below its limit
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@asynccontextmanager
async def callers(cast: Cast) -> AsyncIterator[None]:
    """Run all callers while the block runs."""
    async with httpx2.AsyncClient(timeout=10) as client:
        tasks = [asyncio.create_task(_caller(cast, client, number)) for number in range(len(cast.keys))]
        tasks.append(asyncio.create_task(_bearer(cast, client)))
        tasks.append(asyncio.create_task(_reader(cast, client)))
        tasks.append(asyncio.create_task(_administrator(cast, client)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(end) for end in ends} == {asyncio.CancelledError}, ends


async def _caller(cast: Cast, client: httpx2.AsyncClient, number: int) -> None:
    """Repeats: list, export, create, read and change an item; and some errors."""
    headers = {"Authorization": f"Bearer {cast.keys[number]}", "traceparent": TRACE}
    while True:
        with suppress(httpx2.TransportError):
            await _round(cast, client, headers)


async def _round(cast: Cast, client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    base = cast.pod().api.base_url
    made = {"slug": uuid4().hex, "name": "Lamps"}
    for path, body in (
        (f"{ARTICLES}?limit=20&sort=-created_at", None),
        (f"{ARTICLES}?q=lamp", None),
        (f"{ARTICLES}/export", None),
        (f"{ARTICLES}/{uuid4()}", None),
        (f"{ARTICLES}?colour=red", None),
        ("/nowhere", None),
        (SHELVES, made),
        (SHELVES, made),  # 409, and a statement that fails
    ):
        await client.request("POST" if body else "GET", f"{base}{path}", headers=headers, json=body)
        await asyncio.sleep(PAUSE)


async def _bearer(cast: Cast, client: httpx2.AsyncClient) -> None:
    """Gets a new token now and then, and reuses it in between."""
    while True:
        token = cast.issuer.token(sub=f"user-{cast.dice.randrange(1000)}")
        for _ in range(5):
            with suppress(httpx2.TransportError):
                url = f"{cast.pod().api.base_url}{SHELVES}"
                await client.get(url, headers={"Authorization": f"Bearer {token}"})
            await asyncio.sleep(PAUSE)


async def _reader(cast: Cast, client: httpx2.AsyncClient) -> None:
    """Makes a shelf, which is cached, reads it twice, and renames it."""
    headers = {"Authorization": f"Bearer {cast.keys[0]}"}
    while True:
        with suppress(httpx2.TransportError):
            base = cast.pod().api.base_url
            made = await client.post(
                f"{base}{SHELVES}", headers=headers, json={"slug": uuid4().hex, "name": "Cached"}
            )
            url = f"{base}{made.headers.get('location', SHELVES)}"
            for _ in range(2):
                await client.get(url, headers=headers)
            await client.patch(url, headers={**headers, "If-Match": "*"}, json={"name": "Renamed"})
        await asyncio.sleep(PAUSE)


async def _administrator(cast: Cast, client: httpx2.AsyncClient) -> None:
    """Lists the keys, which uses an ORM session, and evaluates all feature flags."""
    headers = {"Authorization": f"Bearer {cast.admin_key}"}
    while True:
        with suppress(httpx2.TransportError):
            await client.get(f"{cast.pod().api.base_url}{KEYS}", headers=headers)
            await client.get(f"{cast.pod().api.base_url}{FEATURES}", headers=headers)
        await asyncio.sleep(PAUSE)
