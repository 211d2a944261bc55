"""Row history records the actor and the request, whatever writes the row."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Request
from sqlalchemy import update
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from service.actor import EVERY_ROW, Actor, acting_as, current
from service.cli.runtime import exit_with_message
from service.database import Database
from service.http.handwritten import SessionDep
from service.jobs.job import Job
from service.jobs.job_runner import JobRunner
from service.jobs.leases import Leases
from service.jobs.periodic import Periodic
from service.resources.declaration import Change, Hooks
from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.api import BASE, Api
from tests.engine.conftest import Shop
from tests.engine.tables import Gadget, Group, gadgets, groups

router = APIRouter()
Writer = Annotated[Principal, require_scope("shop:write")]
RAW = """
INSERT INTO gadget (id, created_by, updated_by, code, title, weight, colours, secret)
VALUES (gen_random_uuid(), 'sql', 'sql', 'raw', '', 0, '{}', '')
"""
HISTORY = """
SELECT table_name, action, actor, request_id FROM row_history
WHERE coalesce(request_id, '') IS NOT DISTINCT FROM $1 ORDER BY at
"""


def database_of(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def early(session: SessionDep) -> None:
    """Begin the transaction before the caller is known."""
    await session.exec(select(Group).limit(1))


@router.post("/{id}/orm", dependencies=[Depends(early)])
async def by_orm(id: UUID, session: SessionDep, _: Writer) -> str:  # noqa: A002  # the name in the path
    gadget = await session.get(Gadget, id)
    assert gadget is not None
    gadget.title = "by ORM"
    await session.flush()
    async with session.begin_nested():
        made = Gadget(code="orm")  # type: ignore[call-arg]
        session.add(made)
    return made.created_by


@router.post("/{id}/sql")
async def by_sql(id: UUID, request: Request, _: Writer) -> str:  # noqa: A002
    database = database_of(request)
    async with database.transaction() as connection:
        await connection.execute("UPDATE gadget SET rank = 2, version = version + 1 WHERE id = $1", id)
        await connection.execute(RAW)
    await database.fetch("UPDATE gadget SET rank = 3 WHERE id = $1", [id])
    async with database.connection() as connection:
        await connection.execute("UPDATE gadget SET rank = 4 WHERE id = $1", id)
        await connection.executemany("UPDATE gadget SET rank = $2 WHERE id = $1", [(id, 5), (id, 6)])
        assert await connection.fetchval("DELETE FROM gadget WHERE code = 'raw' RETURNING code") == "raw"
    return "done"


@router.post("/{id}/late")
async def late(id: UUID, request: Request, tasks: BackgroundTasks, _: Writer) -> StreamingResponse:  # noqa: A002
    async def touch() -> None:
        async with database_of(request).session() as session:
            await session.exec(rank_of(id))

    async def stream() -> AsyncIterator[bytes]:
        await asyncio.create_task(touch())
        yield b"done"

    tasks.add_task(touch)
    return StreamingResponse(stream(), background=tasks)


def rank_of(item_id: UUID) -> Any:
    return update(Gadget).where(Gadget.id == item_id).values(rank=Gadget.rank + 1)  # type: ignore[arg-type,operator]


class Linked(Hooks):
    """Hooks that write to another table before and after the commit."""

    database: Database

    async def before_commit(self, change: Change) -> None:
        await change.connection.execute('UPDATE "group" SET "select" = \'hooked\'')

    async def after_commit(self, change: Change) -> None:
        async with self.database.session() as session:
            assert await session.get(Gadget, change.id) is not None
            await touch_groups(session)


async def touch_groups(session: AsyncSession) -> None:
    for group in await session.exec(select(Group)):
        group.select = "later"


async def test_all_changes_of_a_request_have_its_actor(shop: Shop) -> None:
    hooks = Linked()
    api = await shop(groups(), gadgets(hooks=hooks, extra=router))
    hooks.database = api.database
    await api.make("groups", order="g")
    first = await api.client.post(f"{BASE}/gadgets", json={"code": "a"})
    principal = first.json()["created_by"]
    assert principal.startswith("key:")
    url = first.headers["location"]
    expected: dict[str, list[tuple[str, str]]] = {
        "orm": [("gadget", "update"), ("gadget", "create")],
        "sql": [("gadget", a) for a in ("update", "create", "update", "update", "update", "update", "erase")],
        "late": [("gadget", "update"), ("gadget", "update")],
        "patch": [("gadget", "update"), ("group", "update"), ("group", "update")],
        "bulk": [("gadget", "create"), ("group", "update"), ("group", "update")],
    }
    for what, rows in expected.items():
        response = await ask(api, what, url)
        assert response.status_code == 200, response.text
        if what == "orm":
            assert response.json() == principal
        request_id = response.headers["x-request-id"]
        found = await api.database.fetch(HISTORY, [request_id])
        assert sorted((row["table_name"], row["action"]) for row in found) == sorted(rows), what
        assert {row["actor"] for row in found} == {principal}, [dict(r) for r in found]
    await api.database.fetch("UPDATE gadget SET rank = 9")
    assert {row["actor"][:9] for row in await api.database.fetch(HISTORY, [""])} == {"database:"}
    assert Gadget(code="b").created_by == "system"  # type: ignore[call-arg]


async def test_actor_survives_a_savepoint_rollback(shop: Shop) -> None:
    api = await shop()
    async with api.database.transaction() as connection:
        with acting_as(Actor("cli:tidy")):
            savepoint = connection.transaction()
            await savepoint.start()
            await connection.execute(RAW)
            await savepoint.rollback()
            await connection.execute(RAW)
    assert [row["actor"] for row in await api.database.fetch(HISTORY, [""])] == ["cli:tidy"]


async def ask(api: Api, what: str, url: str) -> Any:
    if what == "patch":
        return await api.client.patch(url, json={"rank": 1}, headers={"If-Match": "*"})
    if what == "bulk":
        operations = [{"op": "create", "item": {"code": "bulk"}}]
        return await api.client.post(f"{BASE}/gadgets/bulk", json={"operations": operations})
    return await api.client.post(f"{url}/{what}")


async def test_work_outside_requests_has_an_actor(shop: Shop) -> None:
    api = await shop()
    await api.make("groups", order="g")
    done = asyncio.Event()

    async def work() -> None:
        async with api.database.session() as session:
            await touch_groups(session)
        done.set()

    async with Periodic(JobRunner(Leases(api.database)), [Job("tidy", work, 60)]).running():
        await asyncio.wait_for(done.wait(), 10)
    awkward = "cli:o'neill $1 \\ \u2028"
    with acting_as(Actor(awkward)):
        await api.database.fetch('UPDATE "group" SET "select" = \'again\'')
    found = await api.database.fetch(HISTORY, [""])
    assert [row["actor"] for row in found] == ["job:tidy", awkward]


def test_command_acts_under_its_name_and_sees_the_rows_of_all_owners() -> None:
    @exit_with_message
    def tidy_() -> object:
        return current()

    assert tidy_() == Actor("cli:tidy", rows=EVERY_ROW)
