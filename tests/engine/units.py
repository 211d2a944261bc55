"""Rules of the shop that change other items, for tests of units of work. All resources of one application."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import update
from sqlmodel import col

from service.http.handwritten import Input
from service.http.problems import Conflict, Problem, ValidationFailed
from service.resources.declaration import Action, Change, Hooks
from service.resources.units import UnitOfWork, UnitsDep
from service.security.access import require_scope
from service.security.principals import Principal
from tests.shop import resources
from tests.shop.models import Article, Parcel, Shelf

calls: list[str] = []
"""The hooks that ran, such as `after parcel create`."""


class Noted(Hooks):
    """Notes each of its calls, and refuses what has the name, note or description `refused`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def note(self, when: str, change: Change) -> None:
        calls.append(f"{when} {self.name} {change.operation}")

    async def before_create(self, change: Change) -> None:
        self.note("before", change)

    async def before_update(self, change: Change) -> None:
        self.note("before", change)

    async def before_delete(self, change: Change) -> None:
        self.note("before", change)

    async def before_commit(self, change: Change) -> None:
        self.note("commit", change)
        if "refused" in change.values.values():
            raise ValidationFailed(f"No such {self.name}.")

    async def after_commit(self, change: Change) -> None:
        self.note("after", change)


class ArticleRules(Noted):
    """A new article is counted on its shelf, and announced by a parcel. What happens depends on its name."""

    async def before_create(self, change: Change) -> None:
        await super().before_create(change)
        if change.values["name"] == "refused before":
            await change.create(Parcel, {"number": change.values["sku"]})
            raise Conflict("It is refused after it was written.")

    async def before_commit(self, change: Change) -> None:
        await super().before_commit(change)
        if change.operation == "create":
            await announce(change, change.values)

    async def before_update(self, change: Change) -> None:
        await super().before_update(change)
        if change.values.get("tags") == ["loop"]:
            await endless(change, await change.current())


async def announce(unit: Change | UnitOfWork, values: Any) -> None:
    shelf = await unit.get(Shelf, values["shelf_id"])
    assert shelf is not None
    count = int(shelf.description or 0) + 1
    await unit.update(Shelf, shelf.id, {"description": str(count), "rent": "9.50"})
    await unit.create(Parcel, {"number": values["sku"], "note": values["name"]})


class Step(Input):
    """What an action of the tests does: one call on a model."""

    model: str
    call: str
    id: UUID | None = None
    values: dict[str, Any] = Field(default_factory=dict)
    caught: bool = False


MODELS = {"shelf": Shelf, "article": Article, "parcel": Parcel}


async def step(change: Change, article: Article, body: Step) -> None:
    """Makes one call, and notes on the article what came of it."""
    model: Any = MODELS[body.model]
    try:
        match body.call:
            case "create":
                await change.create(model, body.values)
            case "update":
                assert body.id is not None
                await change.update(model, body.id, body.values)
            case "delete":
                assert body.id is not None
                await change.delete(model, body.id)
    except Problem as problem:
        if not body.caught:
            raise
        change.values["description"] = f"{problem.status} {problem.detail}"
    else:
        change.values["stock"] = article.stock + 1


first_attempt: Counter[str] = Counter()
both = asyncio.Barrier(2)


class Pair(Input):
    """Two shelves, changed in this order."""

    shelves: list[UUID]


async def cross(change: Change, article: Article, body: Pair) -> None:
    """Changes two shelves; in the first attempt it waits in between until another request has changed one too."""
    one, other = body.shelves
    await change.update(Shelf, one, {"description": article.sku})
    first_attempt[article.sku] += 1
    if first_attempt[article.sku] == 1:
        await both.wait()
    await change.update(Shelf, other, {"description": article.sku})


async def endless(change: Change, article: Article) -> None:
    """Begins a loop: the rules of the shelf change the article, whose rules change the shelf."""
    await change.update(Shelf, article.shelf_id, {"name": "loop", "description": str(article.id)})


class ShelfRules(Noted):
    """Half of a loop."""

    async def before_update(self, change: Change) -> None:
        await super().before_update(change)
        if change.values.get("name") == "loop":
            await change.update(Article, UUID(change.values["description"]), {"tags": ["loop"]})


router = APIRouter()


@router.post("/{id}/announcement")
async def announce_article(
    id: UUID,  # noqa: A002  # the name in the path
    units: UnitsDep,
    _: Annotated[Principal, require_scope("shop:write")],
) -> dict[str, int]:
    """Announces an article again. Fails once with what PostgreSQL raises for a deadlock."""

    async def work(unit: UnitOfWork) -> int:
        article = await unit.get(Article, id)
        assert article is not None
        await announce(unit, {"sku": f"{article.sku}-2", "name": "again", "shelf_id": article.shelf_id})
        async with unit.session() as session:
            await session.exec(update(Article).where(col(Article.id) == id).values(description="announced"))
        first_attempt[str(id)] += 1
        if first_attempt[str(id)] == 1:
            raise asyncpg.DeadlockDetectedError
        return first_attempt[str(id)]

    return {"attempts": await units.run(work)}


shelves = replace(resources.shelves, hooks=ShelfRules("shelf"))
parcels = replace(resources.parcels, hooks=Noted("parcel"))
articles = replace(
    resources.articles,
    hooks=ArticleRules("article"),
    extra=router,
    actions=(
        Action("step", step, body=Step),
        Action("cross", cross, body=Pair),
        Action("endless", endless),
    ),
)
RESOURCES = (shelves, articles, parcels)
