"""Row history, versions and references, as maintained by triggers."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.conftest import DatabaseFactory
from tests.engine.secured import role_of_the_service

Connect = Callable[[str], Any]

SHELF = """
INSERT INTO tests_shelf (id, created_by, updated_by, slug, name, description)
VALUES ($1, 'anna', 'anna', $2, 'Lamps', '') RETURNING id
"""
ARTICLE = """
INSERT INTO tests_article (id, created_by, updated_by, sku, name, description, price, stock, status, tags, attributes,
                     shelf_id)
VALUES ($1, 'anna', 'anna', $2, 'Lamp', '', 1, 0, 'draft', '{}', '{}', $3) RETURNING id
"""
DELETE = "UPDATE tests_shelf SET deleted_at = now(), version = version + 1, updated_by = 'carl' WHERE id = $1"
HISTORY = "SELECT version, action, actor, request_id, row FROM row_history WHERE row_id = $1 ORDER BY version"


@pytest.fixture
async def db(fresh_database: DatabaseFactory, connect: Connect) -> Any:
    """A connection to a new database with the tables of the shop."""
    return await connect(fresh_database(shop=True))


async def new_shelf(connection: Any, slug: str = "lamps") -> UUID:
    made: UUID = await connection.fetchval(SHELF, uuid4(), slug)
    return made


async def new_article(connection: Any, shelf: UUID) -> UUID:
    made: UUID = await connection.fetchval(ARTICLE, uuid4(), uuid4().hex[:12], shelf)
    return made


async def test_every_change_records_the_full_row(db: Any) -> None:
    row = await new_shelf(db)
    await db.execute(
        "UPDATE tests_shelf SET name = 'Lights', version = 2, updated_by = 'bert' WHERE id = $1", row
    )
    await db.execute(
        "UPDATE tests_shelf SET deleted_at = now(), version = 3, updated_by = 'carl' WHERE id = $1", row
    )
    await db.execute(
        "UPDATE tests_shelf SET deleted_at = NULL, version = 4, updated_by = 'dora' WHERE id = $1", row
    )
    kept = await db.fetch(HISTORY, row)
    assert [(r["version"], r["action"], r["actor"]) for r in kept] == [
        (1, "create", "anna"),
        (2, "update", "bert"),
        (3, "delete", "carl"),
        (4, "restore", "dora"),
    ]
    images = [json.loads(r["row"]) for r in kept]
    assert [image["name"] for image in images] == ["Lamps", "Lights", "Lights", "Lights"]
    assert set(images[0]) == {a["attname"] for a in await db.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'tests_shelf'::regclass AND attnum > 0"
    )}  # fmt: skip


async def test_plain_update_gets_a_version_and_the_role_as_actor(db: Any) -> None:
    row = await new_shelf(db)
    await db.execute("UPDATE tests_shelf SET name = 'By hand' WHERE id = $1", row)
    now = await db.fetchrow("SELECT version, updated_by, updated_at > created_at AS later FROM tests_shelf")
    role = await db.fetchval("SELECT 'database:' || session_user")
    assert tuple(now) == (2, role, True)
    assert (await db.fetch(HISTORY, row))[-1]["actor"] == role


async def test_actor_of_a_plain_update_is_who_logged_in_even_under_another_role(db: Any) -> None:
    row = await new_shelf(db)
    async with db.transaction():
        await db.execute("SET LOCAL ROLE pg_write_all_data")
        await db.execute("UPDATE tests_shelf SET name = 'By hand'")
    role = await db.fetchval("SELECT 'database:' || session_user")
    assert (await db.fetch(HISTORY, row))[-1]["actor"] == role


async def test_transaction_settings_set_actor_and_request(db: Any) -> None:
    row = await new_shelf(db)
    async with db.transaction():
        await db.execute("SELECT set_config('slipway.principal', 'key:abc', true)")
        await db.execute("SELECT set_config('slipway.request_id', 'req-1', true)")
        await db.execute("UPDATE tests_shelf SET name = 'In a request' WHERE id = $1", row)
    await db.execute("UPDATE tests_shelf SET name = 'After it' WHERE id = $1", row)
    kept = (await db.fetch(HISTORY, row))[1:]
    assert (kept[0]["actor"], kept[0]["request_id"]) == ("key:abc", "req-1")
    assert kept[1]["request_id"] is None
    assert kept[1]["actor"].startswith("database:")


async def test_erased_row_is_kept_in_history(db: Any) -> None:
    row = await new_shelf(db)
    async with db.transaction():
        await db.execute("SET LOCAL slipway.principal = 'key:abc'")
        await db.execute("SET LOCAL slipway.request_id = 'req-1'")
        await db.execute("DELETE FROM tests_shelf")
    last = (await db.fetch(HISTORY, row))[-1]
    assert (last["version"], last["action"], last["actor"], last["request_id"]) == (
        2, "erase", "key:abc", "req-1",
    )  # fmt: skip
    assert json.loads(last["row"])["name"] == "Lamps"


async def test_role_that_erased_a_row_is_who_logged_in(
    fresh_database: DatabaseFactory, connect: Connect
) -> None:
    """The trigger runs with the privileges of the tables' owner, whom it must not name."""
    url = fresh_database(shop=True)
    async with role_of_the_service(url) as app_url:
        connection = await connect(app_url)
        row = await new_shelf(connection)
        await connection.execute("DELETE FROM tests_shelf")
        role, owner = await connection.fetchrow(
            "SELECT session_user, tableowner FROM pg_tables WHERE tablename = 'tests_shelf'"
        )
        assert role != owner
        assert (await connection.fetch(HISTORY, row))[-1]["actor"] == f"database:{role}"
        await connection.close()


