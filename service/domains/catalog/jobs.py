"""The periodic work of the catalogue."""

from functools import partial

from sqlmodel import col, func, select

from service.config import Settings
from service.database import Database
from service.domains.catalog.models import Delivery, DeliveryStatus
from service.jobs.job import Job
from service.resources.units import UnitOfWork, Units


async def mark_overdue(unit: UnitOfWork) -> None:
    """Mark deliveries that were announced for an earlier day."""
    late = select(Delivery.id).where(
        Delivery.status == DeliveryStatus.ANNOUNCED,
        col(Delivery.expected) < func.current_date(),
        col(Delivery.deleted_at).is_(None),
    )
    async with unit.session() as session:
        found = (await session.exec(late.with_for_update(skip_locked=True))).all()
    for delivery_id in found:
        await unit.update(Delivery, delivery_id, {"status": DeliveryStatus.OVERDUE})


def jobs(_: Database, __: Settings, units: Units) -> list[Job]:
    work = partial(units.run, mark_overdue)
    return [Job("mark-overdue-deliveries", work, seconds=600, once_per_cluster=True)]
