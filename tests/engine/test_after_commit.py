"""after_commit hooks: whatever they do, the change is made once and gets its success response."""

import asyncio
import io
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from fastapi import Request
from prometheus_client import REGISTRY

from service.http.middleware.state import KEY, RequestState
from service.http.problems import Busy, NotFound
from service.resources.declaration import Change, Hooks
from service.resources.imports.importer import Importer
from service.security.principals import Principal
from tests.conftest import DatabaseFactory
from tests.engine.api import BASE, Api, engine_of, running
from tests.engine.conftest import Shop
from tests.engine.tables import Gadget, create_tables, gadgets, groups
from tests.engine.wire import wire_to, without_jobs

ANY = {"If-Match": "*"}
GADGETS = f"{BASE}/gadgets"
SHOP = ("shop:read", "shop:write")


def busy() -> Busy:
    error = Busy()
    error.__cause__ = asyncpg.DeadlockDetectedError()
    return error


ERRORS: list[Callable[[], BaseException]] = [
    busy,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
    NotFound,
    TimeoutError,
    OSError,
    asyncio.CancelledError,
]


class Failing(Hooks):
    """Hooks that fail after each commit, with a different error each time."""

    def __init__(self) -> None:
        self.heard = 0

    async def after_commit(self, change: Change) -> None:
        self.heard += 1
        with pytest.raises(RuntimeError, match="must not be used after the commit"):
            await change.connection.fetch("SELECT 1")
        make_error = ERRORS[self.heard % len(ERRORS)]
        raise make_error()


class FailingInTransaction(Failing):
    """The same, with a hook that needs a transaction."""

    async def before_commit(self, change: Change) -> None:
        assert await change.connection.fetchval("SELECT 1") == 1


def failures() -> float:
    return REGISTRY.get_sample_value("slipway_hook_failures_total", {"resource": "gadgets"}) or 0.0


@pytest.mark.parametrize("kind", [Failing, FailingInTransaction])
async def test_failing_after_commit_hook_keeps_the_response(shop: Shop, kind: type[Failing]) -> None:
    hooks = kind()
    api = await shop(groups(), gadgets(hooks=hooks))
    before = failures()
    for turn in range(len(ERRORS)):
        await change_once(api, turn)
    assert failures() - before == hooks.heard == 8 * len(ERRORS)
    assert len((await api.client.get(GADGETS, params={"limit": "200"})).json()["items"]) == 4 * len(ERRORS)


async def change_once(api: Api, turn: int) -> None:
    """Make eight changes of every kind, which leave four items."""
    key = {"Idempotency-Key": str(uuid4())}
    made = [await api.client.post(GADGETS, json={"code": f"a{turn}"}, headers=key) for _ in range(2)]
    assert [response.status_code for response in made] == [201, 201]
    assert made[0].content == made[1].content
    url = f"{GADGETS}/{made[0].json()['id']}"
    for _ in range(2):  # the second one changes nothing
        assert (await api.client.patch(url, json={"rank": 1}, headers=ANY)).status_code == 200
    assert (await api.client.put(url, json={"code": f"a{turn}"}, headers=ANY)).status_code == 200
    assert (await api.client.delete(url, headers=ANY)).status_code == 204
    assert (await api.client.post(f"{url}/restore")).status_code == 200
    operations = [{"op": "create", "item": {"code": f"{turn}-{n}"}} for n in range(3)]
    bulk = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
    assert [result["status"] for result in bulk.json()["results"]] == [201, 201, 201]
    history = (await api.client.get(f"{url}/history")).json()["items"]
    assert [entry["version"] for entry in history] == [5, 4, 3, 2, 1]


async def test_failing_after_commit_hook_keeps_the_import(shop: Shop) -> None:
    hooks = Failing()
    api = await shop(groups(), gadgets(hooks=hooks))
    importer = Importer(engine_of(api, gadgets(hooks=hooks)))
    tally = await importer.run(io.BytesIO(b"".join(b'{"code":"i%d"}\n' % n for n in range(20))))
    assert (tally.added, tally.wrong, hooks.heard) == (20, 0, 20)
    item = (await api.client.get(GADGETS)).json()["items"][0]
    same = {"weight": item["weight"]}
    unchanged = await api.client.patch(f"{GADGETS}/{item['id']}", json=same, headers={"If-Match": "*"})
    assert (unchanged.json(), hooks.heard) == (item, 20)


class Slow(Hooks):
    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def after_commit(self, change: Change) -> None:
        assert change.operation == "create"
        self.begun.set()
        await asyncio.sleep(60)

    async def cancelled(self, running_on: Coroutine[Any, Any, Any]) -> Any:
        """Return the result of what is cancelled while this hook runs."""
        run = asyncio.create_task(running_on)
        await self.begun.wait()
        self.begun.clear()
        run.cancel()
        return await run


async def test_shutdown_within_a_hook_keeps_the_response(shop: Shop) -> None:
    hooks = Slow()
    api = await shop(groups(), gadgets(hooks=hooks))
    response = await hooks.cancelled(api.client.post(GADGETS, json={"code": "a"}))
    assert response.status_code == 201
    state = RequestState("of-a-route", {}, admitted=Principal("caller", frozenset()))
    units = api.app.state.units.of_request(Request({"type": "http", KEY: state}))
    assert await hooks.cancelled(units.run(lambda unit: unit.create(Gadget, {"code": "b"})))


async def test_shutdown_within_a_hook_ends_imports_and_jobs(shop: Shop) -> None:
    hooks = Slow()
    api = await shop(groups(), gadgets(hooks=hooks))
    importer = Importer(engine_of(api, gadgets(hooks=hooks)))
    job = api.app.state.units.run(lambda unit: unit.create(Gadget, {"code": "b"}))
    for running_on in (importer.run(io.BytesIO(b'{"code":"a"}')), job):
        with pytest.raises(asyncio.CancelledError):
            await hooks.cancelled(running_on)


async def test_unused_hooks_cost_no_statement(
    fresh_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_jobs(monkeypatch)

    class Heard(Hooks):
        def __init__(self) -> None:
            self.count = 0

        async def after_commit(self, change: Change) -> None:
            self.count += change.operation in {"create", "update"}

    url, hooks = fresh_database(), Heard()
    await create_tables(url)
    resources = (groups(), gadgets(hooks=hooks))
    async with wire_to(url) as wire, running(wire.url, resources, SHOP, database={"url": wire.url}) as api:
        made = await api.make("gadgets", code="a")
        await api.client.patch(made.headers["location"], json={"rank": 0}, headers=ANY)
        with wire.counted() as statements:
            await api.make("gadgets", code="b")
            await api.client.patch(made.headers["location"], json={"rank": 1}, headers=ANY)
        assert len([text for text in statements if "gadget" in text]) == len(statements) == 2, statements
        operations = [{"op": "create", "item": {"code": f"c{n}"}} for n in range(1000)]
        with wire.counted() as statements:
            response = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
        assert response.status_code == 200, response.text
    assert len(statements) == 5, [text[:40] for text in statements]
    assert hooks.count == 1004
