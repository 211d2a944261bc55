"""Bulk requests hold connections for long: other requests still get one, and bulk requests wait."""

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from service.resources.bulk import slots
from service.resources.declaration import Change, Hooks
from tests.engine.api import BASE, problem, running
from tests.engine.tables import create_tables, gadgets, groups

GADGETS = f"{BASE}/gadgets"


def turned_away() -> float:
    return REGISTRY.get_sample_value("slipway_requests_turned_away_total", {"reason": "bulks"}) or 0.0


class Slow(Hooks):
    """Hooks that keep the transaction of a creation open until released."""

    def __init__(self) -> None:
        self.begun, self.end = asyncio.Event(), asyncio.Event()

    async def before_create(self, _: Change) -> None:
        self.begun.set()
        await self.end.wait()


async def test_bulk_requests_leave_connections_for_others(
    fresh_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks, url = Slow(), fresh_database()
    await create_tables(url)
    resources = (groups(), gadgets(hooks=hooks))
    few = {"url": url, "pool_min": 2, "pool_max": 2, "acquire_timeout": 1}
    async with running(url, resources, ("shop:read", "shop:write"), database=few) as api:

        async def create(code: str) -> int:
            operations = [{"op": "create", "item": {"code": code}}]
            response = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
            return response.status_code

        waiting = [asyncio.create_task(create(str(number))) for number in range(4)]
        await asyncio.wait_for(hooks.begun.wait(), 10)
        await asyncio.sleep(0.3)  # long enough for all others to start
        assert (await api.client.get(GADGETS)).status_code == 200
        monkeypatch.setattr(slots, "SLOT_SECONDS", 0.1)
        before = turned_away()
        late = await api.client.post(
            f"{GADGETS}/bulk", json={"operations": [{"op": "create", "item": {"code": "a"}}]}
        )
        problem(late, 503, "overloaded")
        assert turned_away() - before == 1
        hooks.end.set()
        assert await asyncio.gather(*waiting) == [200] * 4