async def test_time_of_a_change_is_its_own_and_not_that_of_its_transaction(db: Any) -> None:
    """Two changes of one transaction have different times, so `as_of` tells them apart."""
    row = await new_shelf(db)
    times = "SELECT at FROM row_history WHERE row_id = $1 ORDER BY version"
    async with db.transaction():
        began = await db.fetchval("SELECT now()")
        for name in ("One", "Two"):
            await db.execute("UPDATE tests_shelf SET name = $1", name)
        updated_at = await db.fetchval("SELECT updated_at FROM tests_shelf")
        await db.execute("DELETE FROM tests_shelf")
    _, one, two, erased = [entry["at"] for entry in await db.fetch(times, row)]
    assert began < one < two < erased
    assert two == updated_at


async def test_changes_are_announced_to_the_service_alone(db: Any) -> None:
    """A person who works with psql reads no messages that are meant for the service."""
    told: list[str] = []
    db.add_log_listener(lambda _, message: told.append(f"{message.message} {message.detail}"))
    row = await new_shelf(db)
    await db.execute("UPDATE tests_shelf SET name = 'x'")
    assert told == []
    async with db.transaction():
        await db.execute("SET LOCAL slipway.principal = 'key:abc'")
        await db.execute("UPDATE tests_shelf SET name = 'y'")
        await db.execute("DELETE FROM tests_shelf")
    await db.execute("SELECT")  # messages are delivered in turns of the loop
    await asyncio.sleep(0)
    assert told == [f"slipway_changed {row}"] * 2


async def test_bulk_update_records_each_row(db: Any) -> None:
    for number in range(20):
        await new_shelf(db, f"slug-{number}")
    await db.execute("UPDATE tests_shelf SET description = 'x'")
    assert await db.fetchval("SELECT count(*) FROM row_history WHERE version = 2") == 20


async def test_version_is_unique_in_history(db: Any) -> None:
    row = await new_shelf(db)
    await db.execute("UPDATE tests_shelf SET name = 'Two' WHERE id = $1", row)
    with pytest.raises(asyncpg.UniqueViolationError, match="pk_row_history"):
        await db.execute("UPDATE tests_shelf SET name = 'One again', version = 1 WHERE id = $1", row)
    assert await db.fetchval("SELECT name FROM tests_shelf") == "Two"


async def test_rolled_back_change_leaves_no_history(db: Any) -> None:
    row = await new_shelf(db)
    transaction = db.transaction()
    await transaction.start()
    await db.execute("UPDATE tests_shelf SET name = 'No' WHERE id = $1", row)
    await transaction.rollback()
    assert len(await db.fetch(HISTORY, row)) == 1


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_delete_waits_for_concurrent_reference(
    fresh_database: DatabaseFactory, connect: Connect, end: str
) -> None:
    url = fresh_database(shop=True)
    referring, deleting = await connect(url), await connect(url)
    shelf = await new_shelf(referring)
    first = referring.transaction()
    await first.start()
    await new_article(referring, shelf)
    second = asyncio.create_task(deleting.execute(DELETE, shelf))
    await asyncio.sleep(0.3)
    assert not second.done()
    await getattr(first, end)()
    if end == "rollback":
        assert await second == "UPDATE 1"
    else:
        with pytest.raises(
            asyncpg.ForeignKeyViolationError, match="a tests_article refers to this tests_shelf"
        ):
            await second


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_reference_waits_for_concurrent_delete(
    fresh_database: DatabaseFactory, connect: Connect, end: str
) -> None:
    url = fresh_database(shop=True)
    referring, deleting = await connect(url), await connect(url)
    shelf = await new_shelf(referring)
    first = deleting.transaction()
    await first.start()
    await deleting.execute(DELETE, shelf)
    second = asyncio.create_task(new_article(referring, shelf))
    await asyncio.sleep(0.3)
    assert not second.done()
    await getattr(first, end)()
    if end == "rollback":
        assert await second
    else:
        with pytest.raises(asyncpg.ForeignKeyViolationError) as caught:
            await second
        assert caught.value.constraint_name == "fk_tests_article_shelf_id"


async def test_only_a_row_that_is_not_deleted_needs_a_parent(db: Any) -> None:
    alive, gone = await new_shelf(db, "alive"), await new_shelf(db, "gone")
    article = await new_article(db, alive)
    await db.execute(DELETE, gone)
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="refers to no tests_shelf"):
        await db.execute("UPDATE tests_article SET shelf_id = $1", gone)
    await db.execute("UPDATE tests_article SET deleted_at = now()")
    await db.execute(DELETE, alive)
    for change in ("shelf_id = $1", "deleted_at = deleted_at + interval '1 day', shelf_id = $1"):
        await db.execute(f"UPDATE tests_article SET {change}", gone)
    assert await db.fetchval("SELECT shelf_id FROM tests_article WHERE id = $1", article) == gone


async def test_row_cannot_be_restored_under_a_deleted_parent(db: Any) -> None:
    shelf = await new_shelf(db)
    article = await new_article(db, shelf)
    await db.execute("UPDATE tests_article SET deleted_at = now() WHERE id = $1", article)
    await db.execute(DELETE, shelf)
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="refers to no tests_shelf"):
        await db.execute("UPDATE tests_article SET deleted_at = NULL WHERE id = $1", article)
