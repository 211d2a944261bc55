"""`slipway` with the shop, and with settings and a job of a domain: `python -m tests.process.errands serve`."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter
from pydantic import Field, SecretStr

from service.cli import main
from service.config import Group, Settings
from service.database import Database
from service.http.handwritten import SettingsDep
from service.jobs.job import Job
from service.resources.units import Units
from service.security.access import require_scope
from service.security.principals import Principal
from tests.shop import SHOP
from tests.shop.door import install
from tests.shop.flags import greeting
from tests.shop.models import Shelf

BEGAN = "SELECT began_at::text FROM job_run WHERE name = 'count'"


class ShopSettings(Group):
    greeting: str = "hello"
    """What a customer hears."""
    every: Annotated[float, Field(gt=0, le=60)] = 30.0
    """Seconds between two deliveries."""
    count_every: Annotated[float, Field(gt=0)] = 3600.0
    """Seconds between two counts, of which one process of all makes each."""
    count_takes: float = 0.0
    """Seconds that a count takes; a negative one fails."""
    count_deadline: float = 300.0
    """The most seconds that a count may take."""
    token: SecretStr = SecretStr("")
    """What the supplier asks for."""


router = APIRouter()


@router.get("/greeting")
async def read_greeting(
    settings: SettingsDep, _: Annotated[Principal, require_scope("shop:greet")]
) -> dict[str, str]:
    return {"greeting": settings.group(ShopSettings).greeting}


async def deliver(database: Database) -> None:
    async with database.session() as session:
        session.add(Shelf(slug="delivered", name="Delivered"))  # type: ignore[call-arg]  # the session fills in the rest
    await asyncio.sleep(3600)  # one delivery is enough: the slug is unique


async def count(database: Database, seconds: float) -> None:
    if seconds < 0:
        raise ValueError(f"nothing to count, {greeting()}")
    (lease,) = await database.fetch(BEGAN)
    async with database.session() as session:
        session.add(Shelf(slug=f"count-{uuid4()}", name="Counted", description=lease["began_at"]))  # type: ignore[call-arg]  # as above
    await asyncio.sleep(seconds)


def jobs(database: Database, settings: Settings, _: Units) -> Sequence[Job]:
    given = settings.group(ShopSettings)
    work = partial(count, database, given.count_takes)
    return [
        Job("deliver", partial(deliver, database), given.every),
        Job(
            "count",
            work,
            given.count_every,
            first=given.count_every,
            once_per_cluster=True,
            deadline=given.count_deadline,
        ),
    ]


install(replace(SHOP, routers=(*SHOP.routers, router), jobs=jobs, settings=ShopSettings))

if __name__ == "__main__":
    main()
