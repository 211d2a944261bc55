"""One transaction in which engine statements, raw SQL and ORM sessions work together, on connections of one pool."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.database import Database
from service.http.problems import Conflict
from service.resources.declaration import Action, Change, Hooks
from tests.engine.api import BASE, Api, Json, problem, settings_for
from tests.engine.conftest import Shop
from tests.engine.tables import Gadget, Group, gadgets, groups

GADGETS = f"{BASE}/gadgets"


class Ledger(Hooks):
    """Hooks that write to another table through ORM sessions."""

    async def before_create(self, change: Change) -> None:
        async with change.session() as session:
            group = Group(order=change.values["code"])  # type: ignore[call-arg]
            session.add(group)
        change.values["group_id"] = group.id

    async def before_commit(self, change: Change) -> None:
        async with change.session() as session:
            written = await session.get(Gadget, change.id)
            assert written is not None, "the change is not there yet"
            (group,) = (await session.exec(select(Group).where(col(Group.id) == written.group_id))).all()
            group.select = written.title
        if change.values.get("title") == "refused":
            raise Conflict("refused at the end")


async def add_and_fail(change: Change) -> None:
    async with change.session() as session:
        session.add(Group(order="never"))  # type: ignore[call-arg]
        await session.flush()
        raise ZeroDivisionError


async def tidy(change: Change, gadget: Gadget) -> None:
    """Undoes the inner block, keeps the outer one, then uses both ways of the same transaction."""
    async with change.session() as session:
        own = await session.get(Gadget, gadget.id)
        assert own is not None
        assert own.notes == {"a": [1, {"b": None}]}
        with pytest.raises(ZeroDivisionError):
            await add_and_fail(change)
        session.add(Group(order="kept"))  # type: ignore[call-arg]
    orders = await change.connection.fetch('SELECT "order" FROM "group" ORDER BY 1')
    change.values["title"] = ", ".join(row["order"] for row in orders)


async def run(session: AsyncSession, sql: str) -> sa.CursorResult[Any]:
    """Run SQL whose columns have no types that SQLAlchemy knows."""
    return await (await session.connection()).execute(sa.text(sql))


@pytest.fixture
async def api(shop: Shop) -> Api:
    return await shop(groups(), gadgets(hooks=Ledger(), actions=(Action("tidy", tidy),)))


async def test_session_of_a_change_shares_its_fate(api: Api) -> None:
    made = (await api.make("gadgets", code="one", title="first")).json()
    group = (await api.client.get(f"{BASE}/groups/{made['group_id']}")).json()
    assert (group["order"], group["select"]) == ("one", "first")

    problem(await api.client.post(GADGETS, json={"code": "two", "title": "refused"}), 409, "conflict")
    groups = (await api.client.get(f"{BASE}/groups")).json()["items"]
    assert [group["order"] for group in groups] == ["one"]


async def test_history_names_the_actor_of_rows_that_a_session_wrote(api: Api) -> None:
    made = await api.make("gadgets", code="one")
    rows = await api.database.fetch("SELECT table_name, actor, request_id FROM row_history ORDER BY 1")
    assert {row["table_name"] for row in rows} == {"gadget", "group"}
    assert {row["request_id"] for row in rows} == {made.headers["x-request-id"]}
    assert len({row["actor"] for row in rows}) == 1


async def test_sessions_nest_and_mix_with_sql(api: Api) -> None:
    notes = {"a": [1, {"b": None}]}
    made = (await api.make("gadgets", code="one", notes=notes)).json()
    done = await api.client.post(f"{GADGETS}/{made['id']}/tidy")
    assert done.status_code == 200, done.text
    assert (done.json()["title"], done.json()["notes"]) == ("kept, one", notes)


async def test_session_after_the_commit_is_refused(shop: Shop) -> None:
    errors: list[str] = []

    class Late(Hooks):
        async def after_commit(self, change: Change) -> None:
            with pytest.raises(RuntimeError) as caught:
                async with change.session():
                    pass
            errors.append(str(caught.value))

    api = await shop(gadgets(hooks=Late()))
    await api.make("gadgets", code="one")
    assert errors == ["change.connection must not be used after the commit; open a session or transaction"]


async def test_json_is_the_same_on_both_ways_over_one_connection(shop: Shop) -> None:
    """The engine gets JSON as text, a session as objects, typed or not, in turn and on the same connection."""
    notes: Json = {"deep": [1, 2.5, "x", None, {"y": True}]}
    api = await shop(gadgets())
    for number in range(2):
        await api.make("gadgets", code=f"{number}", notes=notes)
        async with api.database.session() as session:
            gadget = (await session.exec(select(Gadget).where(col(Gadget.code) == f"{number}"))).one()
            assert gadget.notes == notes
            gadget.notes = {**notes, "more": number}
            await session.flush()
            untyped = await run(session, "SELECT notes, NULL::jsonb FROM gadget ORDER BY code DESC")
            assert tuple(untyped.all()[0]) == ({**notes, "more": number}, None)
        (row,) = await api.database.fetch("SELECT notes FROM gadget WHERE code = $1", [str(number)])
        assert isinstance(row["notes"], str)
    found = (await api.client.get(GADGETS)).json()["items"]
    assert sorted(item["notes"]["more"] for item in found) == [0, 1]


async def test_crowd_of_sessions_and_requests_shares_one_pool(database_url: str) -> None:
    """Each needs a moment; nobody is refused although there are far fewer connections."""
    limits = {"pool_min": 2, "pool_max": 4, "acquire_timeout": 5}
    database = Database(settings_for(database_url, database=limits))
    await database.start()

    async def by_session(number: int) -> Any:
        async with database.session() as session:
            return (await session.exec(select(number))).one()

    async def by_statement(number: int) -> Any:
        return (await database.fetch("SELECT $1::int AS n", [number], reads=True))[0]["n"]

    try:
        results = await asyncio.gather(*(way(n) for n in range(60) for way in (by_session, by_statement)))
        assert results == [n for n in range(60) for _ in range(2)]
        assert database.pool.size <= 4
        assert database.pool.free == database.pool.size
    finally:
        await database.stop()


async def test_session_prepares_a_statement_once_for_each_connection(database_url: str) -> None:
    database = Database(settings_for(database_url, database={"pool_min": 1, "pool_max": 1}))
    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT ''prepared once'''"
    try:
        for _ in range(3):
            async with database.session() as session:
                await run(session, "SELECT 'prepared once'")
        (row,) = await database.fetch(prepared, reads=True)
        assert row["count"] == 1
    finally:
        await database.stop()


async def test_cancelled_session_leaves_the_connection_usable(database_url: str) -> None:
    database = Database(settings_for(database_url, database={"pool_min": 1, "pool_max": 1}))

    async def sleep() -> None:
        async with database.session() as session:
            await run(session, "SELECT pg_sleep(30)")

    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await sleep()
        async with database.session() as session:
            assert (await session.exec(select(1))).one() == 1
    finally:
        await database.stop()
