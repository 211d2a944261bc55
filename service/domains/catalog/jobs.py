"""The periodic work of the catalogue."""

from functools import partial

from sqlmodel import col, select

from service import clock
from service.config import Settings
from service.database import Database
from service.domains.catalog.models import Delivery, DeliveryStatus
from service.jobs.job import Job
from service.resources.units import UnitOfWork, Units

MOST_AT_ONCE = 500  # in a transaction, which locks them all


async def mark_overdue(unit: UnitOfWork) -> None:
    """Mark the oldest 500 deliveries that were announced for an earlier day, in UTC. The next run takes the rest."""
    late = select(Delivery.id).where(
        Delivery.status == DeliveryStatus.ANNOUNCED,
        # PostgreSQL's current_date depends on the session's time zone.
        col(Delivery.expected) < clock.now().date(),
        col(Delivery.deleted_at).is_(None),
    )
    oldest = late.order_by(col(Delivery.created_at), col(Delivery.id)).limit(MOST_AT_ONCE)
    async with unit.session() as session:
        found = (await session.exec(oldest.with_for_update(skip_locked=True))).all()
    for delivery_id in found:
        await unit.update(Delivery, delivery_id, {"status": DeliveryStatus.OVERDUE})


def jobs(_: Database, __: Settings, units: Units) -> list[Job]:
    work = partial(units.run, mark_overdue)
    return [Job("mark-overdue-deliveries", work, seconds=600, once_per_cluster=True)]
