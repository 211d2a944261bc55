"""The sample catalogue, `slipway seed`, and the example requests of `slipway dev`."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import col, delete, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service import clock
from service.config import Settings
from service.database import Database
from service.database.orm import orm_engine
from service.domains.catalog.models import Category, Product, ProductStatus
from service.domains.catalog.sample.rows import categories, products
from service.domains.catalog.seed import SEED, Loaded, is_empty, load_sample
from service.models.row_history import RowHistory
from tests.conftest import DatabaseFactory
from tests.dev.test_seed import seed


@pytest.fixture
async def database(fresh_database: DatabaseFactory) -> AsyncIterator[Database]:
    url = fresh_database()
    database = Database(Settings.model_validate({"app": {"environment": "test"}, "database": {"url": url}}))
    yield database
    await database.stop()


async def load(database: Database) -> Loaded:
    async with database.session() as session:
        return await load_sample(session)


async def count(database: Database, table: type[Category | Product]) -> int:
    async with database.session() as session:
        return (await session.exec(select(func.count()).select_from(table))).one()


def test_sample_is_large_enough_and_names_are_unique() -> None:
    groups, goods = categories(), products()
    assert len(groups) >= 12
    assert len(goods) >= 1000
    for rows, field in ((groups, "slug"), (groups, "id"), (goods, "sku"), (goods, "name"), (goods, "id")):
        assert len({row[field] for row in rows}) == len(rows)


def test_api_accepts_every_sample_value() -> None:
    slugs = {group["slug"] for group in categories()}
    for product in products():
        assert re.fullmatch(r"[A-Z0-9][A-Z0-9-]{0,39}", product["sku"])
        assert isinstance(product["price"], Decimal)
        assert product["price"] > 0
        assert product["price"].as_tuple().exponent == product["cost"].as_tuple().exponent == -2
        assert 0 < product["cost"] < product["price"]
        assert product["stock"] >= 0
        assert product["status"] in set(ProductStatus)
        assert product["tags"]
        assert product["attributes"]
        assert product["category"] in slugs
        assert product["id"].version == 7
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) for slug in slugs)


def test_sample_is_deterministic() -> None:
    assert products() == products()
    first = products()[0]
    assert (first["sku"], str(first["id"])) == ("LMP-0001", "01943af9-8a60-7c7c-ad38-a44135c4c97f")


def test_every_category_and_every_status_has_products() -> None:
    assert set(Counter(p["category"] for p in products())) == {c["slug"] for c in categories()}
    assert set(Counter(p["status"] for p in products())) == {"draft", "active", "discontinued"}


async def _examples_fit(session: AsyncSession) -> None:
    listed, created, announced = await SEED.examples(session)
    assert (listed.body, created.path, announced.path) == ("", "products", "deliveries")
    assert str(min(category["id"] for category in categories())) in created.body
    assert str(min(product["id"] for product in products())) in announced.body


@contextmanager
def counted() -> Iterator[list[str]]:
    """Yield a list of the statements of the block."""
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(orm_engine().sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(orm_engine().sync_engine, "before_cursor_execute", note)


async def test_load_takes_few_statements_and_a_second_one_adds_nothing(database: Database) -> None:
    async with database.session() as session:
        assert await is_empty(session)
        assert [one.path.partition("?")[0] for one in await SEED.examples(session)] == [
            "products",
            "categories",
        ]
    with counted() as statements:
        first = await load(database)
    assert len(statements) <= 4, statements
    second = await load(database)
    assert (first.categories, first.products) == (len(categories()), len(products()))
    assert (second.categories, second.products) == (0, 0)
    assert await count(database, Category) == len(categories())
    assert await count(database, Product) == len(products())
    async with database.session() as session:
        assert not await is_empty(session)
        await _examples_fit(session)
        assert (await session.exec(select(func.count()).select_from(RowHistory))).one() == len(
            categories()
        ) + len(products())


async def test_load_keeps_edited_and_deleted_rows(database: Database) -> None:
    await load(database)
    changed, deleted = products()[0]["id"], products()[1]["id"]
    async with database.session() as session:
        await session.exec(update(Product).where(col(Product.id) == changed).values(name="Mine"))
        await session.exec(update(Product).where(col(Product.id) == deleted).values(deleted_at=func.now()))
    assert (await load(database)).products == 0
    async with database.session() as session:
        assert (await session.get_one(Product, changed)).name == "Mine"
        assert (await session.get_one(Product, deleted)).deleted_at is not None


async def test_products_of_a_deleted_category_are_skipped(database: Database) -> None:
    await load(database)
    lamps = next(group["id"] for group in categories() if group["slug"] == "lamps")
    async with database.session() as session:
        await session.exec(delete(Product).where(col(Product.category_id) == lamps))
        await session.exec(update(Category).where(col(Category.id) == lamps).values(deleted_at=func.now()))
    loaded = await load(database)
    assert (loaded.categories, loaded.products) == (0, 0)
    assert "nothing to add" in str(loaded)


async def test_existing_category_with_the_same_slug_gets_the_products(database: Database) -> None:
    now = clock.now()
    mine = Category(
        slug="lamps", name="My lamps", created_by="me", updated_by="me", created_at=now, updated_at=now
    )
    async with database.session() as session:
        session.add(mine)
    loaded = await load(database)
    assert (loaded.categories, loaded.products) == (len(categories()) - 1, len(products()))
    lamps = sum(product["category"] == "lamps" for product in products())
    async with database.session() as session:
        in_mine = select(func.count()).select_from(Product).where(Product.category_id == mine.id)
        assert (await session.exec(in_mine)).one() == lamps


def test_command_prints_what_it_added(fresh_database: DatabaseFactory, tmp_path: Path) -> None:
    url = fresh_database()
    first, second = seed(tmp_path, url), seed(tmp_path, url)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    expected = f"{len(categories())} categories and {len(products())} products"
    assert first.stdout == f"sample catalogue: added {expected}\n"
    assert second.stdout == f"sample catalogue: nothing to add: all {expected} exist\n"
