"""`cached()`: what a result costs, when it is renewed, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

import pytest
from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.cache.cached_function import CachedFunctionError, Caches, cached
from service.http.handwritten import CachesDep
from service.http.problems import NotFound
from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.api import BASE, Api, problem, running, unique
from tests.engine.wire import Wire, wire_to, without_jobs
from tests.shop import SHOP
from tests.shop.models import Shelf

router = APIRouter()
LIFETIME = 0.4


class Count(BaseModel):
    """How many shelves have a name."""

    shelves: int


@cached(seconds=LIFETIME, tables=("tests_shelf",))
async def shelves_of_name(session: AsyncSession, name: str) -> Count:
    """Count shelves. Raises `NotFound` for the name `nothing`."""
    named = select(func.count()).where(col(Shelf.name) == name)
    shelves = (await session.exec(named)).one()
    if name == "nothing":
        raise NotFound
    return Count(shelves=shelves)


@cached(seconds=60, tables=("tests_shelf", "tests_article"))
async def read_range(_: AsyncSession, *, first: str, last: str) -> list[str]:
    read_ranges.append((first, last))
    return [first, last]


read_ranges: list[tuple[str, str]] = []


@cached(seconds=60)
async def tenant_of(_: AsyncSession, principal: Principal) -> str:
    return str(principal.claim("tenant"))


@cached(seconds=60)
async def listed_nowhere(_: AsyncSession) -> int:
    return 1


@router.get("/counts/{name}")
async def count_shelves(
    name: str, caches: CachesDep, _: Annotated[Principal, require_scope("shop:read")]
) -> Count:
    return await shelves_of_name(caches, name)


DOMAIN = replace(SHOP, routers=(router,), caches=(shelves_of_name, read_range, tenant_of))


@pytest.fixture(scope="module")
def patch() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
async def wire(database_url: str) -> AsyncIterator[Wire]:
    async with wire_to(database_url) as wire:
        yield wire


@pytest.fixture(scope="module")
async def api(wire: Wire, patch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    without_jobs(patch)
    async with running(wire.url, domains=(DOMAIN,), database={"url": wire.url}) as api:
        yield api


async def counted(api: Api, wire: Wire, name: str) -> tuple[int, bool]:
    """Return the count, and whether it cost a statement."""
    with wire.counted() as statements:
        response = await api.client.get(f"{BASE}/counts/{name}")
    assert response.status_code == 200, response.text
    return response.json()["shelves"], bool(statements)


async def test_result_is_kept_until_a_row_of_its_tables_changes(api: Api, wire: Wire) -> None:
    name = unique("Counted")
    assert await counted(api, wire, name) == (0, True)
    assert await counted(api, wire, name) == (0, False)
    made = await api.make("shelves", slug=name.lower(), name=name)
    assert await counted(api, wire, name) == (1, True)
    await api.client.patch(made.headers["location"], json={"name": "Other"}, headers={"If-Match": "*"})
    assert await counted(api, wire, name) == (0, True)


async def test_result_is_kept_for_its_lifetime_and_its_arguments(api: Api, wire: Wire) -> None:
    name, other = unique("Counted"), unique("Counted")
    await counted(api, wire, name)
    assert await counted(api, wire, other) == (0, True)
    await asyncio.sleep(LIFETIME)
    assert await counted(api, wire, name) == (0, True)


async def test_keyword_arguments_count_in_any_order(api: Api) -> None:
    caches: Caches = api.app.state.caches
    read_ranges.clear()
    first, last = unique("a"), unique("z")
    assert await read_range(caches, first=first, last=last) == [first, last]
    assert await read_range(caches, last=last, first=first) == [first, last]
    assert await read_range(caches, first=last, last=first) == [last, first]
    assert read_ranges == [(first, last), (last, first)]


async def test_rows_of_each_of_its_tables_drop_the_results(api: Api) -> None:
    caches: Caches = api.app.state.caches
    article = {"sku": unique("C"), "name": "Lamp", "price": "1.00", "shelf_id": await api.shelf()}
    for path, item in (("shelves", {"slug": unique("cached"), "name": "Lamps"}), ("articles", article)):
        await read_range(caches, first="a", last="b")
        read_ranges.clear()
        await api.make(path, **item)
        await read_range(caches, first="a", last="b")
        assert read_ranges == [("a", "b")], path


async def test_error_of_a_query_is_raised_and_not_kept(api: Api, wire: Wire) -> None:
    for _ in range(2):
        with wire.counted() as statements:
            problem(await api.client.get(f"{BASE}/counts/nothing"), 404, "not_found")
        assert statements


async def test_nothing_is_kept_without_memory(database_url: str, patch: pytest.MonkeyPatch) -> None:
    async with wire_to(database_url) as wire:
        without_jobs(patch)
        off = {"cache_memory": 0}
        async with running(wire.url, domains=(DOMAIN,), database={"url": wire.url}, performance=off) as api:
            assert [(await counted(api, wire, "Name"))[1] for _ in range(2)] == [True, True]


async def test_function_that_no_domain_lists_is_refused(api: Api) -> None:
    caches: Caches = api.app.state.caches
    with pytest.raises(CachedFunctionError, match=r"listed_nowhere\(\): list it in the caches of its domain"):
        await listed_nowhere(caches)


async def test_two_functions_of_one_name_are_refused(database_url: str) -> None:
    twice = replace(DOMAIN, caches=(shelves_of_name, shelves_of_name))
    with pytest.raises(CachedFunctionError, match="two cached functions have this name"):
        async with running(database_url, domains=(twice,)):
            pass


@pytest.mark.parametrize(("seconds", "stale"), [(0, 0), (1, -1), (86_400, 1)])
def test_lifetime_out_of_bounds_is_refused(seconds: float, stale: float) -> None:
    with pytest.raises(CachedFunctionError, match="at most a day"):
        cached(seconds=seconds, stale=stale)(shelves_of_name.query)


async def test_principals_with_other_claims_share_no_result(api: Api) -> None:
    tenants = [Principal("someone", frozenset(), {"tenant": tenant}) for tenant in ("a", "b", "a")]
    assert [await tenant_of(api.app.state.caches, principal) for principal in tenants] == ["a", "b", "a"]
