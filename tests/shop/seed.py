"""Sample data of the shop: one shelf with as many articles as a page has."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.resources.domain import Example, Seed
from tests.shop.models import Article, Shelf

SLUG = "seeded"
ARTICLES = 50


async def load(session: AsyncSession) -> str:
    if await _shelf_id(session) is not None:
        return "shop: nothing to add"
    shelf = Shelf(slug=SLUG, name="Seeded")  # type: ignore[call-arg]  # the session fills in who and when
    session.add(shelf)
    await session.flush()
    session.add_all(
        Article(sku=f"SEED-{n}", name=f"Lamp {n}", price=Decimal(n), shelf_id=shelf.id)  # type: ignore[call-arg]
        for n in range(1, ARTICLES + 1)
    )
    return f"shop: added 1 shelf and {ARTICLES} articles"


async def is_empty(session: AsyncSession) -> bool:
    return (await session.exec(select(Shelf.id).limit(1))).first() is None


async def examples(_: AsyncSession) -> Sequence[Example]:
    return (
        Example("articles?sort=-created_at&limit=3"),
        Example("shelves", """{"slug": "try-'$RANDOM'", "name": "A shelf"}"""),
    )


async def _shelf_id(session: AsyncSession) -> UUID | None:
    return (await session.exec(select(Shelf.id).where(col(Shelf.slug) == SLUG))).first()


SEED = Seed(load=load, is_empty=is_empty, examples=examples)
