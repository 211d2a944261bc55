"""`slipway` with one domain of the tests' own in place of the team's: `python -m tests.process.shop serve`."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, SecretStr
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

import service.domains
from service.cli import main
from service.config import Group as SettingsGroup
from service.config import Settings
from service.database import Database
from service.http.handwritten import SettingsDep
from service.jobs.periodic import Job
from service.resources.domain import Domain, Seed
from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.tables import Group, groups


class ShopSettings(SettingsGroup):
    greeting: str = "hello"
    """What a customer hears."""
    every: Annotated[float, Field(gt=0, le=60)] = 30.0
    """Seconds between two deliveries."""
    token: SecretStr = SecretStr("")
    """What the supplier asks for."""


router = APIRouter()


@router.get("/greeting")
async def read_greeting(
    settings: SettingsDep, _: Annotated[Principal, require_scope("shop:greet")]
) -> dict[str, str]:
    return {"greeting": settings.group(ShopSettings).greeting}


def _new(order: str) -> Group:
    return Group(order=order)  # type: ignore[call-arg]  # the session fills in who and when


async def deliver(database: Database) -> None:
    async with database.session() as session:
        session.add(_new("delivered"))
    await asyncio.sleep(3600)  # one delivery is enough: the order is unique


def jobs(database: Database, settings: Settings) -> Sequence[Job]:
    return [Job("deliver", partial(deliver, database), settings.group(ShopSettings).every)]


async def load(session: AsyncSession) -> str:
    if await _count(session, "seeded"):
        return "shop: nothing to add"
    session.add(_new("seeded"))
    return "shop: added 1 group"


async def is_empty(session: AsyncSession) -> bool:
    return not await _count(session, "seeded", "delivered")


async def _count(session: AsyncSession, *orders: str) -> int:
    counted = select(func.count()).select_from(Group).where(col(Group.order).in_(orders))
    return (await session.exec(counted)).one()


DOMAIN = Domain(
    name="shop",
    resources=(groups(),),
    routers=(router,),
    jobs=jobs,
    settings=ShopSettings,
    seed=Seed(load=load, is_empty=is_empty),
)

if __name__ == "__main__":
    service.domains.DOMAINS = (DOMAIN,)
    main()
